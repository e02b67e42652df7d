/** Timestamps of captured packets. */
import type { Clock } from '../../types.ts'

/** Maximum difference between the two clocks in milliseconds: one, and its rounding. */
const SLACK = 2

/**
 * A clock of milliseconds since 1970, with fractions. `Date` has whole milliseconds, too coarse to order packets, so a monotonic clock
 * counts on from it until the two differ: the system clock was set, or the machine was suspended.
 */
export function wallClock (clock: Clock): () => number {
  let offset = clock.date() - clock.now()
  return () => {
    const whole = clock.date()
    const fine = offset + clock.now()
    if (Math.abs(fine - whole) <= SLACK) return fine
    offset += whole - fine
    return whole
  }
}
