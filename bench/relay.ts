/**
 * What a relay costs, beside the plainest relay that one would write with `ws`: packets forwarded in a second of processor
 * time, the price of connected peers that are silent, and memory for each of them.
 *
 * Both relays run in processes of their own during the whole run and are loaded in turn, so that a slower moment of the
 * machine meets both. Ratios are taken round by round.
 */
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { join, Pair } from './relay/load.ts'
import { randomBytes } from 'node:crypto'
import { BenchProcess } from './process.ts'
import { report, type Row } from './table.ts'

const ROUNDS = 5
const ROUND_MS = Number(process.env.BENCH_MS ?? 500)
const SIZES = [64, 1360]
const PAIRS = [1, 4]
const SILENT = [1, 10, 100, 1000]
const IDLE = 2000
/** Connections that are made before memory is measured, so that what the first ones load and grow is no part of the price. */
const WARM_UP = 500

const password = randomBytes(8).toString('hex')

const start = (name: string): Promise<BenchProcess> => BenchProcess.start(`./relay/${name}.js`, { BENCH_PASSWORD: password })

const rows: Row[] = []

const delivered = (pairs: Pair[]): number => pairs.reduce((sum, pair) => sum + pair.delivered, 0)

/** Packets delivered in a second of the relay's processor time, over one round. */
async function forward (relay: BenchProcess, pairs: Pair[]): Promise<number> {
  for (const pair of pairs) pair.start()
  const [before, from] = [await relay.usage(), delivered(pairs)]
  await delay(ROUND_MS)
  const [after, to] = [await relay.usage(), delivered(pairs)]
  for (const pair of pairs) pair.stop()
  await Promise.all(pairs.map((pair) => pair.drained()))
  if (after.dropped > before.dropped) throw new Error(`${relay.name} dropped ${after.dropped - before.dropped} packets, so its figure means nothing`)
  return (to - from) / ((after.cpu - before.cpu) / 1e6)
}

const open = (relay: BenchProcess, size: number, count: number): Promise<Pair[]> =>
  Promise.all(Array.from({ length: count }, () => Pair.open(relay.port, password, size)))

async function compare (ours: BenchProcess, rival: BenchProcess, size: number, count: number): Promise<void> {
  const [a, b] = [await open(ours, size, count), await open(rival, size, count)]
  const figures: [number[], number[], number[]] = [[], [], []]
  for (let round = -1; round < ROUNDS; round++) {
    const [mine, theirs] = [await forward(ours, a), await forward(rival, b)]
    if (round < 0) continue // warm-up
    figures[0].push(mine)
    figures[1].push(theirs)
    figures[2].push(mine / theirs)
  }
  for (const pair of [...a, ...b]) pair.close()
  const params = { size, pairs: count }
  report(rows, 'relay', ours.name, params, figures[0], 'packets/cpu-s')
  report(rows, 'relay', rival.name, params, figures[1], 'packets/cpu-s')
  report(rows, 'relay', 'ratio', params, figures[2], 'x')
}

/** One pair at work among ever more peers that are connected and silent, in one and the same relay. */
async function silentPeers (relay: BenchProcess, size: number): Promise<void> {
  const pair = await open(relay, size, 1)
  const figures: number[][] = SILENT.map(() => [])
  for (let round = -1; round < ROUNDS; round++) {
    const silent: Socket[] = []
    for (const [i, count] of SILENT.entries()) {
      while (silent.length < count - 1) silent.push(await join(relay.port, 0x0b00_0000 + silent.length, password))
      const figure = await forward(relay, pair)
      if (round >= 0) figures[i].push(figure)
    }
    for (const socket of silent) socket.destroy()
  }
  for (const [i, count] of SILENT.entries()) {
    report(rows, 'relay', 'one pair among silent peers', { size, peers: count }, figures[i], 'packets/cpu-s')
    if (i > 0) report(rows, 'relay', 'ratio to one pair alone', { size, peers: count }, figures[i].map((figure, round) => figure / figures[0][round]), 'x')
  }
  pair[0].close()
}

/** Memory of a connection that has authenticated and says nothing. */
async function idleMemory (): Promise<void> {
  for (const name of ['tunpipe-relay', 'plain-ws-relay'] as const) {
    const relay = await start(name)
    const sockets: Socket[] = []
    const connect = async (count: number): Promise<void> => {
      for (let i = 0; i < count; i++) sockets.push(await join(relay.port, 0x0c00_0000 + sockets.length, password))
    }
    await connect(WARM_UP)
    const before = await relay.usage(true)
    await connect(IDLE)
    const after = await relay.usage(true)
    report(rows, 'relay', `${name}, resident`, { connections: IDLE }, [(after.rss - before.rss) / IDLE / 1024], 'KiB/connection')
    report(rows, 'relay', `${name}, allocated`, { connections: IDLE }, [(after.heap - before.heap) / IDLE / 1024], 'KiB/connection')
    for (const socket of sockets) socket.destroy()
    await relay.stop()
  }
}

export async function relayBench (): Promise<Row[]> {
  const [ours, rival] = [await start('tunpipe-relay'), await start('plain-ws-relay')]
  for (const size of SIZES) {
    for (const count of PAIRS) await compare(ours, rival, size, count)
  }
  for (const size of SIZES) await silentPeers(ours, size)
  await Promise.all([ours.stop(), rival.stop()])
  await idleMemory()
  return rows
}
