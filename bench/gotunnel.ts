/**
 * What a reverse TCP port costs, beside the plainest chain of two hops that one would write in Node, `pipe()` both ways: bytes
 * of one stream, connections a second, the time of small exchanges, and memory for each user.
 *
 * Relay, peer, both hops of the rival and the service run in processes of their own during the whole run and are loaded in turn,
 * so that a slower moment of the machine meets both. Ratios are taken round by round. Neither encrypts.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { churn, download, exchanges, idle, upload } from './gotunnel/users.ts'
import { BenchProcess } from './process.ts'
import { report, type Row } from './table.ts'

const ROUNDS = 5
/** Rounds before those that count: so many until what is compiled while it runs is compiled. */
const FIRST_ROUNDS = 3
const ROUND_MS = Number(process.env.BENCH_MS ?? 1000)
const STREAM = 1024 ** 3
const AT_ONCE = 16
const USERS = [1, 100, 1000]
const IDLE = 1000
/** Users before memory is measured, so that what the first ones load and grow is no part of the price. */
const WARM_UP = 500

const rows: Row[] = []

const tell = (what: string, name: string, params: Record<string, number | string>, values: number[], unit: string): void => { report(rows, 'gotunnel', what, { of: name, ...params }, values, unit) }

/** One way from users to the service. */
interface Chain {
  name: string
  /** Where users connect. */
  port: number
  /** The process that users connect to. */
  front: BenchProcess
}

/** Both in turn. */
async function compare (what: string, [ours, rival]: [Chain, Chain], unit: string, scale: number, run: (port: number) => Promise<number>): Promise<void> {
  const figures: [number[], number[], number[]] = [[], [], []]
  for (let round = -FIRST_ROUNDS; round < ROUNDS; round++) {
    const [mine, theirs] = [await run(ours.port), await run(rival.port)]
    if (round < 0) continue
    figures[0].push(mine * scale)
    figures[1].push(theirs * scale)
    figures[2].push(mine / theirs)
  }
  tell(what, ours.name, {}, figures[0], unit)
  tell(what, rival.name, {}, figures[1], unit)
  tell(what, 'ratio', {}, figures[2], 'x')
}

const percentile = (sorted: number[], share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))]

async function latency (chains: Chain[], users: number): Promise<void> {
  const found = chains.map(() => ({ p50: [] as number[], p99: [] as number[] }))
  for (let round = -1; round < ROUNDS; round++) {
    for (const [i, { port }] of chains.entries()) {
      const times = (await exchanges(port, users, ROUND_MS)).sort((a, b) => a - b)
      if (round < 0) continue
      found[i].p50.push(percentile(times, 0.5) * 1000)
      found[i].p99.push(percentile(times, 0.99) * 1000)
    }
  }
  for (const [i, { name }] of chains.entries()) {
    tell('64 B and back, p50', name, { users }, found[i].p50, 'us')
    tell('64 B and back, p99', name, { users }, found[i].p99, 'us')
  }
}

async function idleMemory ({ name, port, front }: Chain): Promise<void> {
  const sockets: Socket[] = []
  const connect = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) sockets.push(await idle(port))
  }
  await connect(WARM_UP)
  const before = await front.usage(true)
  await connect(IDLE)
  const after = await front.usage(true)
  tell('idle user, resident', name, { users: IDLE }, [(after.rss - before.rss) / IDLE / 1024], 'KiB/user')
  tell('idle user, allocated', name, { users: IDLE }, [(after.heap - before.heap) / IDLE / 1024], 'KiB/user')
  for (const socket of sockets) socket.destroy()
}

export async function gotunnelBench (): Promise<Row[]> {
  const start = async (script: string, env: Record<string, string | number> = {}): Promise<BenchProcess> =>
    await BenchProcess.start(`./gotunnel/${script}.js`, Object.fromEntries(Object.entries(env).map(([key, value]) => [key, String(value)])))
  const BENCH_PASSWORD = randomBytes(8).toString('hex')
  const service = await start('service')
  const relay = await start('tunpipe-relay', { BENCH_PASSWORD })
  const peer = await start('tunpipe-peer', { BENCH_PASSWORD, BENCH_SERVER: relay.port, BENCH_TARGET: service.port })
  const back = await start('pipe-hop', { BENCH_TARGET: service.port })
  const front = await start('pipe-hop', { BENCH_TARGET: back.port })
  const chains: [Chain, Chain] = [{ name: 'tunpipe', port: peer.port, front: relay }, { name: 'pipe() chain', port: front.port, front }]

  await compare('one stream to the service', chains, 'Gbit/s', 8e-9, (port) => upload(port, STREAM))
  await compare('one stream from the service', chains, 'Gbit/s', 8e-9, (port) => download(port, STREAM))
  await compare('connect, 64 B and back, leave', chains, 'connections/s', 1, (port) => churn(port, ROUND_MS, AT_ONCE))
  for (const users of USERS) await latency(chains, users)
  for (const chain of chains) await idleMemory(chain)
  for (const process of [peer, relay, front, back, service]) await process.stop()
  return rows
}
