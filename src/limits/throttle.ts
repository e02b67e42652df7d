/** Telling of what strangers can cause as often as they like. */
import { systemClock } from '../streams/clock.ts'
import type { Clock, Timer } from '../types.ts'

/** The default of milliseconds between two reports. */
const INTERVAL = 1000

export interface SparinglyInit {
  /** Milliseconds between two tellings. Default: 1 s. */
  interval?: number
  /** Default: that of the system. */
  clock?: Clock
}

/** A function that tells of what it is first called with at once, then of what came in each interval together: the last, and how many. */
export function throttle<T> (tell: (last: T, count: number) => void, { interval = INTERVAL, clock = systemClock }: SparinglyInit = {}): (what: T) => void {
  let last: T
  let count = 0
  let timer: Timer | undefined
  const report = (): void => {
    timer = undefined
    if (count === 0) return
    tell(last, count)
    count = 0
    timer = clock.set(interval, report).unref()
  }
  return (what) => {
    last = what
    count++
    if (timer === undefined) report()
  }
}
