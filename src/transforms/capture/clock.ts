/** The time that captured packets get. */
import type { Clock } from '../../types.ts'

/** The two clocks may be apart by this many milliseconds: a whole one and its rounding. */
const SLACK = 2

/**
 * A clock of milliseconds since 1970 with fractions. The system's own has whole ones in JavaScript, too coarse to tell packets
 * apart; so a steady clock counts on from it, until the two disagree: the system's clock was set, or the machine has slept.
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
