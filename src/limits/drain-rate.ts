/**
 * How fast a queue empties while there is something in it. Of short windows the fastest counts, for one to two tenths of a second:
 * a receiver that was not scheduled for a moment is not slow.
 */

/** Milliseconds that are looked at as one, and for how long the fastest of those is remembered at least. */
export const WINDOW = 10
const MEMORY = 100

export class DrainRate {
  #left = 0
  #time = 0
  #fastest = 0
  #before = 0
  /** When `#fastest` was begun; undefined before the first window. */
  #since: number | undefined
  #isKnown = false

  /** Bytes a millisecond; undefined until something has left, or nothing has for that long. */
  get rate (): number | undefined { return this.#isKnown ? Math.max(this.#fastest, this.#before) : undefined }

  /**
   * So many bytes have left.
   *
   * @param time milliseconds that this took
   * @param now milliseconds of a clock that only goes forward
   */
  sample (bytes: number, time: number, now: number): void {
    if (time >= MEMORY) { // it may have stood still for most of that
      this.#isKnown = false
      this.#left = this.#time = this.#fastest = this.#before = 0
      this.#since = undefined
      if (bytes === 0) return
      // yet what has left is known: a lower bound, which the next windows correct
      this.#fastest = bytes / time
      this.#since = now
      this.#isKnown = true
      return
    }
    this.#left += bytes
    this.#time += time
    if (this.#time < WINDOW) return
    const rate = this.#left / this.#time
    this.#left = this.#time = 0
    this.#since ??= now
    if (now - this.#since >= MEMORY) {
      this.#before = this.#fastest
      this.#fastest = 0
      this.#since = now
      this.#isKnown = true
    }
    if (rate > 0) this.#isKnown = true
    this.#fastest = Math.max(this.#fastest, rate)
  }
}
