/** What two introduced members seal with: candy protocol, section 2.7. */
import { SealedPair, type Unopened } from '../../../../crypto/sealed-pair.ts'
import type { Sealing } from '../../../../crypto/index.ts'
import { DATAGRAM_LAYOUT } from '../../protocol/datagrams.ts'

export interface DirectSessionInit {
  sealing: Sealing
  /** 32 bytes each. */
  keys: { send: Uint8Array, receive: Uint8Array }
  /** The first four bytes of datagrams that come. */
  indexIn: number
  /** The first four bytes of datagrams that are sent. */
  indexOut: number
}

export class DirectSession extends SealedPair {
  readonly indexIn: number
  /** Datagrams that were opened. */
  received = 0
  override newest = 0
  override last = 0

  constructor ({ sealing, keys, indexIn, indexOut }: DirectSessionInit) {
    super({ sealing, keys, layout: DATAGRAM_LAYOUT, sender: indexOut, first: 1 })
    this.indexIn = indexIn
  }

  override open (datagram: Uint8Array): Unopened | undefined {
    const problem = super.open(datagram)
    if (problem === undefined) this.received++
    return problem
  }
}
