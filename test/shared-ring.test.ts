import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { newRing, RingReader, RingWriter } from '../src/shared-ring.ts'
import type { Batch } from '../src/types.ts'
import { bytes } from './helpers/ends.ts'
import type { Outcome } from './shared-ring.fixture.ts'

interface Entry {
  tag: number
  to: number
  from: number
  batch: number[][]
}

interface Ends {
  writer: RingWriter
  reader: RingReader
  /** Everything that is there, copied. */
  take (): Entry[]
}

function ends (): Ends {
  const memory = newRing()
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)]
  return {
    writer,
    reader,
    take () {
      const entries: Entry[] = []
      reader.read((tag, to, from, batch) => { entries.push({ tag, to, from, batch: batch.map((message) => [...message]) }) })
      return entries
    }
  }
}

/** Bytes that one message takes, with its record. */
const LARGE = RingWriter.MAX_BATCH - 24

t.test('what is written is read, in order', async (t) => {
  const { writer, take } = ends()
  t.same(take(), [])
  t.ok(writer.write(0, 0xffff_ffff, 1, [new Uint8Array([1, 2, 3]), new Uint8Array(0), new Uint8Array([4])]))
  t.ok(writer.write(0xffff_ffff, 7, 0xffff_ffff, []))
  t.same(take(), [
    { tag: 0, to: 0xffff_ffff, from: 1, batch: [[1, 2, 3], [], [4]] },
    { tag: 0xffff_ffff, to: 7, from: 0xffff_ffff, batch: [] }
  ])
  t.same(take(), [], 'once')
})

t.test('what comes while it is read has its turn next time', async (t) => {
  const { writer, reader, take } = ends()
  writer.write(1, 1, 1, [])
  reader.read(() => { writer.write(2, 2, 2, []) })
  t.same(take().map(({ tag }) => tag), [2])
})

t.test('no batch is too large as long as it fits, and one that does not is refused as a whole', async (t) => {
  const { writer, take } = ends()
  t.notOk(writer.write(1, 1, 1, [bytes(LARGE + 1)]), 'one byte too many')
  t.ok(writer.write(2, 2, 2, [bytes(LARGE, 2)]))
  t.ok(writer.write(3, 3, 3, [bytes(LARGE, 3)]), 'the second half')
  t.notOk(writer.write(4, 4, 4, []), 'full')
  t.ok(writer.isCrowded)
  t.same(take().map(({ tag, batch: [message] }) => [tag, message.length, message[0], message.at(-1)]), [[2, LARGE, 2, 2], [3, LARGE, 3, 3]])
  t.notOk(writer.isCrowded)
  t.ok(writer.write(4, 4, 4, [new Uint8Array([1])]))
  t.same(take(), [{ tag: 4, to: 4, from: 4, batch: [[1]] }])
})

t.test('a batch that does not fit in front of the end begins anew behind it', async (t) => {
  const { writer, take } = ends()
  t.ok(writer.write(1, 1, 1, [bytes(LARGE - 8)]))
  t.equal(take().length, 1)
  t.ok(writer.write(2, 2, 2, [bytes(LARGE - 8, 2)]))
  t.ok(writer.write(3, 3, 3, [bytes(1000, 3)]), 'not in the 16 bytes at the end')
  t.same(take().map(({ tag, batch: [message] }) => [tag, message.length, message[0]]), [[2, LARGE - 8, 2], [3, 1000, 3]])
  t.ok(writer.write(4, 4, 4, [bytes(LARGE, 4)]))
  t.notOk(writer.write(5, 5, 5, [bytes(LARGE, 5)]), 'what is lost in front of the end counts as well')
  t.same(take().map(({ tag }) => tag), [4])
})

t.test('as a queue that is bounded', async (t) => {
  // Few lengths, so that the end of the memory is met at many places; the counters run over 2 GiB in no test, but over the end often.
  const message = fc.tuple(fc.integer({ min: 0, max: 1500 }), fc.integer({ min: 0, max: 255 })).map(([length, fill]) => bytes(length, fill))
  const write = fc.record({ tag: fc.nat(0xffff_ffff), to: fc.nat(0xffff_ffff), from: fc.nat(0xffff_ffff), batch: fc.array(message, { maxLength: 200, size: 'max' }) })
  fc.assert(fc.property(fc.array(fc.oneof({ arbitrary: write, weight: 9 }, { arbitrary: fc.constant('read' as const), weight: 1 }), { maxLength: 60, size: 'max' }), (steps) => {
    const { writer, reader } = ends()
    let queue: Array<{ tag: number, to: number, from: number, batch: Batch }> = []
    let size = 0
    const read = (): boolean => {
      let isSame = true
      let at = 0
      reader.read((tag, to, from, batch) => {
        const wanted = queue[at++]
        isSame &&= tag === wanted.tag && to === wanted.to && from === wanted.from && batch.length === wanted.batch.length && batch.every((message, i) => Buffer.compare(message, wanted.batch[i]) === 0)
      })
      isSame &&= at === queue.length
      queue = []
      size = 0
      return isSame
    }
    for (const step of steps) {
      if (step === 'read') {
        if (!read()) return false
      } else if (writer.write(step.tag, step.to, step.from, step.batch)) {
        queue.push(step)
        size += step.batch.reduce((sum, { length }) => sum + length + 4, 20)
        if (size > 2 * RingWriter.MAX_BATCH) return false
      } else if (size + step.batch.reduce((sum, { length }) => sum + length + 4, 44) < RingWriter.MAX_BATCH) {
        return false // refused although there was room, wherever it stands
      }
    }
    return read()
  }), { numRuns: 40 })
})

t.test('a reader that sleeps is woken once', async (t) => {
  const { writer, reader, take } = ends()
  t.notOk(writer.wake(), 'it has not said that it sleeps')
  t.ok(reader.sleep())
  writer.write(1, 1, 1, [])
  t.ok(writer.wake())
  t.notOk(writer.wake())
  t.notOk(reader.sleep(), 'there is something')
  t.notOk(writer.wake(), 'so it is awake')
  take()
  t.ok(reader.sleep())
})

t.test('a writer that waits is told once', async (t) => {
  const { writer, reader, take } = ends()
  t.notOk(writer.wait(), 'there is room')
  t.notOk(reader.wake())
  while (!writer.isCrowded) writer.write(1, 1, 1, [bytes(100_000)])
  t.notOk(reader.wake(), 'it does not wait yet')
  t.ok(writer.wait())
  take()
  t.ok(reader.wake())
  t.notOk(reader.wake())
  t.notOk(writer.isCrowded)
})

t.test('while it is not crowded there is room for what a link brings at once, wherever it stands', async (t) => {
  const largest = 256 * 1024 + 256 * 1024 // what waits for a reader, and the read that has passed that
  for (let start = 0; start < 2 * RingWriter.MAX_BATCH; start += 100_000) {
    const { writer, reader } = ends()
    for (let at = 0; at < start; at += 20_000) {
      writer.write(1, 1, 1, [bytes(20_000 - 24)])
      reader.read(() => {})
    }
    while (!writer.isCrowded) {
      if (!writer.write(1, 1, 1, [bytes(largest - 1000)])) t.fail(`refused, begun at ${start}`)
    }
  }
})

t.test('two threads, each asleep in turn', async (t) => {
  const total = 300_000
  const memory = newRing()
  const writer = new RingWriter(memory)
  const worker = new Worker(new URL('./shared-ring.fixture.ts', import.meta.url), { workerData: { memory, total } })
  t.teardown(() => worker.terminate())
  const outcome = new Promise<Outcome>((resolve, reject) => {
    worker.on('message', (message) => { if (message !== 'room') resolve(message) })
    worker.once('error', reject)
  })
  let [sent, sum, waits, record] = [0, 0, 0, 0]
  while (sent < total) {
    const batch: Batch = []
    for (let i = record % 40; i >= 0 && sent < total; i--) {
      const message = bytes(4 + (sent * 37) % 200, sent)
      new DataView(message.buffer).setUint32(0, sent++)
      for (const byte of message) sum = (sum * 31 + byte) | 0
      batch.push(message)
    }
    while (writer.wait()) {
      waits++
      await once(worker, 'message')
    }
    if (!writer.write(record * 2, record, record, batch)) throw new Error('no room, although it has waited for some')
    record++
    if (writer.wake()) worker.postMessage('read')
    if (record % 500 === 0) await new Promise(setImmediate) // now and then it has read everything, and sleeps
  }
  t.same(await outcome, { messages: total, sum })
  t.ok(waits > 0, 'the writer has waited')
})
