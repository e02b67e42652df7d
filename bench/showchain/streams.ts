/**
 * A sealed stream between two nodes: direct, and by a proxy in both forms. R, T and the proxy are processes of their own. In the form of the
 * page each message has a signature, so its rival is what `crypto.sign` makes on all processors, times the bytes of a message.
 */
import { setTimeout as delay } from 'node:timers/promises'
import { BenchProcess } from '../lib/process.ts'
import type { Run } from '../lib/run.ts'

const FORMS = ['direct', 'hmac', 'page'] as const

type Form = typeof FORMS[number]

/** Until the rate is steady. */
const START = 1500

class Stream {
  readonly name: string
  /** Bytes of a message that carry data. */
  readonly payload: number
  readonly #processes: BenchProcess[]

  private constructor (name: string, payload: number, processes: BenchProcess[]) {
    this.name = name
    this.payload = payload
    this.#processes = processes
  }

  static async start (form: Form): Promise<Stream> {
    const processes: BenchProcess[] = []
    const start = async (role: string, more: Record<string, string> = {}): Promise<BenchProcess> => {
      const process = await BenchProcess.start('showchain/stream.js', { BENCH_ROLE: role, BENCH_FORM: form, ...more })
      processes.push(process)
      return process
    }
    const proxy = await start('proxy')
    const target = await start('target', { BENCH_PROXY: String(proxy.port) })
    const requester = await start('requester', { BENCH_PROXY: String(proxy.port), BENCH_PORT: String(target.port) })
    return new Stream(form, (await requester.usage()).count, processes)
  }

  /** MB/s that arrive. */
  async rate (milliseconds: number): Promise<number> {
    const [, target, requester] = this.#processes
    requester.tell({ on: true })
    await delay(START)
    const [before, since] = [await target.usage(), performance.now()]
    await delay(milliseconds)
    const after = await target.usage()
    const seconds = (performance.now() - since) / 1000
    requester.tell({ on: false })
    await delay(200) // what is on its way
    return (after.count - before.count) / seconds / 1e6
  }

  async stop (): Promise<void> { for (const process of this.#processes.toReversed()) await process.stop() }
}

/** Signatures in a second, by all processors. */
async function signaturesPerSecond (signer: BenchProcess, milliseconds: number): Promise<number> {
  signer.tell({ on: true })
  await delay(100)
  const [before, since] = [await signer.usage(), performance.now()]
  await delay(milliseconds)
  const after = await signer.usage()
  const seconds = (performance.now() - since) / 1000
  signer.tell({ on: false })
  await delay(50)
  return (after.count - before.count) / seconds
}

export async function streamRows (run: Run): Promise<void> {
  const milliseconds = run.full ? 3000 : 1500
  const streams = await Promise.all(FORMS.map((form) => Stream.start(form)))
  const signer = await BenchProcess.start('showchain/stream.js', { BENCH_ROLE: 'signer' })
  try {
    const [direct, hmac, page] = streams
    const subjects = [
      { name: 'direct', measure: () => direct.rate(milliseconds) },
      { name: 'by a proxy, HMAC', measure: () => hmac.rate(milliseconds) },
      { name: 'by a proxy, signatures', measure: () => page.rate(milliseconds) },
      { name: 'crypto.sign on all processors, times the bytes of a message', measure: async () => await signaturesPerSecond(signer, milliseconds) * page.payload / 1e6 }
    ]
    const figures = await run.inTurn('a sealed stream of one pair', { rounds: run.rounds(3, 7), warmUps: 1 }, subjects, ({ measure }) => measure())
    const [, , , signed] = subjects
    run.add({ name: 'a sealed stream of one pair', unit: 'MB/s' }, [
      { of: 'direct', ours: true, encrypted: true, values: figures[0] },
      { of: 'by a proxy, HMAC', ours: true, encrypted: true, values: figures[1], against: ['direct'] },
      { of: 'by a proxy, signatures', ours: true, encrypted: true, values: figures[2], against: [signed.name] },
      { of: signed.name, values: figures[3] }
    ])
  } finally {
    for (const stream of streams) await stream.stop()
    await signer.stop()
  }
}
