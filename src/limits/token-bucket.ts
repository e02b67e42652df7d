/**
 * A rate with a burst, without a timer: tokens come back with the time that the caller tells.
 *
 * ```ts
 * const bytes = new TokenBucket({ rate: 1_000_000, burst: 64_000 }, clock.now())
 * bytes.refill(clock.now()) // once a read
 * if (!bytes.take(packet.length)) dropped++ // for each packet of it
 * ```
 */
import { OptionError } from '../errors.ts'

export interface TokenBucketInit {
  /** Tokens a second. */
  rate: number
  /** Tokens that it holds at most, and at first. Default: those of one second. */
  burst?: number
}

export class TokenBucket {
  readonly rate: number
  readonly #burst: number
  #tokens: number
  #at: number

  /**
   * Throws `OptionError` for a rate or a burst that is no positive number.
   *
   * @param now milliseconds of a clock; when that goes back, nothing is refilled until it has caught up
   */
  constructor ({ rate, burst = rate }: TokenBucketInit, now: number) {
    for (const [name, value] of Object.entries({ rate, burst })) {
      if (!(value > 0) || value === Infinity) throw new OptionError(`${name} is a positive number, not ${String(value)}`)
    }
    this.rate = rate
    this.#burst = burst
    this.#tokens = burst
    this.#at = now
  }

  /** What has come back since the last call. */
  refill (now: number): void {
    if (now <= this.#at) return
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.rate / 1000)
    this.#at = now
  }

  /** Whether `take` would succeed. A full bucket gives to any wish, since a larger one would otherwise wait for ever. */
  has (count: number): boolean { return count <= this.#tokens || this.isFull }

  /** Takes so many tokens, or none when there are fewer. */
  take (count: number): boolean {
    if (!this.has(count)) return false
    this.#tokens -= count
    return true
  }

  /** Nothing has been taken from it, as far as anybody can tell by now. */
  get isFull (): boolean { return this.#tokens >= this.#burst }
}
