/** The time that captured packets get. */

/** The two clocks may be apart by this many milliseconds: a whole one and its rounding. */
const SLACK = 2

/**
 * A clock of milliseconds since 1970 with fractions. The system's own has whole ones in JavaScript, too coarse to tell packets
 * apart; so a steady clock counts on from it, until the two disagree: the system's clock was set, or the machine has slept.
 *
 * @param system whole milliseconds since 1970
 * @param steady milliseconds since any moment, never set
 */
export function wallClock (system: () => number = Date.now, steady: () => number = () => performance.now()): () => number {
  let offset = system() - steady()
  return () => {
    const whole = system()
    const fine = offset + steady()
    if (Math.abs(fine - whole) <= SLACK) return fine
    offset += whole - fine
    return whole
  }
}
