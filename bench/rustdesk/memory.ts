/** Memory of servers: of each peer, of each pair; and how long one takes that has many peers. */
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { ServerLab } from './lab.ts'
import { startLoad, tellLoad } from './rounds.ts'
import { Server, type ServerInit } from './servers.ts'
import type { BenchProcess } from '../lib/process.ts'
import { beside, type Contestant } from '../lib/row.ts'
import type { Run } from '../lib/run.ts'

const PEERS = 100_000
/** New peers before memory is measured. */
const WARM_UP = 2000

/** Bytes for each of what was made. */
interface Memory {
  resident: number
  allocated?: number
}

/** @param load makes so many, which stay; first a few, so that what is made once does not count */
export async function memoryOf (server: Server, load: BenchProcess, count: number, warmUp: number): Promise<Memory> {
  await tellLoad(load, { from: PEERS, count: warmUp })
  const before = await server.memory()
  await tellLoad(load, { from: 0, count })
  const after = await server.memory()
  return {
    resident: (after.resident - before.resident) / count,
    allocated: after.allocated === undefined || before.allocated === undefined ? undefined : (after.allocated - before.allocated) / count
  }
}

/** Rows of resident memory, and of what programs in Node have allocated. */
export function addMemory (run: Run, name: string, unit: string, scale: number, contestants: readonly Contestant[], figures: Memory[][]): void {
  for (const kind of ['resident', 'allocated'] as const) {
    run.add({ name: `${name}, ${kind}`, unit, lessIsBetter: true }, beside(contestants, figures.map((rounds) => rounds.flatMap(({ [kind]: bytes }) => bytes === undefined ? [] : [bytes * scale]))))
  }
}

/** A folder with a database of peers. */
async function folderOfPeers (lab: ServerLab): Promise<string> {
  const folder = lab.newFolder()
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('peers-database.js', import.meta.url)), folder, String(PEERS)])
  return folder
}

/** A server with many peers in its database: its start, and its memory when all of them are there. */
export async function manyPeers (run: Run, lab: ServerLab, inits: readonly ServerInit[]): Promise<void> {
  const subjects = await Promise.all(inits.map(async (init) => ({ ...init, encrypted: false, folder: await folderOfPeers(lab) })))
  const start = `start with a database of ${PEERS} peers`
  const times = await run.inTurn(start, { rounds: run.rounds(3, 5), warmUps: 1 }, subjects, async (init) => {
    const before = performance.now()
    const server = await Server.start(lab, init, init.folder)
    const milliseconds = performance.now() - before
    await server.stop()
    return milliseconds
  })
  run.add({ name: start, unit: 'ms', lessIsBetter: true }, beside(subjects, times))

  const name = `memory of a peer, of ${PEERS}`
  const figures = await run.inTurn(name, { rounds: 1 }, subjects, async (init) => {
    const server = await Server.start(lab, init, init.folder)
    const load = await startLoad(lab, server, 'rustdesk/registrations.js')
    const memory = await memoryOf(server, load, PEERS, WARM_UP)
    await load.stop()
    await server.stop()
    return memory
  })
  addMemory(run, name, 'B', 1, subjects, figures)
}
