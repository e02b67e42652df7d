/** Telling of what strangers can cause as often as they like. */

/** Milliseconds between two tellings, when nothing is said. */
const INTERVAL = 1000

/** A function that tells of what it is first called with at once, then of what came in each interval together: the last, and how many. */
export function sparingly<T> (tell: (last: T, count: number) => void, interval = INTERVAL): (what: T) => void {
  let last: T
  let count = 0
  let timer: NodeJS.Timeout | undefined
  const report = (): void => {
    timer = undefined
    if (count === 0) return
    tell(last, count)
    count = 0
    timer = setTimeout(report, interval).unref()
  }
  return (what) => {
    last = what
    count++
    if (timer === undefined) report()
  }
}
