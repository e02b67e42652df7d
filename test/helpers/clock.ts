/** A clock that stands still until a test moves it, and tells what waits. */
import { VirtualClock } from '../../src/streams/virtual-clock.ts'
import type { Timer } from '../../src/types.ts'

interface Awaited {
  ms: number
  resolve (): void
}

export class ManualClock extends VirtualClock {
  #awaited: Awaited[] = []

  /** What the timers that wait were set to, in milliseconds, the earliest first. */
  get waiting (): number[] { return this.timers.map(({ ms }) => ms) }

  /** Those of them that keep the process alive. */
  get holding (): number[] { return this.timers.filter(({ isRef }) => isRef).map(({ ms }) => ms) }

  override set (ms: number, fn: () => void): Timer {
    const timer = super.set(ms, fn)
    const told = this.#awaited.filter((one) => one.ms === ms)
    this.#awaited = this.#awaited.filter((one) => one.ms !== ms)
    for (const { resolve } of told) resolve()
    return timer
  }

  /** Settles when a timer of just so many milliseconds waits. */
  async whenSet (ms: number): Promise<void> {
    if (!this.waiting.includes(ms)) await new Promise<void>((resolve) => { this.#awaited.push({ ms, resolve }) })
  }
}
