/** A rate for byte streams: nothing is dropped, whoever is too fast waits. Several streams may share one. */
import { OptionError } from '../errors.ts'
import { systemClock, wait } from '../streams/clock.ts'
import type { Clock } from '../types.ts'

/** Burst: milliseconds of the rate that pass without delay. */
const BURST = 250

/** A stream waits for at most this many bytes at one time, or for what the rate allows in this many milliseconds, so that streams take turns. */
const QUANTUM = 16_384
const QUANTUM_MS = 20

export class Shaper {
  /** Bytes a second. */
  readonly rate: number
  readonly #clock: Clock
  /** When all that has passed would have passed at this rate. */
  #paidUntil = -Infinity

  /**
   * Throws `OptionError` for a rate that is no positive number.
   *
   * @param clock what `pass` measures and waits by. Default: that of the system
   */
  constructor (rate: number, clock: Clock = systemClock) {
    if (!(rate > 0) || rate === Infinity) throw new OptionError(`rate is a positive number of bytes a second, not ${String(rate)}`)
    this.rate = rate
    this.#clock = clock
  }

  /**
   * Accounts for bytes.
   *
   * @param now milliseconds of a monotonic clock
   * @returns milliseconds until the bytes may be sent; 0 for at once
   */
  delay (bytes: number, now: number): number {
    this.#paidUntil = Math.max(this.#paidUntil, now - BURST) + bytes / this.rate * 1000
    return Math.max(0, this.#paidUntil - now)
  }

  /**
   * The same by its clock, and piece by piece, so that a small message need not wait for all that others have.
   *
   * @returns settles when the bytes may be sent; undefined for at once
   */
  wait (bytes: number): Promise<void> | undefined {
    const quantum = Math.max(QUANTUM, Math.ceil(this.rate * QUANTUM_MS / 1000))
    for (let left = bytes; ;) {
      const part = Math.min(left, quantum)
      const delay = this.delay(part, this.#clock.now())
      left -= part
      if (delay > 0) return this.#wait(delay, left)
      if (left === 0) return undefined
    }
  }

  async #wait (delay: number, left: number): Promise<void> {
    await wait(this.#clock, delay, { ref: false })
    if (left > 0) await this.wait(left)
  }
}
