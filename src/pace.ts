/** A rate for byte streams: nothing is dropped, whoever is too fast waits. Several streams may share one. */
import { OptionError } from './errors.ts'

/** Milliseconds of the rate that may pass at once. */
const BURST = 250

export class Pace {
  /** Bytes a second. */
  readonly rate: number
  /** When all that has passed would have passed at this rate. */
  #paidUntil = -Infinity

  /** Throws `OptionError` for a rate that is no positive number. */
  constructor (rate: number) {
    if (!(rate > 0) || rate === Infinity) throw new OptionError(`rate is a positive number of bytes a second, not ${String(rate)}`)
    this.rate = rate
  }

  /**
   * So many bytes have come.
   *
   * @param now milliseconds of a clock that only goes forward
   * @returns milliseconds until they may pass; 0 for at once
   */
  delay (bytes: number, now: number): number {
    this.#paidUntil = Math.max(this.#paidUntil, now - BURST) + bytes / this.rate * 1000
    return Math.max(0, this.#paidUntil - now)
  }
}
