import fc from 'fast-check'
import t from 'tap'
import { SEED } from '../../../../helpers/bytes.ts'
import { Receiver } from '../../../../../src/transports/memory/simulation/stream/receiver.ts'
import { advance } from '../../../../../src/transports/memory/simulation/stream/sequence.ts'

const FIRST = 0xffff_ffc0 // wraps around on the way

function starting (limit: number): Receiver {
  const receiver = new Receiver(limit)
  receiver.next = FIRST
  return receiver
}

/** All that can be read. */
function readAll (receiver: Receiver): Buffer {
  const all: Uint8Array[] = []
  for (let bytes; (bytes = receiver.read()) !== undefined;) all.push(bytes)
  return Buffer.concat(all)
}

const LENGTH = 200
const WHOLE = Buffer.from(Array.from({ length: LENGTH }, (_, i) => i))

t.test('property: pieces in any order, and over each other, become what they are pieces of', async (t) => {
  const pieces = fc.array(fc.tuple(fc.nat(LENGTH - 1), fc.nat(40)), { maxLength: 60 })
  fc.assert(fc.property(pieces, fc.constantFrom(30, 100, 1000), (pieces, limit) => {
    const receiver = starting(limit)
    const all: Buffer[] = []
    const add = (start: number, end: number): void => {
      const isLast = end === LENGTH
      const wasInside = receiver.accepts(advance(FIRST, start), end - start)
      const before = receiver.early + receiver.readable
      receiver.add(advance(FIRST, start), WHOLE.subarray(start, end), isLast)
      const held = receiver.early + receiver.readable
      if (held > limit) throw new Error(`${held} bytes of ${limit}`)
      if (!wasInside && held !== before) throw new Error('taken, although it is not in the window')
      for (const [from, to] of receiver.selective ?? []) {
        if (advance(from, -FIRST) <= advance(receiver.next, -FIRST) || advance(to, -FIRST) > LENGTH) throw new Error('a range that was not sent')
      }
    }
    for (const [start, length] of pieces) {
      add(start, Math.min(LENGTH, start + length))
      if (length % 3 === 0) all.push(readAll(receiver))
      receiver.advertise(10)
    }
    for (let start = 0; start < LENGTH; start += 10) {
      all.push(readAll(receiver))
      receiver.advertise(10)
      add(start, start + 10)
    }
    all.push(readAll(receiver))
    return receiver.hasEnded && receiver.early === 0 && Buffer.concat(all).equals(WHOLE)
  }), { seed: SEED, numRuns: 500 })
  t.pass('always')
})

t.test('the window does not grow by little', async (t) => {
  const receiver = starting(10_000)
  receiver.add(FIRST, new Uint8Array(100), false)
  t.equal(receiver.advertise(1000), 9900)
  readAll(receiver)
  t.equal(receiver.advertise(1000), 9900, 'the room of 100 bytes is not news')
  t.notOk(receiver.hasNews(1000))
  receiver.add(advance(FIRST, 100), new Uint8Array(9900), false)
  t.equal(receiver.advertise(1000), 0)
  receiver.read()
  t.ok(receiver.hasNews(1000))
  t.ok(receiver.advertise(1000) >= 1000)
})

t.test('many tiny pieces are bounded, and what is missing is enough to go on', async (t) => {
  const receiver = starting(100_000)
  for (let i = 1; i < 20_000; i += 2) receiver.add(advance(FIRST, i), new Uint8Array(1), false)
  t.equal(receiver.early, 1024)
  t.equal(receiver.selective?.length, 4)
  receiver.add(FIRST, new Uint8Array(20_000), false)
  t.same([receiver.early, receiver.readable], [0, 20_000])
})

t.test('an end that contradicts what has come already is ignored', async (t) => {
  const receiver = starting(1000)
  receiver.add(advance(FIRST, 50), new Uint8Array(50), false)
  receiver.add(advance(FIRST, 60), new Uint8Array(0), true)
  receiver.add(FIRST, new Uint8Array(50), false)
  t.same([receiver.readable, receiver.hasEnded], [100, false])
  receiver.add(advance(FIRST, 100), new Uint8Array(0), true)
  t.ok(receiver.hasEnded)
  receiver.add(advance(FIRST, 101), new Uint8Array(10), false)
  t.equal(receiver.readable, 100, 'behind the end is nothing')
})
