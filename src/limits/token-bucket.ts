/**
 * A token bucket without a timer: it is refilled by the time that the caller passes.
 *
 * ```ts
 * const bytes = new TokenBucket({ rate: 1_000_000, burst: 64_000 }, clock.now())
 * bytes.refill(clock.now()) // once a read
 * if (!bytes.take(packet.length)) dropped++ // for each packet of it
 * ```
 */
import { OptionError } from '../errors.ts'

/** Options of a token bucket. */
export interface TokenBucketInit {
  /** Tokens a second. */
  rate: number
  /** Capacity in tokens; the bucket is full at first. Default: the tokens of one second. */
  burst?: number
}

export class TokenBucket {
  readonly rate: number
  readonly #burst: number
  #tokens: number
  #at: number

  /**
   * @param now milliseconds of a clock; when it goes back, nothing is refilled until it has caught up
   * @throws {OptionError} when the rate or the burst is not a positive number
   */
  constructor ({ rate, burst = rate }: TokenBucketInit, now: number) {
    verifyPositive('rate', rate)
    verifyPositive('burst', burst)
    this.rate = rate
    this.#burst = burst
    this.#tokens = burst
    this.#at = now
  }

  /** Adds the tokens since the last call. */
  refill (now: number): void {
    if (now <= this.#at) return
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.rate / 1000)
    this.#at = now
  }

  /** Whether `take` would succeed. A full bucket grants any count, since one over its capacity could never be granted otherwise. */
  has (count: number): boolean { return count <= this.#tokens || this.isFull }

  /** Takes `count` tokens, or none when there are fewer. */
  take (count: number): boolean {
    if (!this.has(count)) return false
    this.#tokens -= count
    return true
  }

  /** The bucket is full. */
  get isFull (): boolean { return this.#tokens >= this.#burst }
}

function verifyPositive (name: string, value: number): void {
  if (!(value > 0) || value === Infinity) throw new OptionError(`${name} is a positive number, not ${String(value)}`)
}
