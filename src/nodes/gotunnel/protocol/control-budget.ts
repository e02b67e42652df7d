/**
 * What one control connection may ask of a process, at either end: a part of each turn of the event loop, and so much a second. Beyond
 * it, it waits. A message costs one, and one more for each {@link PIECE} behind the first: a large one takes as long as many.
 */
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { AbortableSource } from '../../../streams/abortable-source.ts'
import { wait } from '../../../streams/clock.ts'
import { nextTurn } from '../../../streams/turns.ts'
import { meter, type Meter } from '../../../streams/meter.ts'
import type { Batch, Clock, Link } from '../../../types.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'

/** Bytes; messages of the protocol have less. */
const PIECE = 256

/** What may be spent until the others have their turn. */
const PER_TURN = 32

/** A second, and at once: thousands of users may fail in one moment. */
const RATE = 1000
const BURST = 8192

/** What the control connections of one identity have together is so many times of that. */
const OF_ALL = 4

/** Milliseconds that one waits beyond that. */
const PAUSE = 50

/** For all control connections of one identity together. */
export const sharedBudget = (clock: Clock): TokenBucket => new TokenBucket({ rate: OF_ALL * RATE, burst: OF_ALL * BURST }, clock.now())

/**
 * Meters frames, whatever is in them, one in each batch.
 *
 * @param onHeld called for each that had to wait for the rate
 * @param shared what it has together with others. Default: nothing
 */
export function controlBudget (clock: Clock, onHeld: () => void, shared?: TokenBucket): Meter {
  const own = new TokenBucket({ rate: RATE, burst: BURST }, clock.now())
  let spent = 0
  const take = (cost: number): boolean => own.has(cost) && shared?.take(cost) !== false && own.take(cost)
  const refill = (): void => {
    own.refill(clock.now())
    shared?.refill(clock.now())
  }
  const held = async (cost: number): Promise<void> => {
    onHeld()
    do {
      await wait(clock, PAUSE, { ref: false })
      refill()
    } while (!take(cost))
  }
  return (bytes) => {
    const cost = Math.max(1, Math.ceil(bytes / PIECE))
    spent += cost
    if (!take(cost)) {
      refill()
      if (!take(cost)) return held(cost)
    }
    if (spent < PER_TURN) return undefined
    spent = 0
    return nextTurn()
  }
}

/** The same frames, at the pace of a meter. An abort does not wait for those that do. */
export function rateLimited (link: Link, pass: Meter): Link {
  const frames = new AbortableSource(meter(pass)(link.source))
  let reason: Error | undefined
  async function * source (): AsyncGenerator<Batch> {
    yield * frames
    if (reason !== undefined) throw reason
  }
  return wrapLink(link, {
    source: source(),
    flow: undefined,
    abort (err) {
      reason ??= err
      link.abort(err)
      frames.abort()
    }
  })
}
