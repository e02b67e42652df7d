/** How often a client may be recovered from. */
import type { Clock } from '../../types.ts'

/** In any minute: a client that needs more of them sends something else than cut frames. */
export const MAX_RECOVERIES = 10
const MINUTE = 60_000

export class Recoveries {
  readonly #clock: Clock
  /** When the last ones were. */
  readonly #times: number[] = []

  constructor (clock: Clock) { this.#clock = clock }

  /** Counts one more; false when that are too many. */
  take (): boolean {
    const [now, times] = [this.#clock.now(), this.#times]
    if (times.length === MAX_RECOVERIES && now - times[0] < MINUTE) return false
    times.push(now)
    if (times.length > MAX_RECOVERIES) times.shift()
    return true
  }
}
