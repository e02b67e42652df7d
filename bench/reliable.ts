/**
 * One reliable stream over UDP on the loopback, between two processes: how much arrives, and what that costs both of them, beside udx-native,
 * which is C.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BenchProcess } from './lib/process.ts'
import { beside } from './lib/row.ts'
import type { Run } from './lib/run.ts'

/** udx-native finds by probes that 1472 bytes fit; the other size is the default of `reliable`. */
const ENDS = [
  { name: 'tunpipe, datagrams of 1472 B', ours: true, encrypted: false, way: 'tunpipe', size: 1472 },
  { name: 'tunpipe, datagrams of 1200 B', ours: true, encrypted: false, way: 'tunpipe', size: 1200 },
  { name: 'tunpipe, datagrams of 1472 B, without GSO and GRO', ours: true, encrypted: false, way: 'tunpipe, batch', size: 1472 },
  { name: 'udx-native, datagrams of 1472 B', encrypted: false, way: 'udx-native', size: 1472 }
] as const

/** Milliseconds until the rate is steady. */
const START = 500

interface Figures {
  rate: number
  sending: number
  receiving: number
}

class Stream {
  readonly #receiver: BenchProcess
  readonly #sender: BenchProcess

  private constructor (receiver: BenchProcess, sender: BenchProcess) {
    this.#receiver = receiver
    this.#sender = sender
  }

  static async start (way: string, size: number): Promise<Stream> {
    const start = (role: string): Promise<BenchProcess> => BenchProcess.start('reliable/stream.js', { BENCH_RELIABLE: way, BENCH_ROLE: role, BENCH_SIZE: String(size) })
    const receiver = await start('receiver')
    const sender = await start('sender')
    receiver.tell({ port: sender.port })
    sender.tell({ port: receiver.port })
    return new Stream(receiver, sender)
  }

  /** MB/s that arrive, and MB for a second of processor time of either end. */
  async measure (milliseconds: number): Promise<Figures> {
    this.#sender.tell({ on: true })
    await delay(START)
    const [before, sent, since] = [await this.#receiver.usage(), await this.#sender.usage(), performance.now()]
    await delay(milliseconds)
    const [after, sentThen] = [await this.#receiver.usage(), await this.#sender.usage()]
    const seconds = (performance.now() - since) / 1000
    this.#sender.tell({ on: false })
    await delay(200) // what is on its way
    const bytes = after.count - before.count
    return { rate: bytes / seconds / 1e6, sending: bytes / (sentThen.cpu - sent.cpu), receiving: bytes / (after.cpu - before.cpu) }
  }

  async stop (): Promise<void> {
    await this.#sender.stop()
    await this.#receiver.stop()
  }
}

export async function reliableBench (run: Run): Promise<void> {
  const streams = await Promise.all(ENDS.map(async ({ way, size, ...of }) => ({ ...of, stream: await Stream.start(way, size) })))
  try {
    const name = 'one stream'
    const figures = await run.inTurn(name, { rounds: run.rounds(5, 9), warmUps: 1 }, streams, ({ stream }) => stream.measure(run.full ? 3000 : 1500))
    const add = (case_: string, unit: string, figure: (of: Figures) => number): void => { run.add({ name: case_, unit }, beside(ENDS, figures.map((rounds) => rounds.map(figure)))) }
    add(name, 'MB/s', ({ rate }) => rate)
    add(`${name}, its sender`, 'MB/CPU-s', ({ sending }) => sending)
    add(`${name}, its receiver`, 'MB/CPU-s', ({ receiving }) => receiving)
  } finally {
    for (const { stream } of streams) await stream.stop()
  }
}
