/** Limits how often an event is reported that unauthenticated connections can cause. */
import { systemClock } from '../streams/clock.ts'
import type { Clock, Timer } from '../types.ts'

/** Default milliseconds between two reports. */
const INTERVAL = 1000

export interface ThrottleInit {
  /** Milliseconds between two reports. Default: 1 s. */
  interval?: number
  /** Default: that of the system. */
  clock?: Clock
}

/** A function that reports its first call at once, then once per interval the last value and the number of calls. */
export function throttle<T> (tell: (last: T, count: number) => void, { interval = INTERVAL, clock = systemClock }: ThrottleInit = {}): (what: T) => void {
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
