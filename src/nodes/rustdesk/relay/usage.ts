/** What a pair has used: for the console, and for the rule by which pairs are slowed. */

/** Milliseconds between two samples. */
export const SAMPLE = 1000

const BITS = 8

export class Usage {
  /** Bytes of both directions. */
  bytes = 0
  /** Milliseconds up to the last sample. */
  elapsed = 0
  /** kb/s, of the fastest second and of the last one. */
  peak = 0
  last = 0
  #sampled = 0
  #at: number

  /** @param now milliseconds of a monotonic clock */
  constructor (now: number) { this.#at = now }

  /** kb/s over the whole time. */
  get average (): number { return this.elapsed === 0 ? 0 : Math.trunc(this.#sampled * BITS / this.elapsed) }

  /** Bytes up to the last sample. */
  get sampled (): number { return this.#sampled }

  sample (now: number): void {
    const passed = Math.trunc(now - this.#at)
    if (passed < SAMPLE) return
    this.last = Math.trunc((this.bytes - this.#sampled) * BITS / passed)
    this.peak = Math.max(this.peak, this.last)
    this.elapsed += passed
    this.#at += passed
    this.#sampled = this.bytes
  }
}
