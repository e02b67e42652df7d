/**
 * Controlled delay, RFC 8289: decides by the time that packets spend in a queue when to drop one. Bursts are left alone; a standing
 * queue costs one drop, and further ones at decreasing intervals, until senders slow down.
 */

/** Milliseconds of acceptable standing delay; section 3.2 of the RFC. */
export const TARGET = 5

/** Milliseconds in which a burst has to drain: more than most round trips; section 3.2. */
export const INTERVAL = 100

/** Intervals for which the drop rate is remembered. */
const MEMORY = 16

export class Codel {
  /** When the wait will have been too long for a whole interval; 0 while it is not too long. */
  #due = 0
  #isDropping = false
  #next = 0
  /** Drops since it has begun to drop, and what that was when it began. */
  #count = 0
  #first = 0

  /**
   * How many to drop now.
   *
   * @param wait milliseconds that the oldest has waited; 0 when hardly anything waits
   * @param now milliseconds of a clock that only goes forward
   */
  drops (wait: number, now: number): number {
    if (wait < TARGET) {
      this.#due = 0
      this.#isDropping = false
      return 0
    }
    if (this.#due === 0) this.#due = now + INTERVAL
    if (now < this.#due) return 0
    let drops = 0
    if (!this.#isDropping) {
      this.#begin(now)
      drops = 1
    }
    // no call for long, or no progress: drops that were not made then were not needed
    if (now - this.#next > INTERVAL) this.#begin(now)
    while (now >= this.#next) {
      this.#count++
      this.#next += INTERVAL / Math.sqrt(this.#count)
      drops++
    }
    return drops
  }

  /** Where it was a moment ago, when that was enough; from the beginning otherwise. */
  #begin (now: number): void {
    const needed = this.#count - this.#first
    this.#count = needed > 1 && now - this.#next < MEMORY * INTERVAL ? needed : 1
    this.#first = this.#count
    this.#next = now + INTERVAL / Math.sqrt(this.#count)
    this.#isDropping = true
  }
}
