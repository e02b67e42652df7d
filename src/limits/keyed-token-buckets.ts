/** How often something may happen by source: failed passwords, requests that cost. */
import { OptionError } from '../errors.ts'
import { TokenBucket, type TokenBucketInit } from './token-bucket.ts'

export interface KeyedTokenBucketsInit extends TokenBucketInit {
  /** Sources that are remembered; beyond it the one that was seen longest ago is forgotten. Default: 65536. */
  maxKeys?: number
}

/**
 * A token bucket for each source (see `clientKey`).
 *
 * A source takes memory only while it has something to its account.
 */
export class KeyedTokenBuckets {
  readonly #init: KeyedTokenBucketsInit
  readonly #maxKeys: number
  /** In the order in which they were seen, the longest ago first. */
  readonly #buckets = new Map<string, TokenBucket>()

  /** Throws `OptionError` for a rate or a bound that cannot be. */
  constructor (init: KeyedTokenBucketsInit) {
    const { maxKeys = 65_536 } = init
    if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) throw new OptionError(`maxKeys is a whole number of at least 1, not ${String(maxKeys)}`)
    new TokenBucket(init, 0).refill(0) // throws now rather than at the first source
    this.#init = init
    this.#maxKeys = maxKeys
  }

  /** Sources that are remembered now. */
  get size (): number { return this.#buckets.size }

  /**
   * Whether it may happen once more. Nothing is taken.
   *
   * @param now milliseconds of a clock that only goes forward
   */
  allows (key: string, now: number): boolean {
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return true
    bucket.refill(now)
    if (bucket.isFull) this.#buckets.delete(key)
    return bucket.has(1)
  }

  /** It has happened: false when it should not have. */
  take (key: string, now: number): boolean {
    const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#init, now)
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    if (this.#buckets.size > this.#maxKeys) {
      const [oldest] = this.#buckets.keys()
      this.#buckets.delete(oldest)
    }
    bucket.refill(now)
    return bucket.take(1)
  }
}
