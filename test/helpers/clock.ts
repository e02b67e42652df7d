/** A clock that stands still until a test moves it. */
import type { Clock, Timer } from '../../src/types.ts'

class ManualTimer implements Timer {
  readonly ms: number
  readonly due: number
  readonly fn: () => void
  isRef = true

  constructor (ms: number, due: number, fn: () => void) {
    this.ms = ms
    this.due = due
    this.fn = fn
  }

  unref (): this {
    this.isRef = false
    return this
  }
}

interface Awaited {
  ms: number
  resolve (): void
}

export class ManualClock implements Clock {
  #now: number
  #date: number
  /** The earliest first; of those that are due together, the one that was set first. */
  readonly #timers: ManualTimer[] = []
  #awaited: Awaited[] = []

  constructor ({ now = 0, date = 0 } = {}) {
    this.#now = now
    this.#date = date
  }

  // Functions of their own, so that they may be handed on: `clock.now`.
  readonly now = (): number => this.#now
  readonly date = (): number => Math.floor(this.#date)

  /** What the timers that wait were set to, in milliseconds, the earliest first. */
  get waiting (): number[] { return this.#timers.map(({ ms }) => ms) }

  /** Those of them that keep the process alive. */
  get holding (): number[] { return this.#timers.filter(({ isRef }) => isRef).map(({ ms }) => ms) }

  set (ms: number, fn: () => void): Timer {
    if (!(ms <= 0x7fffffff)) throw new RangeError(`a timer of ${ms} ms`)
    const timer = new ManualTimer(ms, this.#now + Math.max(1, ms), fn)
    const later = this.#timers.findIndex(({ due }) => due > timer.due)
    this.#timers.splice(later < 0 ? this.#timers.length : later, 0, timer)
    const told = this.#awaited.filter((one) => one.ms === ms)
    this.#awaited = this.#awaited.filter((one) => one.ms !== ms)
    for (const { resolve } of told) resolve()
    return timer
  }

  clear (timer: Timer | undefined): void {
    const index = this.#timers.indexOf(timer as ManualTimer)
    if (index >= 0) this.#timers.splice(index, 1)
  }

  /** Time goes on; what is due by then runs, each at its time, also timers that are set meanwhile. */
  advance (ms: number): void {
    const end = this.#now + ms
    for (let next; (next = this.#timers[0]) !== undefined && next.due <= end;) {
      this.#timers.shift()
      this.#move(next.due)
      next.fn()
    }
    this.#move(end)
  }

  /** The same, with turns of the event loop behind each timer, so that what it leads to is done when the next one runs. */
  async pass (ms: number): Promise<void> {
    const end = this.#now + ms
    await turns()
    for (let next; (next = this.#timers[0]) !== undefined && next.due <= end;) {
      this.advance(next.due - this.#now)
      await turns()
    }
    this.advance(end - this.#now)
    await turns()
  }

  /** Settles when a timer of just so many milliseconds waits. */
  async whenSet (ms: number): Promise<void> {
    if (!this.#timers.some((timer) => timer.ms === ms)) await new Promise<void>((resolve) => { this.#awaited.push({ ms, resolve }) })
  }

  /** The time of the machine is set. */
  setDate (date: number): void { this.#date = date }

  #move (to: number): void {
    this.#date += to - this.#now
    this.#now = to
  }
}

/** What is ready, and what follows from that. */
async function turns (): Promise<void> {
  for (let i = 0; i < 4; i++) await new Promise((resolve) => { setImmediate(resolve) })
}
