/** Who wanted to connect to whom, for the operator. */

/** Entries that are kept. */
const MOST_ENTRIES = 10_000

/** The last entries that are looked at for the same pair, and milliseconds for which it is not logged again. */
const RECENT = 30
const SAME_TIME = 60_000

/** One entry. */
export interface PunchEntry {
  /** Milliseconds since 1970. */
  readonly date: number
  /** Address of the client. */
  readonly from: string
  /** Id and address of the peer. */
  readonly id: string
  readonly to: string
}

export class PunchLog {
  /** Older ones are cut off in portions. */
  #entries: PunchEntry[] = []

  get size (): number { return Math.min(this.#entries.length, MOST_ENTRIES) }

  add (entry: PunchEntry): void {
    const entries = this.#entries
    for (let i = entries.length - 1; i >= Math.max(0, entries.length - RECENT); i--) {
      const { from, id, date } = entries[i]
      if (from !== entry.from || id !== entry.id) continue
      if (entry.date - date < SAME_TIME) return
      break
    }
    entries.push(entry)
    if (entries.length >= 2 * MOST_ENTRIES) this.#entries = entries.slice(-MOST_ENTRIES)
  }

  /** A page, the oldest first. */
  page (offset: number, size: number): readonly PunchEntry[] {
    const first = this.#entries.length - this.size + offset
    return this.#entries.slice(first, first + size)
  }

  clear (): void { this.#entries = [] }
}
