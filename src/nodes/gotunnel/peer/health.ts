/** The health of a service with hysteresis: several probes in a row are needed to change it. No I/O. */

/** Failed probes in a row until it counts as down, and successful ones until it counts as up. */
const FALL = 3
const RISE = 2

/** Milliseconds between probes while the last one contradicts the state. */
export const IN_DOUBT = 1000

/** The maximum of the same while it is down. */
const WHILE_DOWN = 5000

export class Health {
  #isUp = true
  /** Probes in a row that contradict the state. */
  #contrary = 0

  /** Initially up. */
  get isUp (): boolean { return this.#isUp }

  /**
   * Adds a result: of a probe, or of a connection for a user.
   *
   * @returns whether the state has changed
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

  /** Milliseconds until the next probe; `interval` applies while the service is up. */
  next (interval: number): number {
    if (this.#contrary > 0) return Math.min(interval, IN_DOUBT)
    return this.#isUp ? interval : Math.min(interval, WHILE_DOWN)
  }
}
