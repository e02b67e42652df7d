/** Offers of a key to clients that say nothing: those that want to encrypt wait for one, others speak at once and never see it. */
import type { Connection } from './connection.ts'
import type { Clock, Timer } from '../../../types.ts'

/** Milliseconds of silence. */
const SILENCE = 300

export class KeyOffers {
  readonly #clock: Clock
  /** Those that connected last, in their order. */
  #young: Array<{ connection: Connection, at: number }> = []
  #timer: Timer | undefined

  constructor (clock: Clock) { this.#clock = clock }

  /** A client has connected; it gets an offer unless it speaks. */
  add (connection: Connection): void {
    this.#young.push({ connection, at: this.#clock.now() })
    this.#timer ??= this.#wait(SILENCE)
  }

  stop (): void {
    this.#clock.clear(this.#timer)
    this.#young = []
  }

  #wait (ms: number): Timer { return this.#clock.set(ms, () => { this.#offer() }).unref() }

  /** To all whose time is over, by one timer for all. */
  #offer (): void {
    const due = this.#clock.now() - SILENCE
    const first = this.#young.findIndex(({ at }) => at > due)
    const silent = first < 0 ? this.#young : this.#young.slice(0, first)
    this.#young = first < 0 ? [] : this.#young.slice(first)
    for (const { connection } of silent) connection.offerKey()
    this.#timer = this.#young.length === 0 ? undefined : this.#wait(this.#young[0].at - due)
  }
}
