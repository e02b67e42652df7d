/**
 * Sends packets through a small network of its own, a relay and two peers in this process, so that the packet path is compiled and
 * optimised when the first packets of programs come. Of the relays and peers that are there already nothing is used but the code.
 *
 * They are connected by TCP over the loopback, and their interfaces are those of the system but for the device: V8 optimises code for the
 * classes of the objects that it has seen, so with others in their place the work would be lost.
 */
import { randomBytes } from 'node:crypto'
import { CandyPeer } from '../peer/peer.ts'
import { serveCandy } from '../relay/server.ts'
import { inSlices } from '../../../streams/slices.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'
import { ADDRESSES, type Ends, socketEnds, userspaceEnds } from './ends.ts'

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

/** Packets there and back, after which nothing becomes faster any more. */
const ROUNDS = 8000

/** Milliseconds: see `SlicesInit`. */
const SLICE = 4
const PAUSE = 6
const QUIET = 100
const BUDGET = 2000

/** Milliseconds after which it is given up: the process is not idle, or there is no loopback. */
const TIMEOUT = 15_000

/**
 * Settles when the work is done or has been given up, and everything it has made is gone. Never rejects: without it the first packets are
 * slower, and nothing else.
 *
 * @returns how many packets went there and back
 */
export async function warmUpCandy ({ role, packets, signal, clock = systemClock }: WarmUpInit): Promise<number> {
  const given = new AbortController()
  const giveUp = (): void => { given.abort() }
  signal.addEventListener('abort', giveUp, { once: true })
  const timer = clock.set(TIMEOUT, giveUp)
  timer.unref()
  if (signal.aborted) giveUp()
  try {
    const ends = role === 'relay' ? userspaceEnds() : await socketEnds()
    return await throughNetwork(ends, { packets, clock, given })
  } catch {
    return 0
  } finally {
    clock.clear(timer)
    signal.removeEventListener('abort', giveUp)
  }
}

async function throughNetwork (ends: Ends, { packets, clock, given }: { packets: () => number, clock: Clock, given: AbortController }): Promise<number> {
  const { signal } = given
  const closing: Array<() => Promise<void>> = [() => ends.close()]
  signal.addEventListener('abort', () => { void ends.close() }, { once: true }) // ends a packet that is on its way
  try {
    signal.throwIfAborted()
    const password = randomBytes(16).toString('hex') // for nobody else on this machine
    const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password })
    closing.push(() => server.close())
    await Promise.all(ends.tuns.map((tun, i) => {
      const peer = new CandyPeer({ url: server.url, password, address: `${ADDRESSES[i]}/24`, direct: false, tun })
      closing.push(() => peer.close())
      return new Promise<void>((resolve) => {
        peer.once('online', () => { resolve() })
        peer.once('offline', () => { given.abort() })
        peer.once('failed', () => { given.abort() })
        signal.addEventListener('abort', () => { resolve() }, { once: true })
        peer.start()
      })
    }))
    return await inSlices(() => ends.round(), { clock, signal, steps: ROUNDS, slice: SLICE, pause: PAUSE, budget: BUDGET, others: packets, quiet: QUIET })
  } finally {
    await Promise.allSettled(closing.map((close) => close()))
  }
}
