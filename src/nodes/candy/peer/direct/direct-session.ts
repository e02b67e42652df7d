/** What two introduced members seal with: a key for each direction, counters as IVs, and a window against replays; candy protocol, section 2.7. */
import { counterIvs, ReplayWindow, type DatagramCipher, type Sealing } from '../../../../crypto/index.ts'
import { readU64 } from '../../../../net/ipv4.ts'
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

/** Why a datagram is dropped. */
export type Unopened = 'replayed' | 'sealed'

export class DirectSession {
  readonly indexIn: number
  readonly #send: DatagramCipher
  readonly #receive: DatagramCipher
  readonly #replays = new ReplayWindow()
  /** Datagrams that were opened. */
  received = 0
  /** The number of the newest one, and of the last one. */
  newest = 0
  last = 0

  constructor ({ sealing, keys, indexIn, indexOut }: DirectSessionInit) {
    this.indexIn = indexIn
    this.#send = sealing.cipher({ key: keys.send, layout: DATAGRAM_LAYOUT, ivs: counterIvs({ sender: indexOut, first: 1 }) })
    this.#receive = sealing.cipher({ key: keys.receive, layout: DATAGRAM_LAYOUT })
    keys.send.fill(0)
    keys.receive.fill(0)
  }

  /** Seals in place. */
  seal (datagram: Uint8Array): void { this.#send.seal(datagram) }

  /** Opens in place. Undefined when that was done, else why it is dropped. @param datagram at least 28 bytes */
  open (datagram: Uint8Array): Unopened | undefined {
    const counter = readU64(datagram, 4)
    if (!this.#replays.check(counter)) return 'replayed'
    if (!this.#receive.open(datagram)) return 'sealed'
    this.#replays.accept(counter)
    this.received++
    this.last = counter
    if (counter > this.newest) this.newest = counter
    return undefined
  }

  close (): void {
    this.#send.close()
    this.#receive.close()
  }
}
