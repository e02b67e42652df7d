/** Rate limits by key: failed passwords by client, requests that cost. */
import { OptionError } from '../errors.ts'
import { TokenBucket, type TokenBucketInit } from './token-bucket.ts'

export interface KeyedTokenBucketsInit extends TokenBucketInit {
  /** Maximum number of keys; beyond it the least recently used one is forgotten. Default: 65536. */
  maxKeys?: number
}

/**
 * A token bucket for each key (for clients see `clientKey`).
 *
 * A key takes memory only while its bucket is not full.
 */
export class KeyedTokenBuckets {
  readonly #init: KeyedTokenBucketsInit
  readonly #maxKeys: number
  /** Least recently used first. */
  readonly #buckets = new Map<string, TokenBucket>()
  /** The key that was used last: most are used several times on end, and to move one takes longer than all else. */
  #newest: string | undefined

  /** @throws {OptionError} when the rate, the burst or `maxKeys` is invalid */
  constructor (init: KeyedTokenBucketsInit) {
    const { maxKeys = 65_536 } = init
    if (!Number.isSafeInteger(maxKeys) || maxKeys < 1) throw new OptionError(`maxKeys is a whole number of at least 1, not ${String(maxKeys)}`)
    new TokenBucket(init, 0).refill(0) // throws now rather than at the first source
    this.#init = init
    this.#maxKeys = maxKeys
  }

  /** Number of keys now. */
  get size (): number { return this.#buckets.size }

  /**
   * Whether the bucket of a key has a token. Takes none.
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

  /** Takes a token; false when there is none. */
  take (key: string, now: number): boolean {
    const known = this.#buckets.get(key)
    const bucket = known ?? new TokenBucket(this.#init, now)
    if (known === undefined || key !== this.#newest) this.#add(key, bucket)
    bucket.refill(now)
    return bucket.take(1)
  }

  /** As the one that is used last. */
  #add (key: string, bucket: TokenBucket): void {
    this.#buckets.delete(key)
    this.#buckets.set(key, bucket)
    this.#newest = key
    if (this.#buckets.size <= this.#maxKeys) return
    const [oldest] = this.#buckets.keys()
    this.#buckets.delete(oldest)
  }
}
