/** Packets of the reliable protocol: what is written is read, and nothing else is taken for a packet. */
import fc from 'fast-check'
import t from 'tap'
import { Flag, MAX_NUMBER, MAX_RANGES, PacketReader, writeAck, writeNumber, writeNumbers, writeWord } from '../../../src/transforms/reliable/packet.ts'
import { RangeSet } from '../../../src/transforms/reliable/range-set.ts'
import { readVectors } from '../../helpers/vectors.ts'
import { mutations } from '../../helpers/sample.ts'

interface Fields {
  number?: { number: number, below: number }
  ack?: { ranges: Array<[number, number]>, delay: number, delivered: number, limit: number }
  reset?: number
  data?: { offset: number, bytes: Uint8Array, isEnd: boolean }
}

function encode ({ number, ack, reset, data }: Fields): Uint8Array {
  const into = new Uint8Array(70_000)
  let flags = 0
  let at = 1
  if (number !== undefined) {
    flags |= Flag.NUMBER
    at = writeNumbers(into, at, number.number, number.number - number.below)
  }
  if (ack !== undefined) {
    flags |= Flag.ACK
    const numbers = new RangeSet()
    for (const [from, to] of ack.ranges) numbers.add(from, to)
    at = writeAck(into, at, into.length, { ...ack, numbers })
  }
  if (reset !== undefined) {
    flags |= Flag.RESET
    at = writeWord(into, at, reset)
  }
  if (data !== undefined) {
    flags |= Flag.DATA | (data.isEnd ? Flag.FIN : 0)
    at = writeNumber(into, at, data.offset)
    into.set(data.bytes, at)
    at += data.bytes.length
  }
  into[0] = flags
  return into.slice(0, at)
}

const value = fc.oneof(fc.maxSafeNat(), fc.nat(0xffff_ffff), fc.nat(300), fc.constantFrom(0, 0xffff_ffff, 2 ** 32, MAX_NUMBER - 1))
const number = value.chain((number) => fc.record({ number: fc.constant(number), below: fc.nat(Math.min(number, 0xfffe)) }))
/** Sorted, with gaps of 1 to 65535. */
const ranges = fc.tuple(fc.nat(2 ** 52), fc.array(fc.tuple(fc.integer({ min: 1, max: 0xffff }), fc.integer({ min: 1, max: 0xffff })), { minLength: 1, maxLength: MAX_RANGES + 1 }))
  .map(([from, steps]) => {
    let at = from
    return steps.map(([gap, size]): [number, number] => {
      const low = at + gap
      at = low + size
      return [low, at]
    })
  })
const fields: fc.Arbitrary<Fields> = fc.record({
  number: fc.option(number, { nil: undefined }),
  ack: fc.option(fc.record({ ranges, delay: fc.nat(65_535).map((units) => units / 100), delivered: value, limit: value }), { nil: undefined }),
  reset: fc.option(fc.nat(0xffff_ffff), { nil: undefined }),
  data: fc.option(fc.record({ offset: fc.nat(MAX_NUMBER - 5000), bytes: fc.uint8Array({ maxLength: 2000 }), isEnd: fc.boolean() }), { nil: undefined })
}).map(({ number, ack, reset, data }) => {
  if (number === undefined && ack !== undefined) return { ack }
  return { number: number ?? { number: 0, below: 0 }, ack, reset, data: data === undefined || (data.bytes.length === 0 && !data.isEnd) ? undefined : data }
})

t.test('what is written is read', async (t) => {
  const reader = new PacketReader()
  fc.assert(fc.property(fields, (fields) => {
    const bytes = encode(fields)
    if (!reader.read(bytes)) return false
    const { number, ack, reset, data } = fields
    if (reader.has(Flag.NUMBER) !== (number !== undefined) || reader.has(Flag.ACK) !== (ack !== undefined)) return false
    if (number !== undefined && (reader.number !== number.number || reader.floor !== number.number - number.below)) return false
    if (ack !== undefined) {
      const expected = [...ack.ranges].reverse()
      if (reader.ranges !== expected.length || reader.delivered !== ack.delivered || reader.limit !== ack.limit || reader.delay !== ack.delay) return false
      for (const [i, [from, to]] of expected.entries()) if (reader.lows[i] !== from || reader.highs[i] !== to - 1) return false
    }
    if (reset !== undefined && reader.code !== reset) return false
    return data === undefined || (reader.offset === data.offset && reader.has(Flag.FIN) === data.isEnd && Buffer.from(data.bytes).equals(bytes.subarray(reader.dataAt)))
  }))
  t.pass('all of it')
})

t.test('golden packets', async (t) => {
  for (const { name, inputs: { number, floor, ack, code, offset, bytes_hex: bytes, end }, hex } of readVectors('reliable')) {
    const encoded = encode({
      number: number === undefined ? undefined : { number, below: number - floor },
      ack: ack === undefined ? undefined : { ...ack, ranges: ack.ranges.map(([low, high]: [number, number]) => [low, high + 1]) },
      reset: code,
      data: offset === undefined ? undefined : { offset, bytes: Buffer.from(bytes, 'hex'), isEnd: end }
    })
    t.equal(Buffer.from(encoded).toString('hex'), hex, name)
    t.ok(new PacketReader().read(Buffer.from(hex, 'hex')), name)
  }
})

t.test('a packet that is cut short, or that goes on, is none', async (t) => {
  const reader = new PacketReader()
  fc.assert(fc.property(fields, (fields) => {
    const bytes = encode({ ...fields, data: undefined })
    for (let size = 0; size < bytes.length; size++) if (reader.read(bytes.subarray(0, size))) return false
    return !reader.read(Buffer.concat([bytes, Buffer.from([0])]))
  }))
  t.pass('refused')
})

t.test('what is changed is refused, or within all bounds', async (t) => {
  const reader = new PacketReader()
  fc.assert(fc.property(fields, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }), (fields, changes) => {
    const bytes = encode(fields)
    for (const [at, byte] of changes) bytes[at % Math.min(bytes.length, 60)] = byte
    if (!reader.read(bytes)) return true
    if (reader.has(Flag.NUMBER) && !(reader.number <= MAX_NUMBER && reader.floor >= 0 && reader.floor <= reader.number)) return false
    if (reader.has(Flag.DATA) && !(reader.offset + bytes.length - reader.dataAt <= MAX_NUMBER && reader.dataAt <= bytes.length)) return false
    if (!reader.has(Flag.ACK)) return true
    for (let i = 0; i < reader.ranges; i++) {
      if (!(reader.lows[i] >= 0 && reader.lows[i] <= reader.highs[i] && reader.highs[i] <= MAX_NUMBER)) return false
      if (i > 0 && reader.highs[i] >= reader.lows[i - 1] - 1) return false
    }
    return reader.ranges <= MAX_RANGES + 1
  }), { numRuns: mutations() })
  t.pass('refused or bounded')
})

t.test('what no sender may write', async (t) => {
  const reader = new PacketReader()
  const ack = encode({ ack: { ranges: [[5, 9]], delay: 0, delivered: 0, limit: 0 } })
  const changed = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = Uint8Array.from(ack)
    copy.set(bytes, at)
    return copy
  }
  t.ok(reader.read(ack))
  t.notOk(reader.read(changed(24, 0, 0, 0, 0)), 'an empty range')
  t.ok(reader.read(changed(24, 0, 0, 0, 9)), 'packets 0 to 8')
  t.notOk(reader.read(changed(24, 0, 0, 0, 10)), 'a range that begins before 0')
  t.notOk(reader.read(changed(1, 0xff)), 'a number above 2^53 - 1')
  t.notOk(reader.read(changed(28, MAX_RANGES + 1)), 'too many ranges')
  for (const flags of [0, 0x20, 0x40, 0x80, Flag.DATA, Flag.RESET, Flag.FIN | Flag.NUMBER, Flag.ACK | Flag.DATA]) t.notOk(reader.read(Uint8Array.from([flags, ...new Array(60).fill(1)])), `flags ${flags}`)
  const data = encode({ number: { number: 1, below: 1 }, data: { offset: MAX_NUMBER - 3, bytes: new Uint8Array(2), isEnd: false } })
  t.ok(reader.read(data), 'the last byte of the longest stream')
  t.notOk(reader.read(Buffer.concat([data, Buffer.alloc(1)])), 'one more')
  t.notOk(reader.read(encode({ number: { number: 1, below: 1 }, data: { offset: 0, bytes: new Uint8Array(0), isEnd: false } })), 'no data')
})

t.test('many ranges: the highest ones that fit', async (t) => {
  const numbers = new RangeSet()
  for (let i = 0; i < 1000; i++) numbers.add(i * 2, i * 2 + 1)
  const into = new Uint8Array(4096)
  const reader = new PacketReader()
  for (const [room, expected] of [[4000, MAX_RANGES + 1], [29 + 4 * 10, 11], [29, 1]]) {
    const end = writeAck(into, 1, room, { numbers, delay: 1000, delivered: 0, limit: 0 })
    into[0] = Flag.ACK
    t.ok(reader.read(into.subarray(0, end)))
    t.equal(reader.ranges, expected)
    t.equal(reader.highs[0], 1998)
    t.equal(reader.delay, 655.35, 'a longer delay is the longest one that fits')
  }
})

t.test('a set of ranges is one of numbers', async (t) => {
  const range = fc.tuple(fc.nat(60), fc.integer({ min: 0, max: 12 }))
  fc.assert(fc.property(fc.array(fc.tuple(fc.constantFrom('add', 'add', 'remove', 'below'), range), { maxLength: 40 }), (steps) => {
    const set = new RangeSet()
    const model = new Set<number>()
    for (const [step, [from, size]] of steps) {
      const all = Array.from({ length: size }, (_, i) => from + i)
      if (step === 'add') {
        if (size > 0 && set.lengthWith(from, from + size) < 1) return false
        if (set.add(from, from + size) !== all.filter((one) => !model.has(one)).length) return false
        for (const one of all) model.add(one)
      } else if (step === 'remove') {
        set.remove(from, from + size)
        for (const one of all) model.delete(one)
      } else {
        set.removeBelow(from)
        for (const one of [...model]) if (one < from) model.delete(one)
      }
      const numbers: number[] = []
      for (let i = 0; i < set.length; i++) {
        if (i > 0 && set.from(i) <= set.to(i - 1)) return false
        for (let one = set.from(i); one < set.to(i); one++) numbers.push(one)
      }
      if (set.total !== model.size || numbers.join() !== [...model].sort((a, b) => a - b).join()) return false
      const gaps: number[] = []
      set.forEachGap(0, 80, (low, high) => { for (let one = low; one < high; one++) gaps.push(one) })
      if (gaps.length + model.size !== 80 || gaps.some((one) => model.has(one))) return false
    }
    return true
  }), { numRuns: 2000 })
  t.pass('as the model')
})
