/** Bounds how often keys are registered from one address, and for how many ids. */
import { wholeSeconds } from './seconds.ts'

/** Calls in a row, after the first one, and whole seconds without a call after which the row begins again. */
const MOST_CALLS = 31
const CALLS_PAUSE = 60

/** Ids of an address, and whole seconds without a call after which they are forgotten. */
const MOST_IDS = 301
const IDS_PAUSE = 24 * 3600

export interface IpBlockerLimits {
  /** Addresses that are kept. Default: 65536. */
  maxAddresses?: number
  /** Their ids together. Default: 1,000,000. */
  maxIds?: number
}

interface Entry {
  calls: number
  /** When the last call was counted, in milliseconds. */
  callAt: number
  readonly ids: Set<string>
  /** When ids were last counted. */
  idAt: number
}

/** What is kept of an address, for display. */
export interface BlockedAddress {
  readonly calls: number
  /** Whole seconds since the last call that was counted. */
  readonly callAge: number
  readonly ids: number
  readonly idAge: number
}

export class IpBlocker {
  /** By address, the one of the oldest accepted call first. */
  readonly #entries = new Map<string, Entry>()
  readonly #maxAddresses: number
  readonly #maxIds: number
  #ids = 0

  constructor ({ maxAddresses = 65_536, maxIds = 1_000_000 }: IpBlockerLimits = {}) {
    this.#maxAddresses = maxAddresses
    this.#maxIds = maxIds
  }

  get size (): number { return this.#entries.size }

  /** Ids of all addresses. */
  get ids (): number { return this.#ids }

  /**
   * Counts a call of an address for an id. False: it is one too many, and was not counted.
   *
   * @param now milliseconds of a monotonic clock
   */
  allows (address: string, id: string, now: number): boolean {
    const entry = this.#entries.get(address)
    if (entry === undefined) { // the first call is not counted
      this.#entries.set(address, { calls: 0, callAt: now, ids: new Set(), idAt: now })
      this.#bound()
      return true
    }
    if (wholeSeconds(now - entry.callAt) > CALLS_PAUSE) entry.calls = 0
    else if (entry.calls >= MOST_CALLS) return false
    entry.calls++
    entry.callAt = now
    this.#entries.delete(address)
    this.#entries.set(address, entry)
    const { ids } = entry
    const isKnown = ids.has(id)
    if (wholeSeconds(now - entry.idAt) > IDS_PAUSE) {
      this.#ids -= ids.size
      ids.clear()
      this.#add(entry, id)
    } else if (ids.size >= MOST_IDS) {
      return isKnown
    } else if (!isKnown) {
      this.#add(entry, id)
    }
    entry.idAt = now
    this.#bound()
    return true
  }

  /** Forgets addresses without a call for long. */
  prune (now: number): void {
    for (const [address, entry] of this.#entries) {
      if (wholeSeconds(now - entry.callAt) <= CALLS_PAUSE || wholeSeconds(now - entry.idAt) <= IDS_PAUSE) continue
      this.delete(address)
    }
  }

  get (address: string, now: number): BlockedAddress | undefined {
    const entry = this.#entries.get(address)
    return entry === undefined ? undefined : { calls: entry.calls, callAge: wholeSeconds(now - entry.callAt), ids: entry.ids.size, idAge: wholeSeconds(now - entry.idAt) }
  }

  addresses (): IterableIterator<string> { return this.#entries.keys() }

  delete (address: string): void {
    this.#ids -= this.#entries.get(address)?.ids.size ?? 0
    this.#entries.delete(address)
  }

  #add ({ ids }: Entry, id: string): void {
    ids.add(id)
    this.#ids++
  }

  #bound (): void {
    while (this.#entries.size > this.#maxAddresses || this.#ids > this.#maxIds) {
      const [oldest] = this.#entries.keys()
      this.delete(oldest)
    }
  }
}
