/** What it costs to deal connections out among threads: a relay with one worker beside one with two, each with many connections. */
import { setTimeout as delay } from 'node:timers/promises'
import { BenchProcess } from '../lib/process.ts'
import type { Run } from '../lib/run.ts'
import { Pair, settled } from './load.ts'

const COUNTS = [1, 2]
const PAIRS = 32

interface Subject {
  name: string
  process: BenchProcess
  pairs: Pair[]
}

interface Figures {
  /** Microseconds of processor time, all threads together. */
  cost: number
  /** Packets a second. */
  rate: number
}

async function start (password: string, workers: number, size: number): Promise<Subject> {
  const process = await BenchProcess.start('relay/tunpipe-relay.js', { BENCH_PASSWORD: password, BENCH_WORKERS: String(workers) })
  const way = { port: process.port, password, tls: false }
  const pairs = await Promise.all(Array.from({ length: PAIRS }, () => Pair.open(way, size)))
  return { name: workers === 1 ? '1 worker' : `${workers} workers`, process, pairs }
}

const delivered = (pairs: Pair[]): number => pairs.reduce((sum, pair) => sum + pair.delivered, 0)

async function load ({ process, pairs }: Subject, milliseconds: number): Promise<Figures> {
  for (const pair of pairs) pair.start()
  const [before, from, since] = [await process.usage(), delivered(pairs), performance.now()]
  await delay(milliseconds)
  const [after, to, until] = [await process.usage(), delivered(pairs), performance.now()]
  for (const pair of pairs) pair.stop()
  await settled(pairs, async () => (await process.usage()).count - before.count, to - from)
  return { cost: (after.cpu - before.cpu) / (to - from), rate: (to - from) / (until - since) * 1000 }
}

export async function workersBench (run: Run, password: string, sizes: readonly number[]): Promise<void> {
  if (process.platform !== 'linux') {
    run.leaveOut('two workers', 'only Linux deals connections out')
    return
  }
  for (const size of sizes) {
    const name = `${2 * PAIRS} connections, packets of ${size} B`
    const subjects = await Promise.all(COUNTS.map((workers) => start(password, workers, size)))
    const figures = await run.inTurn(name, { rounds: run.rounds(3, 7), warmUps: 1 }, subjects, (subject) => load(subject, run.full ? 1000 : 300))
    for (const { pairs, process } of subjects) {
      for (const pair of pairs) pair.close()
      await process.stop()
    }
    const rows = (figure: keyof Figures) => subjects.map(({ name }, i) => ({
      of: name, ours: true, encrypted: false, values: figures[i].map((each) => each[figure]), against: i > 0 ? [subjects[0].name] : []
    }))
    run.add({ name: `${name}, processor time of one`, unit: 'us', lessIsBetter: true }, rows('cost'))
    run.add({ name: `${name}, all together`, unit: 'packets/s' }, rows('rate'))
  }
}
