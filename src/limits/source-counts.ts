/** How many entries of a table belong to each client, so that one cannot fill it. */
import { siteOf } from '../net/client-address.ts'

/** All networks of a site, which is an IPv6 /48, may have so many times as much as one of them, or as one IPv4 address. */
export const PER_SITE = 4

export class SourceCounts {
  readonly #sources = new Map<string, number>()
  readonly #sites = new Map<string, number>()

  /** Number of sources with entries. */
  get size (): number { return this.#sources.size }

  /**
   * Whether a source may have one more.
   *
   * @param source see `clientKey`
   * @param max entries of one source
   * @param before whose the entry is now, when it is there already
   */
  hasRoom (source: string, max: number, before?: string): boolean {
    if ((this.#sources.get(source) ?? 0) >= max) return false
    const site = siteOf(source)
    return site === undefined || (this.#sites.get(site) ?? 0) < max * PER_SITE || (before !== undefined && siteOf(before) === site)
  }

  add (source: string, count = 1): void {
    change(this.#sources, source, count)
    const site = siteOf(source)
    if (site !== undefined) change(this.#sites, site, count)
  }

  remove (source: string, count = 1): void { this.add(source, -count) }
}

function change (counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by
  if (count === 0) counts.delete(key)
  else counts.set(key, count)
}
