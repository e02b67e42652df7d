/** A time-out that moves often. */
import type { Clock, Timer } from '../../../../types.ts'

/** A timer of the clock is only set when there is none, or too late a one: moving the deadline back, as each acknowledgement does, costs nothing. */
export class Deadline {
  readonly #clock: Clock
  readonly #passed: () => void
  #at: number | undefined
  #timer: Timer | undefined
  #timerAt = 0

  constructor (clock: Clock, passed: () => void) {
    this.#clock = clock
    this.#passed = passed
  }

  get isSet (): boolean { return this.#at !== undefined }

  set (ms: number): void {
    this.#at = this.#clock.now() + ms
    if (this.#timer !== undefined && this.#timerAt <= this.#at) return
    this.#clock.clear(this.#timer)
    this.#wait(ms)
  }

  /** There is no deadline any more. */
  clear (): void { this.#at = undefined }

  /** The same, and there is no timer any more either. */
  stop (): void {
    this.clear()
    this.#clock.clear(this.#timer)
    this.#timer = undefined
  }

  #wait (ms: number): void {
    this.#timerAt = this.#clock.now() + ms
    this.#timer = this.#clock.set(ms, this.#fire)
  }

  readonly #fire = (): void => {
    this.#timer = undefined
    if (this.#at === undefined) return
    const left = this.#at - this.#clock.now()
    if (left > 0) {
      this.#wait(left)
      return
    }
    this.#at = undefined
    this.#passed()
  }
}
