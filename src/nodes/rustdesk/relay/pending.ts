/** Connections that wait for the other one of their uuid: bounded by address and in total. */

/** One of them. */
export interface PendingEntry<P> {
  readonly uuid: string
  /** The address that it counts for, see `clientKey`. */
  readonly source: string
  readonly peer: P
}

export interface PendingBounds {
  readonly maxPending: number
  readonly maxPendingPerSource: number
}

export class PendingTable<P> {
  bounds: PendingBounds
  /** Oldest first. */
  readonly #byUuid = new Map<string, PendingEntry<P>>()
  readonly #counts = new Map<string, number>()

  constructor (bounds: PendingBounds) { this.bounds = bounds }

  get size (): number { return this.#byUuid.size }

  [Symbol.iterator] (): Iterator<PendingEntry<P>> { return this.#byUuid.values() }

  /**
   * Adds a connection for a uuid that none waits for.
   *
   * @returns undefined when the source has as many as it may
   */
  add (uuid: string, source: string, peer: P): PendingEntry<P> | undefined {
    const count = this.#counts.get(source) ?? 0
    if (count >= this.bounds.maxPendingPerSource || this.#byUuid.has(uuid)) return undefined
    const entry = { uuid, source, peer }
    this.#byUuid.set(uuid, entry)
    this.#counts.set(source, count + 1)
    return entry
  }

  /** Takes the connection that waits for a uuid. */
  take (uuid: string): P | undefined {
    const entry = this.#byUuid.get(uuid)
    if (entry !== undefined) this.remove(entry)
    return entry?.peer
  }

  /** While there is one more than there may be: the connection that has waited longest. It is not removed. */
  get surplus (): P | undefined {
    if (this.size <= this.bounds.maxPending) return undefined
    const [oldest] = this.#byUuid.values()
    return oldest.peer
  }

  /** Removes this entry, not another one of the same uuid. */
  remove (entry: PendingEntry<P>): void {
    if (this.#byUuid.get(entry.uuid) !== entry) return
    this.#byUuid.delete(entry.uuid)
    const count = (this.#counts.get(entry.source) ?? 0) - 1
    if (count > 0) this.#counts.set(entry.source, count)
    else this.#counts.delete(entry.source)
  }
}
