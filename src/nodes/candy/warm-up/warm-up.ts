/**
 * Sends packets through a small network of its own, a relay and two peers in this process, so that the packet path is compiled and
 * optimised when the first packets of programs come. Of the relays and peers that are there already nothing is used but the code.
 *
 * They are connected by TCP over the loopback, and their interfaces are those of the system but for the device: V8 optimises code for the
 * classes of the objects that it has seen, so with others in their place the work would be lost.
 */
import { inSlices } from '../../../streams/slices.ts'
import { systemClock, wait } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'
import { socketEnds, userspaceEnds, type Ends } from './ends.ts'
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
const WAYS: Record<WarmUpInit['role'], readonly [Way, ...Way[]]> = { relay: [[false, false]], peer: [[true, false], [true, true]] }

/** Packets before the start, and milliseconds after which it does not wait for them any more. */
const FIRST_ROUNDS = 16
const FIRST_TIMEOUT = 500

/**
 * To be called before the relay or the peer is made: a few packets, for some 50 ms. V8 gives objects another class once a field has had a
 * fraction, or an array something else than numbers. Those that are made later have that class from the beginning, as have those of
 * `warmUpCandy`; otherwise the real ones would be strangers to the optimised code, and their first packets would discard it.
 *
 * Never rejects, and takes half a second at most.
 */
export async function prepareCandy ({ role, clock = systemClock }: Pick<WarmUpInit, 'role' | 'clock'>): Promise<void> {
  const [way] = WAYS[role]
  const done = new AbortController()
  const work = within({ timeout: FIRST_TIMEOUT, clock }, async (given) => throughNetworks(role, [way], given, async (ends) => {
    for (let i = 0; i < FIRST_ROUNDS && !given.signal.aborted; i++) await ends.round()
  })).finally(() => { done.abort() })
  await Promise.race([work, wait(clock, FIRST_TIMEOUT, { signal: done.signal, ref: false }).catch(() => {})]) // what it has made may take longer to go
}

/**
 * Settles when the work is done or has been given up, and everything it has made is gone. Never rejects: without it the first packets are
 * slower, and nothing else.
 *
 * @returns how many packets went there and back on each way
 */
export async function warmUpCandy ({ role, packets, signal, clock = systemClock }: WarmUpInit): Promise<number[]> {
  const rounds: number[] = []
  await within({ timeout: TIMEOUT, clock, signal }, async (given) => throughNetworks(role, WAYS[role], given, async (ends) => {
    rounds.push(await inSlices(() => ends.round(), { clock, signal: given.signal, steps: ROUNDS, slice: SLICE, pause: PAUSE, budget: BUDGET, others: packets, quiet: QUIET }))
  }))
  return rounds
}

/** Gives work a time, and aborts it then, or with the signal. Never rejects. */
async function within ({ timeout, clock, signal }: { timeout: number, clock: Clock, signal?: AbortSignal }, work: (given: AbortController) => Promise<void>): Promise<void> {
  const given = new AbortController()
  const giveUp = (): void => { given.abort() }
  signal?.addEventListener('abort', giveUp, { once: true })
  const timer = clock.set(timeout, giveUp)
  timer.unref()
  if (signal?.aborted === true) giveUp()
  await work(given).catch(() => {}) // given up
  clock.clear(timer)
  signal?.removeEventListener('abort', giveUp)
}

/** Calls `use` with a network for each way, one after the other. */
async function throughNetworks (role: WarmUpInit['role'], ways: readonly Way[], given: AbortController, use: (ends: Ends) => Promise<void>): Promise<void> {
  given.signal.throwIfAborted()
  const ends = role === 'relay' ? userspaceEnds() : await socketEnds()
  given.signal.addEventListener('abort', () => { ends.close().catch(() => {}) }, { once: true }) // ends a packet that is on its way
  try {
    for (const way of ways) {
      given.signal.throwIfAborted()
      const network = await openNetwork(ends, way, given)
      try {
        await use(ends)
      } finally {
        await network.close()
      }
    }
  } finally {
    await ends.close()
  }
}
