/**
 * The budget of one control connection, at either end: a number of messages in each turn of the event loop, and a rate. Beyond it the
 * connection waits. A message costs one, plus one for each further {@link PIECE}, as a large one takes longer.
 */
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { AbortableSource } from '../../../streams/abortable-source.ts'
import { wait } from '../../../streams/clock.ts'
import { nextTurn } from '../../../streams/turns.ts'
import { meter, type Meter } from '../../../streams/meter.ts'
import type { Batch, Clock, Link } from '../../../types.ts'
import { wrapLink } from '../../../streams/wrap-link.ts'

/** Bytes; messages of the protocol are shorter. */
const PIECE = 256

/** Messages until other connections have their turn. */
const PER_TURN = 32

/** Messages a second, and the burst: thousands of users may fail at once. */
const RATE = 1000
const BURST = 8192

/** The budget of all control connections of one identity, as a multiple of that. */
const OF_ALL = 4

/** Milliseconds between attempts while the budget is exceeded. */
const PAUSE = 50

/** The budget of all control connections of one identity. */
export const sharedBudget = (clock: Clock): TokenBucket => new TokenBucket({ rate: OF_ALL * RATE, burst: OF_ALL * BURST }, clock.now())

/**
 * Meters frames, one in each batch, whatever their content.
 *
 * @param onHeld called for each frame that has to wait for the rate
 * @param shared a budget that it shares with other connections. Default: none
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

/** The same link, its frames paced by a meter. An abort does not wait for held frames. */
export function rateLimited (link: Link, budget: Meter): Link {
  const frames = new AbortableSource(meter(budget)(link.source))
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
