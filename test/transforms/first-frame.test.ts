/** The frame in front of a raw stream, and everything behind it (gotunnel protocol, section 1). */
import { once } from 'node:events'
import fc from 'fast-check'
import t from 'tap'
import { FirstFrameDecoder, firstFrame } from '../../src/transforms/first-frame.ts'
import { LengthPrefixDecoder, LengthPrefixEncoder, rustdeskLength, u16be, u32be, type LengthCodec } from '../../src/transforms/index.ts'
import type { Bytes } from '../../src/transforms/length-codecs.ts'
import { listenTcp, memoryPair } from '../../src/transports/index.ts'
import { cut, hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'
import { accept, batches, endsWith, failureOf, first, hearText, idle, listening, texts } from '../helpers/ends.ts'
import { vector } from '../helpers/gotunnel/vectors.ts'
import { collect, pieces, recordingLink } from '../helpers/links.ts'
import { rawTcp } from '../helpers/raw-sockets.ts'
import type { Batch, Link } from '../../src/types.ts'

const ROUNDS = mutations()

/** Every length is read with one byte more each time, until it can be. */
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

const codecs: Array<[name: string, make: LengthCodec]> = [['u16be', u16be], ['u32be', u32be], ['rustdeskLength', rustdeskLength], ['a codec without a width', plain]]

const TOO_LARGE = { name: 'FrameSizeError', code: 'ERR_FRAME_SIZE' }
const TRUNCATED = { name: 'TruncatedError', code: 'ERR_TRUNCATED' }

interface Found {
  frame: string
  rest: string
}

function lengthBytes (make: LengthCodec, wire: Uint8Array): number {
  const { lengthDecoder } = make()
  lengthDecoder(wire)
  return lengthDecoder.bytes
}

/** What the decoder finds, the reads behind it included; undefined when they were not enough. */
function decode (decoder: FirstFrameDecoder, reads: Uint8Array[]): Found | undefined {
  for (const [i, read] of reads.entries()) {
    const found = decoder.push(read)
    if (found !== undefined) return { frame: toHex(found.frame), rest: toHex(Buffer.concat([found.rest, ...reads.slice(i + 1)])) }
  }
  return undefined
}

/** The same by way of a link. */
async function read (make: LengthCodec, ...all: Batch[]): Promise<Found> {
  const { frame, rest } = await firstFrame(recordingLink(all), make)
  return { frame: frame === undefined ? 'none' : toHex(frame), rest: toHex(Buffer.concat(await collect(rest.source))) }
}

for (const [name, make] of codecs) {
  t.test(`${name}: every chunk size and every cut`, async (t) => {
    for (const payload of ['', 'ab', 'c0ffee', '11'.repeat(70)]) {
      for (const rest of ['', 'ff', '0000', '00000002abcd']) {
        const wire = Buffer.concat([...new LengthPrefixEncoder(make).push([hex(payload)]), hex(rest)])
        const expected = { frame: payload, rest }
        let wrong = 0
        for (let size = 1; size <= wire.length; size++) {
          const found = [decode(new FirstFrameDecoder(make), [...cut(wire, size)]), await read(make, ...[...cut(wire, size)].map((one) => [one])), await read(make, [...cut(wire, size)])]
          for (const each of found) if (JSON.stringify(each) !== JSON.stringify(expected)) wrong++
        }
        for (let at = 0; at <= wire.length; at++) {
          const parts = [wire.subarray(0, at), wire.subarray(at)]
          for (const each of [decode(new FirstFrameDecoder(make), parts), await read(make, parts), await read(make, [parts[0]], [], [parts[1]])]) {
            if (JSON.stringify(each) !== JSON.stringify(expected)) wrong++
          }
        }
        t.equal(wrong, 0, `${payload.length / 2} bytes, then ${rest.length / 2}`)
      }
    }
  })

  t.test(`${name}: cut anywhere`, async (t) => {
    const [wire] = new LengthPrefixEncoder(make).push([hex('ab'.repeat(70))])
    for (let size = 0; size < wire.length; size++) {
      const decoder = new FirstFrameDecoder(make)
      t.equal(decode(decoder, [...cut(wire.subarray(0, size), 3)]), undefined)
      t.equal(decoder.held, size)
      const link = recordingLink([[wire.subarray(0, size)], []])
      if (size === 0) t.match(await firstFrame(link, make), { frame: undefined }, 'an end before anything is none')
      else t.match(await failureOf(firstFrame(link, make)), TRUNCATED, `after ${size} bytes`)
      t.same(link.aborted, [], 'that is up to the caller')
    }
  })

  t.test(`${name}: a frame beyond the limit is refused at its length`, async (t) => {
    const [good] = new LengthPrefixEncoder(make).push([hex('ab'.repeat(100))])
    const [large] = new LengthPrefixEncoder(make).push([hex('ab'.repeat(101))])
    const head = large.length - 101
    t.match(decode(new FirstFrameDecoder(make, { maxFrame: 100 }), [good]), { frame: 'ab'.repeat(100) })
    for (const size of [1, 3, large.length]) {
      const decoder = new FirstFrameDecoder(make, { maxFrame: 100 })
      t.throws(() => { for (const part of cut(large.subarray(0, head), size)) decoder.push(part) }, TOO_LARGE, 'before its first byte')
      t.throws(() => decoder.push(hex('ab'.repeat(101))), TOO_LARGE, 'and for good')
      t.ok(decoder.held <= head, 'nothing of it is kept')
    }
    const link = recordingLink([[large.subarray(0, head)]])
    t.match(await failureOf(firstFrame(link, make, { maxFrame: 100 })), TOO_LARGE)
    t.same(link.aborted, [])
  })
}

t.test('an announcement costs nothing', async (t) => {
  const before = process.memoryUsage().arrayBuffers
  const all = Array.from({ length: 1000 }, () => new FirstFrameDecoder(u32be, { maxFrame: 2 ** 32 }))
  for (const decoder of all) decoder.push(hex('ffffffff 01'))
  t.ok(process.memoryUsage().arrayBuffers - before < 1000 * 8192, 'as of 4 GiB')
  t.throws(() => new FirstFrameDecoder(u32be).push(hex('00010000')), TOO_LARGE, 'the default limit is what two bytes can say')
  t.equal(new FirstFrameDecoder(u32be).push(hex('0000ffff')), undefined)
})

t.test('a codec that never comes to a length', async (t) => {
  const endless: LengthCodec = () => ({ ...u32be(), lengthDecoder: Object.assign(() => { throw new RangeError('more') }, { bytes: 0 }) })
  const decoder = new FirstFrameDecoder(endless)
  for (let i = 0; i < 7; i++) t.equal(decoder.push(hex('ff')), undefined)
  t.throws(() => decoder.push(hex('ff')), TOO_LARGE)
  const broken: LengthCodec = () => ({ ...u32be(), lengthDecoder: Object.assign(() => { throw new TypeError('a bug') }, { bytes: 0 }) })
  t.throws(() => new FirstFrameDecoder(broken).push(hex('ff')), TypeError)
})

t.test('options are checked, and adjust is applied', async (t) => {
  for (const init of [{ maxFrame: -1 }, { maxFrame: NaN }, { adjust: 0.5 }]) {
    t.throws(() => new FirstFrameDecoder(u16be, init), { code: 'ERR_OPTION' })
    t.match(await failureOf(firstFrame(recordingLink(), u16be, init)), { code: 'ERR_OPTION' })
  }
  t.same(decode(new FirstFrameDecoder(u16be, { adjust: 4 }), [hex('0001c0ffee00ab11')]), { frame: 'c0ffee00ab', rest: '11' })
  t.same(decode(new FirstFrameDecoder(u16be, { adjust: -2 }), [hex('0002c0')]), { frame: '', rest: 'c0' })
  t.throws(() => new FirstFrameDecoder(u16be, { adjust: -2 }).push(hex('0001')), TOO_LARGE)
})

t.test('property: it is the first frame of a decoder of all frames, and the bytes behind it', async (t) => {
  const sizes = fc.array(fc.nat(90), { minLength: 1, maxLength: 20 })
  for (const [, make] of codecs) {
    await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), sizes, fc.nat(8), async (wire, sizes, perBatch) => {
      const oracle = new LengthPrefixDecoder(make, { maxFrame: 200 })
      const [frame] = oracle.push([Uint8Array.from(wire)])
      const reads = pieces(wire, sizes)
      const all: Batch[] = []
      while (reads.length > 0) all.push(reads.splice(0, 1 + perBatch))
      const link = recordingLink(all)
      try {
        const found = await firstFrame(link, make, { maxFrame: 200 })
        const rest = Buffer.concat(await collect(found.rest.source))
        if (found.frame === undefined) return wire.length === 0
        const head = lengthBytes(make, wire)
        return frame !== undefined && Buffer.compare(found.frame, frame) === 0 && rest.equals(wire.subarray(head + frame.length))
      } catch (err) {
        const { code } = err as { code?: string }
        return frame === undefined && code === (oracle.failure === undefined ? 'ERR_TRUNCATED' : 'ERR_FRAME_SIZE')
      }
    }), { numRuns: 300 })
  }
})

t.test('damaged beginnings give the frame, want more, or end in an error with a code', async (t) => {
  const below = random(1)
  for (let round = 0; round < ROUNDS; round++) {
    const [, make] = codecs[round % codecs.length]
    const wire = mutate(Buffer.concat(new LengthPrefixEncoder(make).push([new Uint8Array(below(200)), new Uint8Array(3)])), below)
    const decoder = new FirstFrameDecoder(make, { maxFrame: 200 })
    const oracle = new LengthPrefixDecoder(make, { maxFrame: 200 })
    const [expected] = oracle.push([Uint8Array.from(wire)])
    let got: Found | undefined
    try {
      got = decode(decoder, [...cut(wire, 1 + below(64))])
    } catch (err) {
      if ((err as { code?: string }).code !== 'ERR_FRAME_SIZE' || oracle.failure === undefined) t.fail(`round ${round}: ${String(err)}`, { wire: toHex(wire) })
    }
    if (got?.frame !== (expected === undefined ? undefined : toHex(expected)) || decoder.held > 208) {
      t.fail(`round ${round}`, { wire: toHex(wire) })
      return
    }
  }
  t.pass(`${ROUNDS} rounds`)
})

t.test('T11: bytes that share a segment with the first frame are handed on, whatever the cut', async (t) => {
  const { bytes, inputs: { packet, trailing } } = vector('data_channel_then_stream')
  for (let at = 0; at <= bytes.length; at++) {
    const { frame, rest } = await firstFrame(recordingLink([[bytes.subarray(0, at), bytes.subarray(at)]]), u32be, { maxFrame: 4096 })
    t.same(JSON.parse(String(frame)), packet)
    t.equal(await hearText(rest.source), trailing)
  }
})

t.test('what is left of a batch is one batch, untouched, in memory of its own reads', async (t) => {
  const reads = [hex('0001'), hex('ab c1'), hex('d2d3'), hex(''), hex('e4')]
  const { rest } = await firstFrame(recordingLink([reads, [hex('f5')], [hex('f6'), hex('f7')]]), u16be)
  const all: Batch[] = []
  for await (const batch of rest.source) all.push(batch)
  t.same(all.map((batch) => batch.map(toHex)), [['c1', 'd2d3', '', 'e4'], ['f5'], ['f6', 'f7']])
  t.equal(all[0][1], reads[2])
  t.equal(all[0][0].buffer, reads[1].buffer, 'a view and no copy')
})

t.test('a frame does not change with the reads it came in', async (t) => {
  for (const parts of [['00020a', '0b'], ['0002', '0a0b'], ['00020a0b']]) {
    const reads = parts.map(hex)
    const { frame } = await firstFrame(recordingLink(reads.map((one) => [one])), u16be)
    for (const one of reads) one.fill(0xee)
    t.equal(toHex(frame as Uint8Array), '0a0b')
  }
})

t.test('1 MiB in single bytes', async (t) => {
  const frame = Buffer.alloc(1 << 20, 'tunpipe ')
  const wire = Buffer.concat([hex('00100000'), frame])
  const decoder = new FirstFrameDecoder(u32be, { maxFrame: 1 << 20 })
  let found: { frame: Uint8Array, rest: Uint8Array } | undefined
  for (let at = 0; at < wire.length; at++) {
    if (found !== undefined) t.fail('too early')
    found = decoder.push(wire.subarray(at, at + 1))
  }
  t.ok(found !== undefined && frame.equals(found.frame))
  t.equal(found?.rest.length, 0)
})

t.test('a sender of single bytes, over TCP', async (t) => {
  const { port, incoming } = await listening(t, (at) => listenTcp(at))
  const { socket } = await rawTcp(port, { chunk: 1 })
  const { bytes, inputs: { packet, trailing } } = vector('data_channel_then_stream')
  socket.end(bytes)
  const { frame, rest } = await firstFrame(await accept(t, incoming), u32be, { maxFrame: 4096 })
  t.same(JSON.parse(String(frame)), packet)
  const heard = hearText(rest.source)
  await rest.sink(batches(texts('goodbye')))
  t.equal(await heard, trailing)
  socket.resume()
  await once(socket, 'end')
})

t.test('several frames, one after the other', async (t) => {
  let link: Link = recordingLink([[hex('0001aa 0000 0002bb')], [hex('cc 0001')], [hex('dd ee')]])
  const frames: string[] = []
  for (let i = 0; i < 4; i++) {
    const { frame, rest } = await firstFrame(link, u16be)
    frames.push(toHex(frame as Uint8Array))
    link = rest
  }
  t.same(frames, ['aa', '', 'bbcc', 'dd'])
  t.same((await collect(link.source)).map(toHex), ['ee'])
  t.match(await firstFrame(link, u16be), { frame: undefined })
})

t.test('the rest writes and ends as the link did', async (t) => {
  const [here, there] = memoryPair()
  there.port.send([hex('0001aa')])
  const { rest } = await firstFrame(here, u16be)
  t.equal(rest.port.send(texts('one ')), 1)
  t.equal(rest.port.limit, here.port.limit)
  const heard = hearText(there.source)
  await rest.sink(batches(texts('two')))
  t.equal(await heard, 'one two', 'its end is the end of one direction')
  there.port.send(texts('still here'))
  t.equal((await first(rest.source)).toString(), 'still here')
  const boom = new Error('boom')
  const reading = failureOf(collect(rest.source))
  rest.abort(boom)
  t.equal(await reading, boom)
  t.equal(await failureOf(collect(here.source).then(() => { throw boom })), boom)
})

t.test('the rest ends as the link does', async (t) => {
  const [here, there] = memoryPair()
  there.port.send([hex('0001aa bb')])
  const { rest } = await firstFrame(endsWith(t, here), u16be)
  there.abort(new Error('boom'))
  const reader = rest.source[Symbol.asyncIterator]()
  t.same(await reader.next(), { done: false, value: [hex('bb')] }, 'what had come is there')
  t.match(await failureOf(reader.next()), { code: 'ERR_LINK_CLOSED' })

  const broken = new Error('broken')
  async function * breaking (): AsyncGenerator<Batch> {
    yield [hex('00')]
    throw broken
  }
  t.equal(await failureOf(firstFrame({ ...recordingLink(), source: breaking() }, u16be)), broken)
})

t.test('whoever leaves the rest early leaves the link', async (t) => {
  for (const reads of ['0001aa', '0001aabb']) {
    const { source, returned } = idle()
    source.push(hex(reads))
    const { rest } = await firstFrame({ ...recordingLink(), source }, u16be)
    const reader = rest.source[Symbol.asyncIterator]()
    t.equal(rest.source[Symbol.asyncIterator](), reader, 'it has one reader')
    t.same(await reader.return?.(), { done: true, value: undefined })
    await returned
    t.same(await reader.next(), { done: true, value: undefined }, 'and nothing comes any more')
  }
})
