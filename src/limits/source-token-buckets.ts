/** Rate limits by client, with one for all networks of an IPv6 site. */
import { siteOf } from '../net/client-address.ts'
import { KeyedTokenBuckets, type KeyedTokenBucketsInit } from './keyed-token-buckets.ts'
import { PER_SITE } from './source-counts.ts'

/** A token bucket for each source (see `clientKey`), and one of {@link PER_SITE} times the rate for each site. */
export class SourceTokenBuckets {
  readonly #sources: KeyedTokenBuckets
  readonly #sites: KeyedTokenBuckets

  /** @throws {OptionError} when the rate, the burst or `maxKeys` is invalid */
  constructor (init: KeyedTokenBucketsInit) {
    const { rate, burst = rate } = init
    this.#sources = new KeyedTokenBuckets(init)
    this.#sites = new KeyedTokenBuckets({ ...init, rate: rate * PER_SITE, burst: burst * PER_SITE })
  }

  /** Takes a token of both; false when there is none. @param now milliseconds of a clock that only goes forward */
  take (source: string, now: number): boolean {
    const site = siteOf(source)
    if (site === undefined) return this.#sources.take(source, now)
    return this.#sites.allows(site, now) && this.#sources.take(source, now) && this.#sites.take(site, now)
  }
}
