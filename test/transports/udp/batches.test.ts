/** Whatever is sent at once arrives once, in order, with its bounds and its sender, by whichever calls it is sent and read. */
import fc from 'fast-check'
import t from 'tap'
import { turn, until } from '../../helpers/ends.ts'
import { SEED } from '../../helpers/bytes.ts'
import { sample } from '../../helpers/sample.ts'
import { bound, to } from '../../helpers/transports/udp-sockets.ts'
import { MAX_DATAGRAM, type UdpSocket } from '../../../src/transports/udp/socket.ts'
import type { Batch, Datagram } from '../../../src/types.ts'

const RUNS = sample('batches for each sender', { short: 40, long: 1000 })

/** Where the memory of a run is: datagrams one behind the other, in front of each other, all the same, or each by itself. */
const MEMORY = ['neighbours', 'reversed', 'same', 'apart', 'shared'] as const

/** Datagrams of one size to one reader, and maybe a smaller one behind them. */
interface Run {
  reader: number
  size: number
  count: number
  end: number | undefined
  memory: typeof MEMORY[number]
}

const sizes = fc.oneof(
  { weight: 3, arbitrary: fc.nat(64) },
  { weight: 4, arbitrary: fc.integer({ min: 65, max: 1500 }) },
  { weight: 1, arbitrary: fc.integer({ min: 1501, max: MAX_DATAGRAM.ipv4 }) },
  { weight: 1, arbitrary: fc.constantFrom(0, 1, 1472, 32_753, 32_754, MAX_DATAGRAM.ipv4) }
)
const counts = fc.oneof({ weight: 3, arbitrary: fc.integer({ min: 1, max: 4 }) }, { weight: 1, arbitrary: fc.constantFrom(63, 64, 65, 129, 300) })
const runs = fc.record({ reader: fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, { weight: 3, arbitrary: fc.nat(4) }), size: sizes, count: counts, end: fc.option(fc.nat(1500), { nil: undefined }), memory: fc.constantFrom(...MEMORY) })
const batchesOf = fc.array(runs, { minLength: 1, maxLength: 12 })

/** Bytes that a datagram takes of a buffer of the kernel, which is not overrun: 208 KiB, doubled, where nobody may set it. */
const weightOf = (size: number): number => 2 * size + 1024
const ROOM = 400_000

/** The pieces of memory of a run. */
function piecesOf ({ size, count, memory }: Run): Uint8Array[] {
  const at = memory === 'reversed' ? (i: number) => (count - 1 - i) * size : (i: number) => memory === 'same' ? 0 : i * size
  if (memory === 'apart') return Array.from({ length: count }, () => new Uint8Array(size)) // the small ones are on the heap
  const whole = memory === 'shared' ? new SharedArrayBuffer(size * count + 7) : new ArrayBuffer(size * count + 7)
  return Array.from({ length: count }, (_, i) => new Uint8Array(whole, 7 + at(i), size))
}

/** The batch of some runs, as far as there is room for it; each datagram but those of one memory has its own bytes. */
function batchOf (runs: readonly Run[], readers: readonly UdpSocket[]): Array<{ reader: number, datagram: Datagram }> {
  const batch: Array<{ reader: number, datagram: Datagram }> = []
  let room = ROOM
  for (const run of runs) {
    const pieces = piecesOf(run)
    if (run.end !== undefined) pieces.push(new Uint8Array(Math.min(run.end, run.size)))
    for (const data of pieces) {
      room -= weightOf(data.length)
      if (room < 0 || batch.length === 300) return batch
      data.fill(batch.length * 7 + 1)
      batch.push({ reader: run.reader, datagram: to(readers[run.reader].local, data) })
    }
  }
  return batch
}

interface Got {
  from: string
  data: Buffer
}

const copies = (batch: Batch<Datagram>): Got[] => batch.map(({ data, host, port }) => ({ from: `${host} ${port}`, data: Buffer.from(data) }))

/** Reads a socket until it ends. */
function reads (socket: UdpSocket, way: 'source' | 'flow' | 'busy'): Got[] {
  const got: Got[] = []
  const reading = async (): Promise<void> => {
    if (way === 'source') for await (const batch of socket.source) got.push(...copies(batch))
    else if (way === 'flow') await socket.flow?.((batch) => { got.push(...copies(batch)) })
    else {
      await socket.flow?.(async (batch) => {
        await turn() // others read meanwhile
        got.push(...copies(batch))
      })
    }
  }
  void reading()
  return got
}

const READERS = [['offload', 'source'], ['offload', 'flow'], ['offload', 'busy'], ['batch', 'flow'], ['node', 'source']] as const

let seed = SEED

for (const [host, by] of [['127.0.0.1', '127.0.0.1'], ['::1', '::1'], ['127.0.0.1', '::']]) {
  for (const io of ['offload', 'batch', 'node'] as const) {
    t.test(`property: any batch from ${by} to ${host}, ${io}`, async (t) => {
      const sender = await bound(t, { host: by, io })
      const readers = await Promise.all(READERS.map(([io]) => bound(t, { host, io: io as 'offload' })))
      const got = readers.map((reader, i) => reads(reader, reader.flow === undefined ? 'source' : READERS[i][1]))
      const from = `${by === '::' ? host : by} ${sender.local.port}`
      await fc.assert(fc.asyncProperty(batchesOf, async (runs) => {
        const batch = batchOf(runs, readers)
        const before = batch.map(({ datagram }) => Buffer.from(datagram.data))
        t.equal(sender.port.send(batch.map(({ datagram }) => datagram)), batch.length)
        const expected = readers.map((_, reader) => before.filter((_, i) => batch[i].reader === reader))
        await until(() => sender.errors.other > 0 || got.every((got, reader) => got.length >= expected[reader].length))
        for (const [reader, wanted] of expected.entries()) {
          const all = got[reader].splice(0)
          if (all.length !== wanted.length) throw new Error(`reader ${reader}: ${all.length} instead of ${wanted.length}`)
          for (const [i, data] of wanted.entries()) {
            if (all[i].from !== from || !all[i].data.equals(data)) throw new Error(`reader ${reader}: datagram ${i} of ${all[i].data.length} bytes from ${all[i].from}`)
          }
        }
        for (const [i, { datagram }] of batch.entries()) if (!before[i].equals(datagram.data)) throw new Error('memory was changed')
      }), { numRuns: RUNS, seed: seed++ })
      t.match(sender.errors, { unreachable: 0, tooLarge: 0, other: 0 })
      for (const reader of readers) t.equal(reader.dropped, 0)
    })
  }
}
