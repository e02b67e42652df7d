/** How long relays took to accept a connection of late. One that takes much longer than the fastest has too much to do, or a bad path. */

/** Times that are kept of each, and that are needed to judge it. */
const KEPT = 5
const NEEDED = 3

/** A relay is slow when it takes more than so many times as long as the fastest, */
const FACTOR = 4

/** and so many milliseconds longer: more than the distance to any place. A lost first packet costs a second. */
const MARGIN = 300

export class ProbeTimes {
  /** In milliseconds, the newest last. */
  readonly #times = new Map<string, number[]>()

  add (relay: string, time: number): void {
    const times = this.#times.get(relay) ?? []
    this.#times.set(relay, times)
    if (times.push(time) > KEPT) times.shift()
  }

  /** It was not reached. */
  forget (relay: string): void { this.#times.delete(relay) }

  clear (): void { this.#times.clear() }

  /** Those that are not slow, by the median of their times. One of which too little is known is not. */
  quick (relays: readonly string[]): string[] {
    const medians = new Map(relays.map((relay) => [relay, medianOf(this.#times.get(relay) ?? [])]))
    const fastest = Math.min(...medians.values())
    return relays.filter((relay) => {
      const median = medians.get(relay) as number
      return median === Infinity || median <= Math.max(fastest * FACTOR, fastest + MARGIN)
    })
  }
}

/** Infinity: not known yet. */
function medianOf (times: readonly number[]): number {
  if (times.length < NEEDED) return Infinity
  const sorted = [...times].sort((a, b) => a - b)
  return sorted[sorted.length >> 1]
}
