/**
 * The rate at which a queue drains while it is not empty: the maximum over short windows of the last 100 to 200 ms, so that a receiver
 * that was not scheduled for a moment does not count as slow.
 */

/** Milliseconds of one window, and for how long the maximum is kept at least. */
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
   * Adds a sample.
   *
   * @param bytes how many bytes have left
   * @param time milliseconds that this took
   * @param now milliseconds of a clock that only goes forward
   */
  sample (bytes: number, time: number, now: number): void {
    if (time >= MEMORY) { // the queue may have stalled for most of that time
      this.#isKnown = false
      this.#left = this.#time = this.#fastest = this.#before = 0
      this.#since = undefined
      if (bytes === 0) return
      // the average is a lower bound, which the next windows correct
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
