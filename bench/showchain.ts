/** What a SHOW CHAIN helper does for its processor time, beside the verifications that it cannot do without, and its memory of a node. */
import { BenchProcess } from './lib/process.ts'
import { beside } from './lib/row.ts'
import { streamRows } from './showchain/streams.ts'
import type { Run } from './lib/run.ts'

const RAW = 'crypto.verify alone'
const ON_THREADS = 'crypto.verify alone, on other threads'

/** Signatures that an introduction takes: that of R, and that of T. */
const VERIFICATIONS = 2

const NODES = 10_000

/** Milliseconds: less than after which a node is gone. */
const REST = 15_000

async function tell (load: BenchProcess, message: object): Promise<void> {
  const { error } = await load.ask<{ error?: string }>(message)
  if (error !== undefined) throw new Error(error)
}

/** Microseconds of processor time of a process for each of what was done. */
async function costOf (subject: BenchProcess, count: number, work: () => Promise<void>): Promise<number> {
  const before = await subject.usage()
  await work()
  return ((await subject.usage()).cpu - before.cpu) / count
}

async function introductions (run: Run): Promise<void> {
  const count = run.full ? 4096 : 2048
  const relay = await BenchProcess.start('showchain/relay.js')
  const raw = await BenchProcess.start('showchain/relay.js', { BENCH_ROLE: 'verify' })
  const load = await BenchProcess.start('showchain/load.js', { BENCH_PORT: String(relay.port) })
  try {
    await tell(load, { register: 192 })
    const name = 'introductions, 64 at once'
    const subjects = [
      { name: 'tunpipe', cost: () => costOf(relay, count, () => tell(load, { introduce: count })) },
      { name: ON_THREADS, cost: () => costOf(raw, count, async () => { await raw.ask({ count: count * VERIFICATIONS, onThreads: true }) }) },
      { name: RAW, cost: () => costOf(raw, count, async () => { await raw.ask({ count: count * VERIFICATIONS, onThreads: false }) }) }
    ]
    const costs = await run.inTurn(name, { rounds: run.rounds(5, 9), warmUps: 2 }, subjects, ({ cost }) => cost())
    const perSecond = costs.map((rounds) => rounds.map((microseconds) => 1e6 / microseconds))
    run.add({ name, unit: 'introductions/CPU-s' }, beside([{ name: 'tunpipe', ours: true }, { name: ON_THREADS }, { name: RAW }], perSecond))
  } finally {
    for (const each of [load, relay, raw]) await each.stop()
  }
}

async function memory (run: Run): Promise<void> {
  const relay = await BenchProcess.start('showchain/relay.js')
  const load = await BenchProcess.start('showchain/load.js', { BENCH_PORT: String(relay.port) })
  try {
    const [resident, allocated] = await relay.memoryOf(NODES, 200, (count) => tell(load, { register: count }), REST)
    const name = `memory of a registered node, of ${NODES}`
    run.add({ name: `${name}, resident`, unit: 'KiB', lessIsBetter: true }, [{ of: 'tunpipe', ours: true, values: [resident] }])
    run.add({ name: `${name}, allocated`, unit: 'KiB', lessIsBetter: true }, [{ of: 'tunpipe', ours: true, values: [allocated] }])
  } finally {
    for (const each of [load, relay]) await each.stop()
  }
}

export async function showchainBench (run: Run): Promise<void> {
  await introductions(run)
  await memory(run)
  await streamRows(run)
}
