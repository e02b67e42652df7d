/**
 * What a relay costs, beside the plainest relay that one would write with `ws`: packets forwarded in a second of processor
 * time, the price of connected peers that are silent, and memory for each of them; over `ws` and over `wss`.
 *
 * Both relays run in processes of their own during the whole run and are loaded in turn.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { cert, key } from '../test/helpers/certificates.ts'
import { join, Pair, settled, type Way } from './relay/load.ts'
import { BenchProcess } from './lib/process.ts'
import { workersBench } from './relay/workers.ts'
import { beside, type Contestant } from './lib/row.ts'
import type { Run } from './lib/run.ts'

const SIZES = [64, 1360]
const PEERS = [2, 10, 100, 1000]
const SCHEMES = ['ws', 'wss'] as const
const IDLE = 1000
/** Connections that are made before memory is measured, so that what the first ones load and grow is no part of the price. */
const WARM_UP = 500

type Scheme = typeof SCHEMES[number]

const OURS = 'tunpipe'
const RIVAL = 'plain relay of ws'

const password = randomBytes(8).toString('hex')

/** A relay under test. */
interface Relay extends Contestant {
  process: BenchProcess
  way: Way
}

async function start (scheme: Scheme, ours: boolean): Promise<Relay> {
  const env = { BENCH_PASSWORD: password, ...scheme === 'wss' && { BENCH_CERT: cert, BENCH_KEY: key } }
  const process = await BenchProcess.start(`relay/${ours ? 'tunpipe' : 'plain-ws'}-relay.js`, env)
  return { name: ours ? OURS : RIVAL, ours, encrypted: scheme === 'wss', process, way: { port: process.port, password, tls: scheme === 'wss' } }
}

const delivered = (pairs: Pair[]): number => pairs.reduce((sum, pair) => sum + pair.delivered, 0)

/** Packets delivered in a second of the relay's processor time, over one round. */
async function forward (relay: BenchProcess, pairs: Pair[], milliseconds: number): Promise<number> {
  for (const pair of pairs) pair.start()
  const [before, from] = [await relay.usage(), delivered(pairs)]
  await delay(milliseconds)
  const [after, to] = [await relay.usage(), delivered(pairs)]
  for (const pair of pairs) pair.stop()
  await settled(pairs, async () => (await relay.usage()).count - before.count, to - from)
  return (to - from) / ((after.cpu - before.cpu) / 1e6)
}

const open = (way: Way, size: number, count: number): Promise<Pair[]> => Promise.all(Array.from({ length: count }, () => Pair.open(way, size)))

const UNIT = 'packets/CPU-s'

const roundLength = (run: Run): number => run.full ? 500 : 250

async function forwarding (run: Run, scheme: Scheme, relays: Relay[]): Promise<void> {
  for (const size of SIZES) {
    for (const count of run.full ? [1, 4] : [1]) {
      const name = `forwarded over ${scheme}, packets of ${size} B, ${count === 1 ? '1 pair' : `${count} pairs`}`
      const pairs = await Promise.all(relays.map(({ way }) => open(way, size, count)))
      const rates = await run.inTurn(name, { rounds: run.rounds(3, 5), warmUps: 1 }, relays, (relay) => forward(relay.process, pairs[relays.indexOf(relay)], roundLength(run)))
      for (const pair of pairs.flat()) pair.close()
      run.add({ name, unit: UNIT }, beside(relays, rates))
    }
  }
}

/**
 * To our own peers in batches, to original clients in whole frames, over the same relay and segments as on Ethernet. A record for each
 * segment costs what a write costs.
 */
async function wholeFrames (run: Run, { process, way }: Relay): Promise<void> {
  const batched = 'to our own peers, in batches'
  const subjects = [{ name: batched }, { name: 'to original clients, in whole frames', greeting: 'candy::linux::6.1.8::bench' }]
  if (globalThis.process.platform !== 'linux') {
    run.leaveOut('whole frames', 'takes Linux')
    return
  }
  for (const size of SIZES) {
    const name = `forwarded in segments of Ethernet, packets of ${size} B, 1 pair`
    const pairs = await Promise.all(subjects.map(({ greeting }) => open({ ...way, ethernet: true, greeting }, size, 1)))
    const rates = await run.inTurn(name, { rounds: run.rounds(3, 9), warmUps: 1 }, subjects, (subject) => forward(process, pairs[subjects.indexOf(subject)], roundLength(run)))
    for (const pair of pairs.flat()) pair.close()
    run.add({ name, unit: UNIT }, subjects.map(({ name }, i) => ({ of: name, ours: true, encrypted: false, values: rates[i], against: i > 0 ? [batched] : [] })))
  }
}

/** One pair at work among ever more peers that are connected and silent, in one and the same relay. */
async function silentPeers (run: Run, { process, way }: Relay, size: number): Promise<void> {
  const name = `forwarded, packets of ${size} B, 1 pair among silent peers`
  const pair = await open(way, size, 1)
  const silent: Socket[] = []
  const subjects = PEERS.map((peers) => ({ name: `${peers} peers`, peers }))
  const rates = await run.inTurn(name, { rounds: run.rounds(2, 5), warmUps: 1 }, subjects, async ({ peers }) => {
    for (const socket of silent.splice(peers - 2)) socket.destroy()
    while (silent.length < peers - 2) silent.push(await join(way, 0x0b00_0000 + silent.length))
    return await forward(process, pair, roundLength(run))
  })
  for (const socket of silent) socket.destroy()
  pair[0].close()
  run.add({ name, unit: UNIT }, subjects.map(({ name }, i) => ({ of: name, ours: true, encrypted: false, values: rates[i], against: i > 0 ? [subjects[0].name] : [] })))
}

/** Memory of a connection that has authenticated and says nothing: KiB resident, KiB allocated. */
async function idleMemory (scheme: Scheme, ours: boolean): Promise<[number, number]> {
  const { process, way } = await start(scheme, ours)
  const sockets: Socket[] = []
  const connect = async (count: number): Promise<void> => {
    for (let i = 0; i < count; i++) sockets.push(await join(way, 0x0c00_0000 + sockets.length))
  }
  const memory = await process.memoryOf(IDLE, WARM_UP, connect)
  for (const socket of sockets) socket.destroy()
  await process.stop()
  return memory
}

async function memory (run: Run, scheme: Scheme): Promise<void> {
  const subjects = [{ name: OURS, ours: true, encrypted: scheme === 'wss' }, { name: RIVAL, ours: false, encrypted: scheme === 'wss' }]
  const name = `memory of a silent connection over ${scheme}, of ${IDLE}`
  const figures = await run.inTurn(name, { rounds: run.rounds(1, 3) }, subjects, ({ ours }) => idleMemory(scheme, ours))
  for (const [i, kind] of ['resident', 'allocated'].entries()) {
    run.add({ name: `${name}, ${kind}`, unit: 'KiB', lessIsBetter: true }, beside(subjects, figures.map((rounds) => rounds.map((figure) => figure[i]))))
  }
}

export async function relayBench (run: Run): Promise<void> {
  for (const scheme of SCHEMES) {
    const relays = [await start(scheme, true), await start(scheme, false)]
    await forwarding(run, scheme, relays)
    if (scheme === 'ws') await wholeFrames(run, relays[0])
    if (scheme === 'ws') for (const size of run.full ? SIZES : [1360]) await silentPeers(run, relays[0], size)
    for (const { process } of relays) await process.stop()
  }
  await workersBench(run, password, run.full ? SIZES : [1360])
  await memory(run, 'ws')
  if (run.full) await memory(run, 'wss')
  else run.leaveOut('memory of a silent connection over wss', 'only with --full')
}
