/** Limits the rate of byte streams by delay, without drops. Several streams may share a shaper. */
import { OptionError } from '../errors.ts'
import { systemClock, wait } from '../streams/clock.ts'
import type { Clock } from '../types.ts'

/** Default burst: milliseconds of the rate that pass without delay. */
const BURST = 250

/** Maximum bytes that a stream waits for at one time, or those of the rate in QUANTUM_MS when that is more, so that streams take turns. */
const QUANTUM = 16_384
const QUANTUM_MS = 20

/** Spreads bytes over time: a rate, with a burst of some milliseconds of it. */
export class Shaper {
  /** Bytes per second. */
  readonly rate: number
  readonly #clock: Clock
  readonly #burst: number
  /** The time at which all bytes so far would have been sent at the rate. */
  #paidUntil = -Infinity

  /**
   * @param rate bytes per second
   * @param clock the clock of `wait`. Default: that of the system
   * @param burst milliseconds of the rate that pass without delay. Default: 250
   * @throws {OptionError} when the rate is not a positive number
   */
  constructor (rate: number, clock: Clock = systemClock, burst: number = BURST) {
    if (!(rate > 0) || rate === Infinity) throw new OptionError(`rate is a positive number of bytes a second, not ${String(rate)}`)
    this.rate = rate
    this.#clock = clock
    this.#burst = burst
  }

  /**
   * Accounts for bytes.
   *
   * @param now milliseconds of a monotonic clock
   * @returns milliseconds until the bytes may be sent; 0 for at once
   */
  delay (bytes: number, now: number): number {
    this.#paidUntil = Math.max(this.#paidUntil, now - this.#burst) + bytes / this.rate * 1000
    return Math.max(0, this.#paidUntil - now)
  }

  /**
   * Accounts for bytes and waits, in pieces, so that a small message does not wait for all bytes of other streams.
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
