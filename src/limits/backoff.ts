/** The delay before the next attempt to connect. */
import { verifyMilliseconds } from '../options.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock } from '../types.ts'

/** Delays between attempts. */
export interface BackoffInit {
  /** Milliseconds before the second attempt; doubled for each further one. Default: 500. */
  first?: number
  /** Maximum delay in milliseconds. Default: 30 s. */
  longest?: number
  /** Milliseconds that a connection has to be online before the back-off starts over; 0 for none. Default: 10 s. */
  steady?: number
  /** Default: that of the system. */
  clock?: Clock
  /** A number of at least 0 and less than 1 each time: where that comes from a seed, delays repeat. Default: `Math.random`. */
  random?: () => number
}

/** Exponential back-off from `first` to `longest`, with half of each wait random, so that peers do not reconnect at the same time. */
export class Backoff {
  readonly #first
  readonly #longest
  readonly #steady
  readonly #clock: Clock
  readonly #random: () => number
  #attempts = 0
  #onlineAt: number | undefined

  /** @throws {OptionError} when a delay is out of the range of timers */
  constructor ({ first = 500, longest = 30_000, steady = 10_000, clock = systemClock, random = Math.random }: BackoffInit = {}) {
    this.#clock = clock
    this.#random = random
    this.#first = verifyMilliseconds('backoff.first', first)
    this.#longest = verifyMilliseconds('backoff.longest', longest)
    this.#steady = steady === 0 ? 0 : verifyMilliseconds('backoff.steady', steady)
  }

  /** Maximum delay in milliseconds. */
  get longest (): number { return this.#longest }

  /** Called when a connection is lost or was not made; returns the delay in milliseconds. */
  next (): number {
    // Two peers with one address replace each other as soon as they are online: that must not reset the back-off each time.
    if (this.#onlineAt !== undefined && this.#clock.now() - this.#onlineAt >= this.#steady) this.#attempts = 0
    this.#onlineAt = undefined
    const full = Math.min(this.#longest, this.#first * 2 ** this.#attempts++)
    return full / 2 + this.#random() * full / 2
  }

  /** Called when an attempt has succeeded. */
  online (): void { this.#onlineAt = this.#clock.now() }
}
