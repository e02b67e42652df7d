/** What one control connection may ask of a process, at either end: a part of each turn of the event loop, and so many messages a second. Beyond it, it waits. */
import { setImmediate as nextTurn, setTimeout as wait } from 'node:timers/promises'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { meter, type Meter } from '../../../streams/meter.ts'
import type { Link } from '../../../types.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'

/** Frames until the others have their turn. */
const PER_TURN = 32

/** Frames a second, and at once: thousands of users may fail in one moment. */
const RATE = 1000
const BURST = 8192

/** Milliseconds that one waits beyond that. */
const PAUSE = 50

/** Meters frames, whatever is in them, one in each batch. `onHeld` is called for each that had to wait for the rate. */
export function controlBudget (onHeld: () => void): Meter {
  const bucket = new TokenBucket({ rate: RATE, burst: BURST }, performance.now())
  let count = 0
  const held = async (): Promise<void> => {
    onHeld()
    do {
      await wait(PAUSE, undefined, { ref: false })
      bucket.refill(performance.now())
    } while (!bucket.take(1))
  }
  return () => {
    count++
    if (!bucket.take(1)) {
      bucket.refill(performance.now())
      if (!bucket.take(1)) return held()
    }
    return count % PER_TURN === 0 ? nextTurn() : undefined
  }
}

/** The same frames, at the pace of a meter. */
export const atPace = (link: Link, pass: Meter): Link => wrapLink(link, { source: meter(pass)(link.source), flow: undefined })
