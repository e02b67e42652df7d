/**
 * What a natpass relay forwards on one link, beside the plainest relay that one would write, and beside the original server where
 * `NATPASS_SERVER_BIN` names it: messages a second, and in a second of processor time.
 *
 * All relays run in processes of their own during the whole run and are loaded in turn, on one core, and their clients on another.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { BenchProcess } from './lib/process.ts'
import { beside, type Contestant } from './lib/row.ts'
import type { Run } from './lib/run.ts'
import { Pair } from './natpass-relay/load.ts'
import { OriginalServer } from './natpass-relay/original.ts'
import { pinApart, unpin } from './natpass-relay/pin.ts'

const SIZES = [64, 16 * 1024]

const secret = randomBytes(8).toString('hex')

interface Relay extends Contestant {
  port: number
  pid: number
  /** Microseconds of processor time since the start. */
  cpu: () => number | Promise<number>
  stop: () => Promise<void>
}

async function start (name: string, script: string, ours: boolean): Promise<Relay> {
  const child = await BenchProcess.start(`natpass-relay/${script}.js`, { BENCH_PASSWORD: secret })
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

export async function natpassBench (run: Run): Promise<void> {
  const relays = [await start('tunpipe', 'tunpipe-relay', true), await start('plain relay', 'plain-relay', false)]
  const program = process.env.NATPASS_SERVER_BIN
  if (program === undefined) run.leaveOut('the original server', 'NATPASS_SERVER_BIN names none')
  else relays.push(await startOriginal(program))
  pinApart(run, relays.map(({ pid }) => pid))
  for (const size of SIZES) {
    const name = `forwarded on one link, ${size} B of data`
    const pairs = await Promise.all(relays.map(({ port }) => Pair.open(port, secret, size)))
    const figures = await run.inTurn(name, { rounds: run.rounds(5, 9), warmUps: 2 }, relays, (relay) => load(relay, pairs[relays.indexOf(relay)], run.full ? 1000 : 500))
    for (const pair of pairs) pair.close()
    run.add({ name, unit: 'messages/s' }, beside(relays, figures.map((rounds) => rounds.map(({ perSecond }) => perSecond))))
    run.add({ name, unit: 'messages/CPU-s' }, beside(relays, figures.map((rounds) => rounds.map(({ perCpuSecond }) => perCpuSecond))))
  }
  unpin()
  for (const relay of relays) await relay.stop()
}
