/**
 * What a reverse TCP port costs, beside the plainest chain of two hops that one would write in Node, `pipe()` both ways: bytes
 * of one stream, connections a second, the time of small exchanges, and memory for each user.
 *
 * Relay, peer, both hops of the rival and the service run in processes of their own during the whole run and are loaded in turn,
 * so that a slower moment of the machine meets both. Neither encrypts.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { churn, download, exchanges, idle, upload } from './gotunnel/users.ts'
import { BenchProcess } from './lib/process.ts'
import { beside, type Contestant } from './lib/row.ts'
import type { Run, Turns } from './lib/run.ts'

const AT_ONCE = 16
const IDLE = 1000
/** Users before memory is measured, so that what the first ones load and grow is no part of the price. */
const WARM_UP = 500

/** One way from users to the service. */
interface Chain extends Contestant {
  /** Where users connect. */
  port: number
  /** The process that users connect to. */
  front: BenchProcess
}

const percentile = (sorted: number[], share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]

async function latency (run: Run, turns: Turns, chains: Chain[], users: number, milliseconds: number): Promise<void> {
  const name = `64 B and back, ${users === 1 ? '1 user' : `${users} users at once`}`
  const times = await run.inTurn(name, turns, chains, async ({ port }) => (await exchanges(port, users, milliseconds)).sort((a, b) => a - b))
  for (const share of [50, 99]) {
    run.add({ name: `${name}, ${share}th percentile`, unit: 'ms', lessIsBetter: true }, beside(chains, times.map((rounds) => rounds.map((sorted) => percentile(sorted, share / 100)))))
  }
}

/** KiB for each user of the process that they connect to: resident, allocated. */
async function idleMemory ({ port, front }: Chain): Promise<[number, number]> {
  const sockets: Socket[] = []
  const connect = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) sockets.push(await idle(port))
  }
  await connect(WARM_UP)
  const before = await front.usage(true)
  await connect(IDLE)
  const after = await front.usage(true)
  for (const socket of sockets) socket.destroy()
  return [(after.rss - before.rss) / IDLE / 1024, (after.heap - before.heap) / IDLE / 1024]
}

async function memory (run: Run, chains: Chain[]): Promise<void> {
  const name = `memory of a silent user, of ${IDLE}`
  // One round: what later ones need is there already.
  const figures = await run.inTurn(name, { rounds: 1 }, chains, idleMemory)
  for (const [i, kind] of ['resident', 'allocated'].entries()) {
    run.add({ name: `${name}, ${kind}`, unit: 'KiB', lessIsBetter: true }, beside(chains, figures.map((rounds) => rounds.map((figure) => figure[i]))))
  }
}

export async function gotunnelBench (run: Run): Promise<void> {
  const start = async (script: string, env: Record<string, string | number> = {}): Promise<BenchProcess> =>
    await BenchProcess.start(`gotunnel/${script}.js`, Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)])))
  const BENCH_PASSWORD = randomBytes(8).toString('hex')
  const service = await start('service')
  const relay = await start('tunpipe-relay', { BENCH_PASSWORD })
  const peer = await start('tunpipe-peer', { BENCH_PASSWORD, BENCH_SERVER: relay.port, BENCH_TARGET: service.port })
  const back = await start('pipe-hop', { BENCH_TARGET: service.port })
  const front = await start('pipe-hop', { BENCH_TARGET: back.port })
  const chains: Chain[] = [{ name: 'tunpipe', ours: true, encrypted: false, port: peer.port, front: relay }, { name: 'pipe() chain', encrypted: false, port: front.port, front }]

  // Three rounds do not count: so many until what is compiled while it runs is compiled.
  const turns = { rounds: run.rounds(2, 5), warmUps: run.full ? 3 : 1 }
  const milliseconds = run.full ? 1000 : 400
  const stream = (run.full ? 1024 : 256) * 1024 ** 2
  for (const [name, bytesPerSecond] of [['one stream to the service', upload], ['one stream from the service', download]] as const) {
    const rates = await run.inTurn(name, turns, chains, async ({ port }) => await bytesPerSecond(port, stream) * 8e-9)
    run.add({ name, unit: 'Gbit/s' }, beside(chains, rates))
  }
  const name = `connect, 64 B and back, leave, ${AT_ONCE} at a time`
  run.add({ name, unit: 'connections/s' }, beside(chains, await run.inTurn(name, turns, chains, ({ port }) => churn(port, milliseconds, AT_ONCE))))
  for (const users of run.full ? [1, 100, 1000] : [1, 100]) await latency(run, turns, chains, users, milliseconds)
  await memory(run, chains)
  for (const process of [peer, relay, front, back, service]) await process.stop()
}
