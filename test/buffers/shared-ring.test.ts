import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { newRing, RingReader, RingWriter, type Label } from '../../src/buffers/shared-ring.ts'
import { bytes } from '../helpers/ends.ts'
import { sample } from '../helpers/sample.ts'
import type { Outcome } from '../helpers/buffers/ring-reader.ts'

interface Ends {
  writer: RingWriter
  reader: RingReader
  /** Everything that is there. */
  take (): Array<[number, Uint8Array]>
}

/** A label that says which one it is. */
const numbered = (n: number): Label => [n, 0, 0, 0, 0]

function ends (): Ends {
  const memory = newRing()
  const [writer, reader] = [new RingWriter(memory), new RingReader(memory)]
  return {
    writer,
    reader,
    take () {
      const taken: Array<[number, Uint8Array]> = []
      reader.read((label, block) => { taken.push([label[0], block]) })
      return taken
    }
  }
}

const { MAX_BLOCK } = RingWriter
const HEAD = 32

t.test('what is written is read, in order, with its label', async (t) => {
  const { writer, reader, take } = ends()
  t.same(take(), [])
  const most = 0xffff_ffff
  t.ok(writer.write([0, most, 1, 2, 3], new Uint8Array([1, 2, 3])))
  t.ok(writer.write([most, 7, most, 0, most], new Uint8Array(0)))
  const taken: Array<[Label, number[]]> = []
  reader.read((label, block) => { taken.push([label, [...block]]) })
  t.same(taken, [[[0, most, 1, 2, 3], [1, 2, 3]], [[most, 7, most, 0, most], []]])
  t.same(take(), [], 'once')
})

t.test('a block is the same wherever it lay, in memory that whoever reads has asked for', async (t) => {
  const memory = newRing()
  const [writer, asked] = [new RingWriter(memory), [] as number[]]
  const reader = new RingReader(memory, (length) => {
    asked.push(length)
    return new Uint8Array(length + 16).subarray(8, 8 + length)
  })
  const whole = Uint8Array.from({ length: 40 }, (_, i) => i)
  const blocks = [0, 1, 5, 8, 33].flatMap((from) => [whole.subarray(from), whole.subarray(from, from + 3), whole.subarray(from, from + 7)])
  for (const block of blocks) t.ok(writer.write(numbered(0), block))
  let at = 0
  reader.read((_, block) => { t.same([...block], [...blocks[at++]]) })
  t.equal(at, blocks.length)
  t.ok(asked.every((length) => length % 8 === 0))
})

t.test('what comes while it is read has its turn next time', async (t) => {
  const { writer, reader, take } = ends()
  writer.write(numbered(1), bytes(1))
  reader.read(() => { writer.write(numbered(2), bytes(2)) })
  t.same(take().map(([label]) => label), [2])
})

t.test('no block is too large as long as it fits, and one that does not is refused', async (t) => {
  const { writer, take } = ends()
  t.notOk(writer.write(numbered(1), bytes(MAX_BLOCK + 1)), 'one byte too many')
  t.ok(writer.write(numbered(2), bytes(MAX_BLOCK, 2)))
  t.ok(writer.write(numbered(3), bytes(MAX_BLOCK, 3)), 'the second half')
  t.notOk(writer.write(numbered(4), bytes(0)), 'full')
  t.ok(writer.isFull)
  t.same(take().map(([label, block]) => [label, block.length, block[0], block.at(-1)]), [[2, MAX_BLOCK, 2, 2], [3, MAX_BLOCK, 3, 3]])
  t.notOk(writer.isFull || writer.isCrowded)
  t.ok(writer.write(numbered(4), new Uint8Array([1])))
  t.same(take(), [[4, new Uint8Array([1])]])
})

t.test('a block that does not fit in front of the end begins anew behind it', async (t) => {
  const { writer, take } = ends()
  t.ok(writer.write(numbered(1), bytes(MAX_BLOCK - 8)))
  t.equal(take().length, 1)
  t.ok(writer.write(numbered(2), bytes(MAX_BLOCK - 8, 2)))
  t.ok(writer.write(numbered(3), bytes(1000, 3)), 'not in the 16 bytes at the end')
  t.same(take().map(([label, block]) => [label, block.length, block[0]]), [[2, MAX_BLOCK - 8, 2], [3, 1000, 3]])
  t.ok(writer.write(numbered(4), bytes(MAX_BLOCK, 4)))
  t.notOk(writer.write(numbered(5), bytes(MAX_BLOCK, 5)), 'what is lost in front of the end counts as well')
  t.same(take().map(([label]) => label), [4])
})

t.test('as a queue that is bounded', async (t) => {
  // Few lengths, so that the end of the memory is met at many places; the counters run over 2 GiB in no test, but over the end often.
  const word = fc.nat(0xffff_ffff)
  const write = fc.record({
    label: fc.tuple(word, word, word, word, word),
    block: fc.tuple(fc.integer({ min: 0, max: 300_000 }), fc.integer({ min: 0, max: 255 })).map(([length, fill]) => bytes(length, fill))
  })
  fc.assert(fc.property(fc.array(fc.oneof({ arbitrary: write, weight: 9 }, { arbitrary: fc.constant('read' as const), weight: 1 }), { maxLength: 60, size: 'max' }), (steps) => {
    const { writer, reader } = ends()
    let queue: Array<{ label: Label, block: Uint8Array }> = []
    let size = 0
    const read = (): boolean => {
      let isSame = true
      let at = 0
      reader.read((label, block) => {
        const wanted = queue[at++]
        isSame &&= label.every((number, i) => number === wanted.label[i]) && Buffer.compare(block, wanted.block) === 0
      })
      isSame &&= at === queue.length
      queue = []
      size = 0
      return isSame
    }
    for (const step of steps) {
      if (step === 'read') {
        if (!read()) return false
      } else if (writer.write(step.label, step.block)) {
        queue.push(step)
        size += step.block.length + HEAD
        if (size > 2 * (MAX_BLOCK + HEAD)) return false
      } else if (size + step.block.length + 2 * HEAD < MAX_BLOCK) {
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
  writer.write(numbered(1), bytes(1))
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
  while (!writer.isCrowded) writer.write(numbered(1), bytes(100_000))
  t.notOk(reader.wake(), 'it does not wait yet')
  t.ok(writer.wait())
  take()
  t.ok(reader.wake())
  t.notOk(reader.wake())
  t.notOk(writer.isCrowded)
})

t.test('while it is not full there is room for what a link brings at once, wherever it stands', async (t) => {
  const largest = 512 * 1024 // a read has 256 KiB at most, and what was held for it 64 KiB
  let blocks = 0
  for (let start = 0; start < 2 * MAX_BLOCK; start += 100_000) {
    const { writer, reader } = ends()
    for (let at = 0; at < start; at += 20_000) {
      writer.write(numbered(1), bytes(20_000 - HEAD))
      reader.read(() => {})
    }
    for (; !writer.isFull; blocks++) {
      if (!writer.write(numbered(1), bytes(largest))) t.fail(`refused, begun at ${start}`)
    }
  }
  t.ok(blocks > 20)
})

t.test('two threads, each asleep in turn', async (t) => {
  const total = sample('blocks', { short: 10_000, long: 300_000 })
  const memory = newRing()
  const writer = new RingWriter(memory)
  const worker = new Worker(new URL('../helpers/buffers/ring-reader.ts', import.meta.url), { workerData: { memory, total } })
  t.teardown(() => worker.terminate())
  const outcome = new Promise<Outcome>((resolve, reject) => {
    worker.on('message', (message) => { if (message !== 'room') resolve(message) })
    worker.once('error', reject)
  })
  let [sent, sum, waits] = [0, 0, 0]
  while (sent < total) {
    const block = bytes(4 + (sent * 37) % 4000, sent)
    new DataView(block.buffer).setUint32(0, sent)
    for (const byte of block) sum = (sum * 31 + byte) | 0
    while (writer.wait()) {
      waits++
      await once(worker, 'message')
    }
    if (!writer.write([sent * 2, sent, sent, 0, 0], block)) throw new Error('no room, although it has waited for some')
    sent++
    if (writer.wake()) worker.postMessage('read')
    if (sent % 500 === 0) await new Promise(setImmediate) // now and then it has read everything, and sleeps
  }
  t.same(await outcome, { blocks: total, sum })
  t.ok(waits > 0, 'the writer has waited')
})
