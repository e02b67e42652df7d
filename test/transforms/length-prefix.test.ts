import fc from 'fast-check'
import t from 'tap'
import { over } from '../../src/layer.ts'
import {
  LengthPrefixDecoder, LengthPrefixEncoder, lengthPrefix, rustdeskLength, u16be, u32be, type LengthCodec
} from '../../src/transforms/index.ts'
import type { Bytes } from '../../src/transforms/length-codecs.ts'
import { memoryPair } from '../../src/transports/memory/index.ts'
import { cut, hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'
import { collect, from, pieces, recordingLink } from '../helpers/links.ts'

const ROUNDS = mutations()

function decode (decoder: LengthPrefixDecoder, reads: Iterable<Uint8Array>): string[] {
  const out: string[] = []
  for (const read of reads) out.push(...decoder.push([read]).map(toHex))
  decoder.end()
  return out
}

t.test('frames on the wire, in chunks of every size', async (t) => {
  const cases: Array<[string, () => LengthPrefixDecoder, string, string[]]> = [
    ['u32be', () => new LengthPrefixDecoder(u32be), '00000002abcd 00000000 00000001ff', ['abcd', '', 'ff']],
    ['u16be', () => new LengthPrefixDecoder(u16be), '0000 0003010203 0000', ['', '010203', '']],
    ['adjust', () => new LengthPrefixDecoder(u16be, { adjust: 4 }), '0001c0ffee00ab 000011223344', ['c0ffee00ab', '11223344']],
    ['RustDesk', () => new LengthPrefixDecoder(rustdeskLength), '04aa 00 17000000 0102030405 0101' + '11'.repeat(64), ['aa', '', '0102030405', '11'.repeat(64)]]
  ]
  for (const [name, make, text, frames] of cases) {
    const wire = hex(text)
    for (let size = 1; size <= wire.length; size++) {
      t.same(decode(make(), cut(wire, size)), frames, `${name} in chunks of ${size}`)
    }
    t.same(make().push([...cut(wire, 3)]).map(toHex), frames, `${name} in one batch of many reads`)
  }
})

t.test('a codec that does not tell its width', async (t) => {
  const plain: LengthCodec = () => {
    const { lengthDecoder, lengthEncoder } = rustdeskLength()
    const withoutWidth = (data: Bytes, at?: number): number => {
      const size = lengthDecoder(data, at)
      withoutWidth.bytes = lengthDecoder.bytes
      return size
    }
    withoutWidth.bytes = 0
    return { lengthDecoder: withoutWidth, lengthEncoder }
  }
  const wire = hex('04aa 00 17000000 0102030405 0101' + '11'.repeat(64))
  for (let size = 1; size <= wire.length; size++) {
    t.same(decode(new LengthPrefixDecoder(plain), cut(wire, size)), ['aa', '', '0102030405', '11'.repeat(64)], `chunks of ${size}`)
  }
})

t.test('a frame inside one read is a view of it', async (t) => {
  const read = hex('0002abcd0001')
  const [frame] = new LengthPrefixDecoder(u16be).push([read])
  t.equal(frame.buffer, read.buffer)
  t.equal(frame.byteOffset, read.byteOffset + 2)
})

t.test('a frame that spans reads does not change with them', async (t) => {
  const decoder = new LengthPrefixDecoder(u16be)
  const read = hex('000401')
  t.same(decoder.push([read]), [])
  t.equal(decoder.held, 3)
  read.fill(0xee) // the reader's memory is reused
  t.same(decoder.push([hex('0203')]), [])
  t.same(decoder.push([hex('04')]).map(toHex), ['01020304'])
  t.equal(decoder.held, 0)
})

t.test('a stream that is cut anywhere', async (t) => {
  for (const make of [u16be, u32be, rustdeskLength]) {
    const [wire] = new LengthPrefixEncoder(make).push([hex('aa'), hex('bb'.repeat(70))])
    const first = new LengthPrefixEncoder(make).push([hex('aa')])[0].length
    for (let size = 0; size <= wire.length; size++) {
      const decoder = new LengthPrefixDecoder(make)
      const run = (): string[] => decode(decoder, cut(wire.subarray(0, size), 5))
      if (size === 0 || size === first || size === wire.length) t.doesNotThrow(run, `whole at ${size}`)
      else t.throws(run, { name: 'TruncatedError', code: 'ERR_TRUNCATED' }, `cut at ${size}`)
    }
  }
})

t.test('oversize is refused at the length, before anything is kept', async (t) => {
  const big = { name: 'FrameSizeError', code: 'ERR_FRAME_SIZE' }
  const decoder = new LengthPrefixDecoder(u32be, { maxFrame: 1000 })
  t.same(decoder.push([hex('000003e9')]), [])
  t.match(decoder.failure, big)
  t.equal(decoder.held, 0)
  t.throws(() => decode(new LengthPrefixDecoder(u32be, { maxFrame: 1000 }), cut(hex('ffffffff'), 1)), big)
  t.throws(() => decode(new LengthPrefixDecoder(u32be), [hex('00010000')]), big, 'default limit')
  t.throws(() => decode(new LengthPrefixDecoder(u16be, { adjust: 4 }), [hex('ffff')]), { code: 'ERR_TRUNCATED' }, 'the default allows all that u16be can say')

  const encoder = new LengthPrefixEncoder(u32be, { maxFrame: 10 })
  t.equal(encoder.push([new Uint8Array(10)])[0].length, 14)
  t.throws(() => encoder.push([new Uint8Array(1), new Uint8Array(11)]), big)
  t.throws(() => new LengthPrefixEncoder(u16be, { maxFrame: 1e6 }).push([new Uint8Array(65536)]), big, 'the field is too narrow')
  t.throws(() => new LengthPrefixEncoder(u16be, { adjust: 4 }).push([new Uint8Array(3)]), big)
})

t.test('no element of the encoder is larger than 64 KiB, but for a larger frame', async (t) => {
  const encoder = new LengthPrefixEncoder(u32be, { maxFrame: 200_000 })
  const sizes = [0, 16_384, 16_384, 16_384, 16_384, 1, 100_000, 1, 2, 65_528, 65_528]
  const batch = sizes.map((size, i) => Buffer.alloc(size, i))
  const elements = encoder.push(batch)
  t.same(elements.map(({ length }) => length), [4 + 3 * 16_388, 16_388 + 5, 100_004, 5 + 6, 65_532, 65_532])
  t.same(new LengthPrefixDecoder(u32be, { maxFrame: 200_000 }).push(elements).map(({ length }) => length), sizes, 'each is of whole frames, in order')
  t.throws(() => encoder.push([...batch, Buffer.alloc(200_001)]), { code: 'ERR_FRAME_SIZE' })
})

t.test('the encoder makes one buffer a batch', async (t) => {
  const encoder = new LengthPrefixEncoder(u16be)
  t.same(encoder.push([hex('01'), hex(''), hex('0203')]).map(toHex), ['00010100000002' + '0203'])
  t.same(encoder.push([]), [])
})

t.test('any frames through any cuts', async (t) => {
  const frames = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 })
  const sizes = fc.array(fc.nat(90), { minLength: 1, maxLength: 20 })
  for (const make of [u16be, u32be, rustdeskLength]) {
    for (const adjust of [0, -2]) {
      fc.assert(fc.property(frames, sizes, (frames, sizes) => {
        const wire = Buffer.concat(new LengthPrefixEncoder(make, { adjust }).push(frames))
        const got = decode(new LengthPrefixDecoder(make, { adjust }), pieces(wire, sizes))
        return JSON.stringify(got) === JSON.stringify(frames.map(toHex))
      }), { numRuns: 100 })
    }
  }
})

t.test('1 MiB in single bytes', async (t) => {
  const frame = Buffer.alloc(1 << 20, 'tunpipe ')
  const wire = Buffer.concat([hex('00100000'), frame])
  const decoder = new LengthPrefixDecoder(u32be, { maxFrame: 1 << 20 })
  const out: Uint8Array[] = []
  for (let at = 0; at < wire.length; at++) out.push(...decoder.push([wire.subarray(at, at + 1)]))
  decoder.end()
  t.equal(out.length, 1)
  t.equal(Buffer.compare(out[0], frame), 0)
})

t.test('memory follows what has come and not what a length announces', async (t) => {
  const decoder = new LengthPrefixDecoder(u32be, { maxFrame: 1 << 20 })
  const wire = Buffer.concat([hex('00100000'), Buffer.alloc(1 << 20, 'tunpipe ')])
  const largest = Math.max(...[...cut(wire, 1000)].slice(0, -1).map((read) => {
    t.same(decoder.push([read]), [])
    return decoder.capacity / decoder.held
  }))
  t.ok(largest < 4, `${largest} times`)
  t.equal(decoder.capacity, wire.length, 'in the end it is there once')
  const [frame] = decoder.push([wire.subarray(decoder.held)])
  t.equal(frame.buffer.byteLength, wire.length)
  t.equal(decoder.capacity, 0)

  const idle = new LengthPrefixDecoder(u32be)
  idle.push([hex('00')])
  t.equal(idle.capacity, 4, 'a length that is cut costs no more than itself')
})

t.test('damaged streams end in an error with a code, and hold no more than the limit', async (t) => {
  const below = random(1)
  const maxFrame = 200
  for (let round = 0; round < ROUNDS; round++) {
    const make = [u16be, u32be, rustdeskLength][round % 3]
    const frames = Array.from({ length: 1 + below(3) }, () => new Uint8Array(below(maxFrame + 1)))
    const wire = mutate(Buffer.concat(new LengthPrefixEncoder(make, { maxFrame }).push(frames)), below)
    const decoder = new LengthPrefixDecoder(make, { maxFrame })
    try {
      for (const piece of cut(wire, 1 + below(64))) {
        for (const frame of decoder.push([piece])) if (frame.length > maxFrame) throw new Error('frame beyond the limit')
        if (decoder.held >= maxFrame + 4) throw new Error('more held than a frame')
      }
      decoder.end()
    } catch (err) {
      const { code } = err as { code?: string }
      if (code !== 'ERR_FRAME_SIZE' && code !== 'ERR_TRUNCATED') {
        t.fail(`round ${round}: ${String(err)}`, { wire: toHex(wire) })
        return
      }
    }
  }
  t.pass(`${ROUNDS} rounds`)
})

t.test('as a layer: sink and source', async (t) => {
  const [here, there] = memoryPair().map((link) => over(link, lengthPrefix(u16be)))
  const frames = [hex('01'), hex(''), hex('0203')]
  const [, got] = await Promise.all([here.sink(from([frames, [hex('04')]])), collect(there.source)])
  t.same(got.map(toHex), ['01', '', '0203', '04'])
})

t.test('as a layer: port', async (t) => {
  const lower = recordingLink()
  const { port } = over(lower, lengthPrefix(u16be))
  t.equal(port.send([hex('01'), hex('0203')]), 2)
  t.same(lower.sent.map((batch) => batch.map(toHex)), [['00010100020203']])
  t.equal(port.send([hex('01'), new Uint8Array(65536)]), 0, 'too large, so dropped')
  lower.queued = 1000
  t.equal(port.send([hex('01')]), 0)
  t.equal(lower.sent.length, 1)
})

t.test('as a layer: errors reach the reader, options the maker', async (t) => {
  await t.rejects(collect(over(recordingLink([[hex('0003ff')]]), lengthPrefix(u16be)).source), { code: 'ERR_TRUNCATED' })
  const limited = over(recordingLink([[hex('0003')]]), lengthPrefix(u16be, { maxFrame: 2 }))
  await t.rejects(collect(limited.source), { code: 'ERR_FRAME_SIZE' })
  await t.rejects(over(recordingLink(), lengthPrefix(u16be)).sink(from([[new Uint8Array(65536)]])), { code: 'ERR_FRAME_SIZE' })
  t.throws(() => lengthPrefix(u16be, { maxFrame: -1 }), { code: 'ERR_OPTION' })
})

t.test('one frame at a time: the rest of the read comes back, and what is refused stays refused', async (t) => {
  const wire = hex('0002abcd 0000 0001ff 00')
  for (let size = 1; size <= wire.length; size++) {
    const decoder = new LengthPrefixDecoder(u16be)
    const frames: string[] = []
    for (let rest of cut(wire, size)) {
      for (let found = decoder.next(rest); found !== undefined; found = decoder.next(rest)) {
        frames.push(toHex(found.frame))
        rest = found.rest
      }
    }
    t.same(frames, ['abcd', '', 'ff'], `reads of ${size}`)
    t.equal(decoder.held, 1)
    t.throws(() => { decoder.end() }, { code: 'ERR_TRUNCATED' })
  }
  const decoder = new LengthPrefixDecoder(u16be, { maxFrame: 1 })
  t.throws(() => decoder.next(hex('0002')), { code: 'ERR_FRAME_SIZE' })
  t.throws(() => decoder.next(hex('0001ff')), { code: 'ERR_FRAME_SIZE' })
  t.match(decoder.failure, { code: 'ERR_FRAME_SIZE' })
})
