/**
 * What a natpass relay forwards on one link, beside the plainest relay that one would write, and beside the original server where
 * `NATPASS_SERVER_BIN` names it: messages a second, and in a second of processor time. The echo of a keystroke, also beside `pipe()`
 * of TCP. Memory of a silent client.
 *
 * All relays run in processes of their own during the whole run and are loaded in turn, on one core, and their clients on another.
 */
import { randomBytes } from 'node:crypto'
import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { pinApart, unpin } from './lib/pin.ts'
import { BenchProcess } from './lib/process.ts'
import { beside, type Contestant } from './lib/row.ts'
import type { Run } from './lib/run.ts'
import { EchoServer, linkEcho } from './natpass-relay/echo.ts'
import { idle, Pair } from './natpass-relay/load.ts'
import { OriginalServer } from './natpass-relay/original.ts'

const SIZES = [64, 16 * 1024]
const IDLE = 2000
/** Clients before memory is measured, so that what the first ones load and grow is no part of the price. */
const WARM_UP = 500
/** Clients that are let in at a time. */
const TOGETHER = 50

const secret = randomBytes(8).toString('hex')

interface Relay extends Contestant {
  port: number
  pid: number
  /** Microseconds of processor time since the start. */
  cpu: () => number | Promise<number>
  stop: () => Promise<void>
}

const OURS = { name: 'tunpipe', ours: true, encrypted: false, script: 'natpass-relay/tunpipe-relay.js' }
const PLAIN = { name: 'plain relay', ours: false, encrypted: false, script: 'natpass-relay/plain-relay.js' }

async function start ({ name, ours, script }: typeof OURS): Promise<Relay> {
  const child = await BenchProcess.start(script, { BENCH_PASSWORD: secret })
  return { name, ours, encrypted: false, port: child.port, pid: child.pid, cpu: async () => (await child.usage()).cpu, stop: () => child.stop() }
}

async function startOriginal (program: string): Promise<Relay> {
  const server = await OriginalServer.start(program, secret)
  return { name: 'np-svr of NATPASS_SERVER_BIN', encrypted: false, port: server.port, pid: server.pid, cpu: () => server.cpu(), stop: () => server.stop() }
}

interface Figures {
  perSecond: number
  perCpuSecond: number
}

async function load ({ cpu }: Relay, pair: Pair, milliseconds: number): Promise<Figures> {
  pair.start()
  const [before, from, since] = [await cpu(), pair.delivered, performance.now()]
  await delay(milliseconds)
  const [after, to, until] = [await cpu(), pair.delivered, performance.now()]
  await pair.stop()
  return { perSecond: (to - from) / (until - since) * 1e3, perCpuSecond: (to - from) / (after - before) * 1e6 }
}

async function forwarding (run: Run, relays: Relay[]): Promise<void> {
  for (const size of SIZES) {
    const name = `forwarded on one link, ${size} B of data`
    const pairs = await Promise.all(relays.map(({ port }) => Pair.open(port, secret, size)))
    const figures = await run.inTurn(name, { rounds: run.rounds(5, 9), warmUps: 2 }, relays, (relay) => load(relay, pairs[relays.indexOf(relay)], run.full ? 1000 : 500))
    for (const pair of pairs) pair.close()
    run.add({ name, unit: 'messages/s' }, beside(relays, figures.map((rounds) => rounds.map(({ perSecond }) => perSecond))))
    run.add({ name, unit: 'messages/CPU-s' }, beside(relays, figures.map((rounds) => rounds.map(({ perCpuSecond }) => perCpuSecond))))
  }
}

/** @param hop a process that is `pipe()` to the server */
async function keystrokes (run: Run, relays: Relay[], hop: BenchProcess, server: EchoServer): Promise<void> {
  const name = 'a keystroke and its echo, 1 B of shell data'
  const subjects = [
    ...await Promise.all(relays.map(async ({ name, ours, port }) => ({ name, ours, encrypted: false, echo: await linkEcho(port, secret) }))),
    { name: 'pipe() of TCP', encrypted: false, echo: await server.dial(hop.port) }
  ]
  const times = await run.inTurn(name, { rounds: run.rounds(5, 9), warmUps: 4 }, subjects, async ({ echo }) => (await echo.exchanges(run.full ? 1000 : 500)).sort((a, b) => a - b))
  for (const { echo } of subjects) echo.close()
  for (const share of [50, 99]) {
    const at = (sorted: number[]): number => sorted[Math.floor(sorted.length * share / 100)]
    run.add({ name: `${name}, ${share}th percentile`, unit: 'ms', lessIsBetter: true }, beside(subjects, times.map((rounds) => rounds.map(at))))
  }
}

/** KiB of a client that has authenticated and says nothing: resident, allocated. */
async function idleMemory (script: string): Promise<[number, number]> {
  const relay = await BenchProcess.start(script, { BENCH_PASSWORD: secret })
  const sockets: Socket[] = []
  const connect = async (count: number): Promise<void> => {
    for (const until = sockets.length + count; sockets.length < until;) {
      sockets.push(...await Promise.all(Array.from({ length: Math.min(TOGETHER, until - sockets.length) }, (_, i) => {
        const n = sockets.length + i
        return idle(relay.port, secret, `idle${n}`, `127.0.${1 + (n >> 7)}.1`)
      })))
    }
  }
  const memory = await relay.memoryOf(IDLE, WARM_UP, connect)
  for (const socket of sockets) socket.destroy()
  await relay.stop()
  return memory
}

async function memory (run: Run): Promise<void> {
  const name = `memory of a silent client, of ${IDLE}`
  const figures = await run.inTurn(name, { rounds: run.rounds(1, 3) }, [OURS, PLAIN], ({ script }) => idleMemory(script))
  for (const [i, kind] of ['resident', 'allocated'].entries()) {
    run.add({ name: `${name}, ${kind}`, unit: 'KiB', lessIsBetter: true }, beside([OURS, PLAIN], figures.map((rounds) => rounds.map((figure) => figure[i]))))
  }
}

export async function natpassBench (run: Run): Promise<void> {
  const relays = [await start(OURS), await start(PLAIN)]
  const program = process.env.NATPASS_SERVER_BIN
  if (program === undefined) run.leaveOut('the original server', 'NATPASS_SERVER_BIN names none')
  else relays.push(await startOriginal(program))
  const server = new EchoServer()
  const hop = await BenchProcess.start('gotunnel/pipe-hop.js', { BENCH_TARGET: String(await server.listen()) })
  pinApart(run, [...relays, hop].map(({ pid }) => pid))
  await forwarding(run, relays)
  await keystrokes(run, relays, hop, server)
  unpin()
  server.close()
  for (const each of [...relays, hop]) await each.stop()
  await memory(run)
}
