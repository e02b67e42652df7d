/** Limits the recoveries from truncated frames of one client. */
import type { Clock } from '../../types.ts'

/** Maximum per minute: a client that needs more is not sending truncated frames. */
export const MAX_RECOVERIES = 10
const MINUTE = 60_000

export class Recoveries {
  readonly #clock: Clock
  /** The times of the last recoveries. */
  readonly #times: number[] = []

  constructor (clock: Clock) { this.#clock = clock }

  /** Counts one more; false beyond the limit. */
  take (): boolean {
    const [now, times] = [this.#clock.now(), this.#times]
    if (times.length === MAX_RECOVERIES && now - times[0] < MINUTE) return false
    times.push(now)
    if (times.length > MAX_RECOVERIES) times.shift()
    return true
  }
}
