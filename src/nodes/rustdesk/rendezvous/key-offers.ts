/** Offers of a key to clients that say nothing: those that want to encrypt wait for one, others speak at once and never see it. */
import type { Connection } from './connection.ts'
import type { RendezvousState } from './state.ts'
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import type { Timer } from '../../../types.ts'

/** Milliseconds of silence. */
const SILENCE = 300

/** Offers a second and in a row, to one address and to all. One takes 0.05 ms by `sodium-native`, 5 ms by `tweetnacl`. */
const OF_ADDRESS = { rate: 16, burst: 64 }
const OF_ALL = { 'sodium-native': { rate: 1000, burst: 2000 }, tweetnacl: { rate: 40, burst: 100 } } as const

/** The parts of the server that it needs. */
type Context = Pick<RendezvousState, 'clock' | 'totals'>

export class KeyOffers {
  readonly #context: Context
  readonly #ofAddress = new KeyedTokenBuckets(OF_ADDRESS)
  readonly #ofAll: TokenBucket
  /** Those that have said nothing yet, by when they have connected, or were put off, in this order. */
  readonly #silent = new Map<Connection, number>()
  #timer: Timer | undefined

  constructor (context: Context, implementation: keyof typeof OF_ALL) {
    this.#context = context
    this.#ofAll = new TokenBucket(OF_ALL[implementation], context.clock.now())
  }

  /** A client has connected; it gets an offer unless it speaks. */
  add (connection: Connection): void {
    this.#silent.set(connection, this.#context.clock.now())
    this.#timer ??= this.#wait(SILENCE)
  }

  /** It speaks, or has closed. */
  delete (connection: Connection): void { this.#silent.delete(connection) }

  stop (): void {
    this.#context.clock.clear(this.#timer)
    this.#silent.clear()
  }

  #wait (ms: number): Timer { return this.#context.clock.set(ms, () => { this.#offer() }).unref() }

  /** To all whose time is over, by one timer for all. Those that are too many are put off: they wait for much longer than that. */
  #offer (): void {
    const now = this.#context.clock.now()
    this.#ofAll.refill(now)
    this.#timer = undefined
    for (const [connection, at] of this.#silent) {
      if (at > now - SILENCE) {
        this.#timer = this.#wait(at + SILENCE - now)
        return
      }
      this.#silent.delete(connection)
      if (!connection.mayOfferKey) continue
      if (this.#ofAddress.take(connection.source, now) && this.#ofAll.take(1)) connection.offerKey()
      else {
        this.#context.totals.drops.offer++
        this.#silent.set(connection, now)
      }
    }
  }
}
