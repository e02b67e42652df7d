/** What two ends of a session seal with: a key for each direction, counters as IVs, and a window against replays. */
import { readU64 } from '../net/ipv4.ts'
import type { DatagramCipher } from './datagram-cipher.ts'
import { counterIvs } from './iv-sources.ts'
import type { SealLayout } from './layout.ts'
import { ReplayWindow } from './replay-window.ts'
import type { Sealing } from './sealing.ts'

/** The IV of `counterIvs`: 4 bytes of the sender, and the counter behind them. */
const COUNTER_IN_IV = 4

/** Why a datagram was not opened: its counter has come already, or is too old; or it is not authentic. */
export type Unopened = 'replayed' | 'sealed'

/** Options of a {@link SealedPair}. */
export interface SealedPairInit {
  sealing: Sealing
  layout: SealLayout
  /** 32 bytes each, made for this session alone; wiped. */
  keys: { send: Uint8Array, receive: Uint8Array }
  /** The first 4 bytes of the IVs of this end, and its first counter. */
  sender: number
  first?: number
}

export class SealedPair {
  /** Counter of the newest datagram that was opened, and of the last one; -1: none. */
  newest = -1
  last = -1
  readonly #send: DatagramCipher
  readonly #receive: DatagramCipher
  readonly #replays = new ReplayWindow()
  readonly #counterAt: number

  /** @throws {SealingError} when OpenSSL has no memory */
  constructor ({ sealing, layout, keys, sender, first }: SealedPairInit) {
    this.#send = sealing.cipher({ key: keys.send, layout, ivs: counterIvs({ sender, ...first !== undefined && { first } }) })
    this.#receive = sealing.cipher({ key: keys.receive, layout })
    this.#counterAt = layout.iv + COUNTER_IN_IV
    keys.send.fill(0)
    keys.receive.fill(0)
  }

  /** Seals in place. */
  seal (datagram: Uint8Array): void { this.#send.seal(datagram) }

  /** Opens in place. Undefined when that was done. @param datagram at least as long as its layout */
  open (datagram: Uint8Array): Unopened | undefined {
    const counter = readU64(datagram, this.#counterAt)
    if (!this.#replays.check(counter)) return 'replayed'
    if (!this.#receive.open(datagram)) return 'sealed'
    this.#replays.accept(counter)
    this.last = counter
    if (counter > this.newest) this.newest = counter
    return undefined
  }

  close (): void {
    this.#send.close()
    this.#receive.close()
  }
}
