/**
 * Controlled delay, RFC 8289: tells from how long things have waited in a queue when to drop one of them. A burst that goes away
 * is left alone; a queue that does not go away costs one drop, and the next ones ever sooner, until senders have slowed down.
 */

/** Milliseconds that a queue may take for good; section 3.2 of the RFC. */
export const TARGET = 5

/** Milliseconds in which a burst has to be gone: more than most round trips; section 3.2 as well. */
export const INTERVAL = 100

/** The memory of how often drops were needed lasts so many intervals. */
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
    // nobody has asked for long, or nothing has left: drops that were not made are none that were needed
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
