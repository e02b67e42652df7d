/** How long to wait for an acknowledgement (RFC 6298). Times in milliseconds. */

/** Before anything was measured. */
const INITIAL = 1000

/** The bounds that Linux has. */
const SHORTEST = 200
const LONGEST = 120_000

export class RetransmissionTimeout {
  #smoothed: number | undefined
  #variation = 0
  #base = INITIAL
  #factor = 1

  get value (): number { return Math.min(LONGEST, this.#base * this.#factor) }

  /** A round trip was measured, of a segment that was sent once. */
  measured (roundTrip: number): void {
    if (this.#smoothed === undefined) {
      this.#smoothed = roundTrip
      this.#variation = roundTrip / 2
    } else {
      this.#variation = 0.75 * this.#variation + 0.25 * Math.abs(this.#smoothed - roundTrip)
      this.#smoothed = 0.875 * this.#smoothed + 0.125 * roundTrip
    }
    this.#base = Math.max(SHORTEST, this.#smoothed + 4 * this.#variation)
  }

  /** Nothing has come for as long as this: the next time is twice as long. */
  backOff (): void { if (this.value < LONGEST) this.#factor *= 2 }

  /** Something new was acknowledged. */
  restore (): void { this.#factor = 1 }
}
