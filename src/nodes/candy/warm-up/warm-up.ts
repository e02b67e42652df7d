/**
 * Sends packets through a small network of its own, a relay and two peers in this process, so that the packet path is compiled and
 * optimised when the first packets of programs come. Of the relays and peers that are there already nothing is used but the code.
 *
 * They are connected by TCP over the loopback, and their interfaces are those of the system but for the device: V8 optimises code for the
 * classes of the objects that it has seen, so with others in their place the work would be lost.
 */
import { inSlices } from '../../../streams/slices.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'
import { socketEnds, userspaceEnds } from './ends.ts'
import { openNetwork, type Way } from './network.ts'

export interface WarmUpInit {
  /** What this process is going to be. */
  role: 'relay' | 'peer'
  /** Packets of others so far: as soon as there are more, the work waits. */
  packets (): number
  /** Ends the work. */
  signal: AbortSignal
  /** Default: that of the system. */
  clock?: Clock
}

/** Packets there and back on each way, after which nothing becomes faster any more. */
const ROUNDS = 8000

/** Milliseconds: see `SlicesInit`. The budget is that of each way. */
const SLICE = 4
const PAUSE = 6
const QUIET = 100
const BUDGET = 2000

/** Milliseconds after which it is given up: the process is not idle, or there is no loopback. */
const TIMEOUT = 30_000

/** One that looks for paths, and finds none, has most of its code in use; then a path is found. */
const WAYS: Record<WarmUpInit['role'], readonly Way[]> = { relay: [[false, false]], peer: [[true, false], [true, true]] }

/**
 * Settles when the work is done or has been given up, and everything it has made is gone. Never rejects: without it the first packets are
 * slower, and nothing else.
 *
 * @returns how many packets went there and back on each way
 */
export async function warmUpCandy ({ role, packets, signal, clock = systemClock }: WarmUpInit): Promise<number[]> {
  const given = new AbortController()
  const giveUp = (): void => { given.abort() }
  signal.addEventListener('abort', giveUp, { once: true })
  const timer = clock.set(TIMEOUT, giveUp)
  timer.unref()
  if (signal.aborted) giveUp()
  const rounds: number[] = []
  try {
    const ends = role === 'relay' ? userspaceEnds() : await socketEnds()
    given.signal.addEventListener('abort', () => { void ends.close() }, { once: true }) // ends a packet that is on its way
    try {
      for (const way of WAYS[role]) {
        given.signal.throwIfAborted()
        const network = await openNetwork(ends, way, given)
        try {
          rounds.push(await inSlices(() => ends.round(), { clock, signal: given.signal, steps: ROUNDS, slice: SLICE, pause: PAUSE, budget: BUDGET, others: packets, quiet: QUIET }))
        } finally {
          await network.close()
        }
      }
    } finally {
      await ends.close()
    }
  } catch {
    // given up
  } finally {
    clock.clear(timer)
    signal.removeEventListener('abort', giveUp)
  }
  return rounds
}
