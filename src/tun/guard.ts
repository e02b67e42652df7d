/**
 * Restores what other programs remove from an interface: `ip route flush`, an interface that is set down and up, a network manager. The
 * current state is read from the kernel, not derived from what was set.
 */
import type { TunLoss, TunWatcher } from './device.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock, Timer } from '../types.ts'

/** Milliseconds from a notification to the check: mostly several come together, as when an interface is set down and up. */
const SETTLE = 200

/** Milliseconds between restorations after a {@link BURST} of them: another program may want the interface otherwise. */
const RETRY_INTERVAL = 10_000
const BURST = 5

/** Milliseconds for which a restoration counts towards the burst. */
const BURST_WINDOW = 60_000

export interface GuardInit {
  /** What the interface lacks now. Throws when it cannot be read. */
  loss (): TunLoss
  /** Throws when the system rejects it. */
  restore (): void
  watcher: TunWatcher
  /** Default: that of the system. */
  clock?: Clock
}

const isLoss = ({ address, down, routes }: TunLoss): boolean => address || down || routes.length > 0

export class Guard {
  readonly #init: GuardInit
  /** Times of the last restorations. */
  readonly #restored: number[] = []
  readonly #clock: Clock
  #timer: Timer | undefined
  #lost = ''
  #isClosed = false

  constructor (init: GuardInit) {
    this.#init = init
    this.#clock = init.clock ?? systemClock
  }

  /** The kernel has reported a change. */
  readonly noticed = (): void => { this.#later(SETTLE) }

  close (): void {
    this.#isClosed = true
    this.#clock.clear(this.#timer)
  }

  #later (milliseconds: number): void {
    if (!this.#isClosed) this.#timer ??= this.#clock.set(milliseconds, this.#check)
  }

  readonly #check = (): void => {
    this.#timer = undefined
    const { watcher, loss, restore } = this.#init
    try {
      const lost = loss()
      this.#report(lost)
      if (!isLoss(lost)) return
      const wait = this.#wait(this.#clock.now())
      if (wait > 0) {
        this.#later(wait)
        return
      }
      this.#restored.push(this.#clock.now())
      restore()
      const still = loss()
      if (isLoss(still)) this.#later(RETRY_INTERVAL) // the system accepts it without an error, and does not do it
      else watcher.onRestored()
      this.#report(still)
    } catch (err) {
      watcher.onFailure(err as Error)
      this.#later(RETRY_INTERVAL)
    }
  }

  /** Milliseconds until the next restoration is allowed. */
  #wait (now: number): number {
    const restored = this.#restored
    while (restored.length > 0 && now - restored[0] > BURST_WINDOW) restored.shift()
    return restored.length < BURST ? 0 : Math.max(0, restored[restored.length - 1] + RETRY_INTERVAL - now)
  }

  /** Reports each loss once. */
  #report (lost: TunLoss): void {
    const text = isLoss(lost) ? JSON.stringify(lost) : ''
    if (text === this.#lost) return
    this.#lost = text
    this.#init.watcher.onLoss(lost)
  }
}
