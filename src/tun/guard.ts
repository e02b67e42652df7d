/**
 * Puts back what somebody else takes from an interface: `ip route flush`, an interface that is set down and up, a program that manages
 * networks. What is there is asked from the kernel, never known from what was set.
 */
import type { TunLoss, TunWatcher } from './device.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock, Timer } from '../types.ts'

/** Milliseconds after a notice: mostly several come together, as when an interface is set down and up. */
const SETTLE = 200

/** Milliseconds before something is put back again, once it was done {@link BURST} times in that time each: somebody else may want it otherwise. */
const RETRY_INTERVAL = 10_000
const BURST = 5

/** Restorations that are remembered count so long. */
const REMEMBERED = 60_000

export interface GuardInit {
  /** What the interface lacks now. Throws when nobody can tell. */
  loss (): TunLoss
  /** Throws when the system refuses. */
  restore (): void
  watcher: TunWatcher
  /** Default: that of the system. */
  clock?: Clock
}

export const isLoss = ({ address, down, routes }: TunLoss): boolean => address || down || routes.length > 0

export class Guard {
  readonly #init: GuardInit
  /** When something was put back. */
  readonly #restored: number[] = []
  readonly #clock: Clock
  #timer: Timer | undefined
  #lost = ''
  #isClosed = false

  constructor (init: GuardInit) {
    this.#init = init
    this.#clock = init.clock ?? systemClock
  }

  /** Something has changed, by whomever. */
  readonly noticed = (): void => { this.#later(SETTLE) }

  close (): void {
    this.#isClosed = true
    this.#clock.clear(this.#timer)
  }

  #later (milliseconds: number): void {
    if (!this.#isClosed) this.#timer ??= this.#clock.set(milliseconds, this.#look)
  }

  readonly #look = (): void => {
    this.#timer = undefined
    const { watcher, loss, restore } = this.#init
    try {
      const lost = loss()
      this.#tell(lost)
      if (!isLoss(lost)) return
      const wait = this.#wait(this.#clock.now())
      if (wait > 0) {
        this.#later(wait)
        return
      }
      this.#restored.push(this.#clock.now())
      restore()
      const still = loss()
      if (isLoss(still)) this.#later(RETRY_INTERVAL) // the system takes it without an error, and does not do it
      else watcher.onRestored()
      this.#tell(still)
    } catch (err) {
      watcher.onFailure(err as Error)
      this.#later(RETRY_INTERVAL)
    }
  }

  /** Milliseconds before it may be put back. */
  #wait (now: number): number {
    const restored = this.#restored
    while (restored.length > 0 && now - restored[0] > REMEMBERED) restored.shift()
    return restored.length < BURST ? 0 : Math.max(0, restored[restored.length - 1] + RETRY_INTERVAL - now)
  }

  /** Once for each loss. */
  #tell (lost: TunLoss): void {
    const text = isLoss(lost) ? JSON.stringify(lost) : ''
    if (text === this.#lost) return
    this.#lost = text
    this.#init.watcher.onLoss(lost)
  }
}
