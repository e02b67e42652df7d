/** Whether a service is up, without flapping: it takes several looks in a row to change one's mind. No I/O. */

/** Looks that fail in a row until it counts as down, and that succeed until it counts as up again. */
const FALL = 3
const RISE = 2

/** Milliseconds between looks while in doubt. */
export const IN_DOUBT = 1000

/** The same at the most while it is down. */
const WHILE_DOWN = 5000

export class Health {
  #isUp = true
  /** Looks in a row that contradict that. */
  #contrary = 0

  /** At first it counts as up. */
  get isUp (): boolean { return this.#isUp }

  /**
   * Somebody has looked: a probe, or whoever connected for a user.
   *
   * @returns whether that has changed what it counts as
   */
  see (isThere: boolean): boolean {
    if (isThere === this.#isUp) {
      this.#contrary = 0
      return false
    }
    this.#contrary++
    if (this.#contrary < (this.#isUp ? FALL : RISE)) return false
    this.#isUp = isThere
    this.#contrary = 0
    return true
  }

  /** Milliseconds until the next look, when nothing is in doubt every `interval`. */
  next (interval: number): number {
    if (this.#contrary > 0) return Math.min(interval, IN_DOUBT)
    return this.#isUp ? interval : Math.min(interval, WHILE_DOWN)
  }
}
