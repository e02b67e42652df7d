/** How often a client may be recovered from. */

/** In any minute: a client that needs more of them sends something else than cut frames. */
export const MAX_RECOVERIES = 10
const MINUTE = 60_000

export class Recoveries {
  readonly #now: () => number
  /** When the last ones were. */
  readonly #times: number[] = []

  /** @param now milliseconds of a clock that only goes forward */
  constructor (now: () => number) { this.#now = now }

  /** Counts one more; false when that are too many. */
  take (): boolean {
    const [now, times] = [this.#now(), this.#times]
    if (times.length === MAX_RECOVERIES && now - times[0] < MINUTE) return false
    times.push(now)
    if (times.length > MAX_RECOVERIES) times.shift()
    return true
  }
}
