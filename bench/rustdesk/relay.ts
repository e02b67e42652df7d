/** What a relay passes on, and what a pair costs that says nothing. */
import type { ServerLab } from './lab.ts'
import { compareRounds, startLoad } from './rounds.ts'
import type { Server } from './servers.ts'
import { addMemory, memoryOf } from './memory.ts'
import type { Run } from '../lib/run.ts'

/** Pairs before memory is measured, so that what the first ones load and grow is no part of the price. */
const WARM_UP = 1000
const IDLE = 2000

/** Bytes of TCP from one end of each pair to the other. */
export async function throughput (run: Run, lab: ServerLab, relays: readonly Server[]): Promise<void> {
  for (const pairs of [1, 8]) {
    await compareRounds(run, lab, relays, {
      name: pairs === 1 ? 'passed on, 1 pair' : `passed on, ${pairs} pairs`,
      unit: 'Gbit',
      scale: 8e-9,
      script: 'rustdesk/streams.js',
      env: () => ({ BENCH_PAIRS: String(pairs) }),
      message: { milliseconds: run.full ? 2000 : 1000 }
    })
  }
}

/** Pairs end after 30 s of silence, so that there is time for these. */
export async function pairMemory (run: Run, lab: ServerLab, relays: readonly Server[]): Promise<void> {
  const name = `memory of an idle pair, of ${IDLE}`
  const figures = await run.inTurn(name, { rounds: 1 }, relays, async (relay) => {
    const load = await startLoad(lab, relay, 'rustdesk/idle-pairs.js')
    const memory = await memoryOf(relay, load, IDLE, WARM_UP)
    await load.stop()
    return memory
  })
  addMemory(run, name, 'KiB', 1 / 1024, relays, figures)
}
