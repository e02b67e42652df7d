/** The compact wire format: golden bytes, round trips, cuts, damage. */
import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import t from 'tap'
import { cut, hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { TruncatedError } from '../../../src/errors.ts'
import { compactMux, type MuxFrames } from '../../../src/transforms/link-mux/index.ts'
import { CompactDecoder } from '../../../src/transforms/link-mux/decode.ts'
import { CompactEncoder } from '../../../src/transforms/link-mux/encode.ts'
import { MAX_ID } from '../../../src/transforms/link-mux/varint.ts'

const ROUNDS = mutations()
const MAX_DATA = 16_384

/** A frame in the form of the golden bytes. */
type Frame = { type: string, id: number } & Record<string, unknown>

interface Vector { name: string, inputs: Frame | Frame[], hex: string }

const vectors = JSON.parse(readFileSync(new URL('../../vectors/link-mux.json', import.meta.url), 'utf8')) as Vector[]

const framesOf = ({ inputs }: Vector): Frame[] => Array.isArray(inputs) ? inputs : [inputs]

/** Frames become objects, with copies of their bytes. */
function recorder (): { frames: Frame[], taker: MuxFrames<number, Uint8Array, Uint8Array> } {
  const frames: Frame[] = []
  return {
    frames,
    taker: {
      open: (id, request, window) => { frames.push({ type: 'open', id, window: window ?? 0, request_hex: toHex(request) }) },
      accept: (id, response, window) => { frames.push({ type: 'accept', id, window: window ?? 0, response_hex: toHex(response) }) },
      reject: (id, code, response) => { frames.push({ type: 'reject', id, code, response_hex: response === undefined ? '' : toHex(response) }) },
      data: (id, bytes) => { frames.push({ type: 'data', id, bytes_hex: toHex(bytes) }) },
      window: (id, bytes) => { frames.push({ type: 'window', id, bytes }) },
      end: (id) => { frames.push({ type: 'end', id }) },
      reset: (id, code) => { frames.push({ type: 'reset', id, code }) }
    }
  }
}

function encode (frames: Frame[], encoder = new CompactEncoder()): Buffer {
  const bytes = (value: unknown): Uint8Array => hex(String(value))
  for (const frame of frames) {
    const { type, id } = frame
    if (type === 'open') encoder.open(id, bytes(frame.request_hex), Number(frame.window))
    else if (type === 'accept') encoder.accept(id, bytes(frame.response_hex), Number(frame.window))
    else if (type === 'reject') encoder.reject(id, Number(frame.code), bytes(frame.response_hex))
    else if (type === 'data') encoder.data(id, bytes(frame.bytes_hex))
    else if (type === 'window') encoder.window(id, Number(frame.bytes))
    else if (type === 'end') encoder.end(id)
    else encoder.reset(id, Number(frame.code))
  }
  return Buffer.concat(encoder.take())
}

interface Outcome { frames: Frame[], code: unknown }

/** What a wire gives, in pieces, and the error, of its end too. */
function decode (pieces: Iterable<Uint8Array>, maxData = MAX_DATA): Outcome {
  const { frames, taker } = recorder()
  const decoder = new CompactDecoder(maxData)
  try {
    for (const piece of pieces) {
      decoder.push([piece], taker)
      if (decoder.held > maxData + 4200) throw new Error(`${decoder.held} bytes held`)
    }
    decoder.end()
  } catch (err) {
    const { code } = err as { code?: string }
    if (code === undefined) throw err
    return { frames, code }
  }
  return { frames, code: undefined }
}

const ID = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: MAX_ID }))
const NUMBER = fc.oneof(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 0xffff_ffff }))
const WINDOW = fc.integer({ min: 0, max: 0x7fff_ffff })
const bytesHex = (max: number): fc.Arbitrary<string> => fc.uint8Array({ maxLength: max }).map(toHex)
const FRAME: fc.Arbitrary<Frame> = fc.oneof(
  fc.record({ type: fc.constant('open'), id: ID, window: WINDOW, request_hex: bytesHex(300) }),
  fc.record({ type: fc.constant('accept'), id: ID, window: WINDOW, response_hex: bytesHex(300) }),
  fc.record({ type: fc.constant('reject'), id: ID, code: NUMBER, response_hex: bytesHex(300) }),
  fc.record({ type: fc.constant('data'), id: ID, bytes_hex: bytesHex(5000) }),
  fc.record({ type: fc.constant('window'), id: ID, bytes: NUMBER }),
  fc.record({ type: fc.constant('end'), id: ID }),
  fc.record({ type: fc.constant('reset'), id: ID, code: NUMBER })
)

t.test('golden bytes, both ways', async (t) => {
  for (const vector of vectors) {
    t.equal(toHex(encode(framesOf(vector))), vector.hex, vector.name)
    t.same(decode([hex(vector.hex)]), { frames: framesOf(vector), code: undefined }, vector.name)
  }
})

t.test('every chunk size gives the same frames', async (t) => {
  const wire = Buffer.concat(vectors.map((vector) => hex(vector.hex)))
  const expected = { frames: vectors.flatMap(framesOf), code: undefined }
  for (let size = 1; size <= wire.length; size++) t.strictSame(decode(cut(wire, size)), expected, `${size}`)
})

t.test('property: what was encoded is decoded, whatever the cuts', async () => {
  fc.assert(fc.property(fc.array(FRAME, { maxLength: 20 }), fc.integer({ min: 1, max: 3000 }), (frames, size) => {
    const wire = encode(frames)
    const { frames: got, code } = decode(cut(wire, size))
    return code === undefined && JSON.stringify(got) === JSON.stringify(frames)
  }), { numRuns: 200 })
})

t.test('property: one encoder for many writes', async () => {
  fc.assert(fc.property(fc.array(fc.array(FRAME, { maxLength: 8 }), { maxLength: 8 }), (writes) => {
    const encoder = new CompactEncoder()
    const parts = writes.map((frames) => encode(frames, encoder))
    return Buffer.concat(parts).equals(encode(writes.flat()))
  }), { numRuns: 100 })
})

t.test('a truncated connection is one wherever it is not between frames', async (t) => {
  for (const vector of vectors) {
    const wire = hex(vector.hex)
    const ends = new Set([0])
    let at = 0
    for (const frame of framesOf(vector)) ends.add(at += encode([frame]).length)
    for (let length = 0; length < wire.length; length++) {
      const { code } = decode([wire.subarray(0, length)])
      t.equal(code, ends.has(length) ? undefined : 'ERR_TRUNCATED', `${vector.name}, ${length} bytes`)
    }
  }
  t.throws(() => {
    const decoder = new CompactDecoder(MAX_DATA)
    decoder.push([hex('0b05')], recorder().taker)
    decoder.end()
  }, TruncatedError)
})

t.test('what breaks the framing', async (t) => {
  const cases: Array<[what: string, bytes: string, code: string]> = [
    ['a header of more than five bytes', 'ffffffffff01', 'ERR_MUX_PROTOCOL'],
    ['a header of more than 32 bits', 'ffffffff1f', 'ERR_MUX_PROTOCOL'],
    ['a header that could be shorter', '8b00', 'ERR_MUX_PROTOCOL'],
    ['id 0', '0301', 'ERR_MUX_PROTOCOL'],
    ['type 7', '0f00', 'ERR_MUX_PROTOCOL'],
    ['a length that could be shorter', '0b8500', 'ERR_MUX_PROTOCOL'],
    ['a length of more than 32 bits', '0bffffffff1f', 'ERR_MUX_PROTOCOL'],
    ['data of 16385 bytes', '0b818001', 'ERR_FRAME_SIZE'],
    ['a window with a content of six bytes', '0c06', 'ERR_FRAME_SIZE'],
    ['an end with content', '0d01', 'ERR_FRAME_SIZE'],
    ['a request that is too long', '088720', 'ERR_FRAME_SIZE'],
    ['a window without a number', '0c00', 'ERR_MUX_PROTOCOL'],
    ['a window whose number has no end', '0c0180', 'ERR_MUX_PROTOCOL'],
    ['a reset with bytes behind its code', '0e020101', 'ERR_MUX_PROTOCOL'],
    ['an open without a window', '0800', 'ERR_MUX_PROTOCOL'],
    ['a window of 2^32 bytes', '08058080808010', 'ERR_MUX_PROTOCOL']
  ]
  const before = framesOf(vectors[0])[0]
  for (const [what, bytes, code] of cases) {
    const wire = Buffer.concat([encode([before]), hex(bytes)])
    for (let size = 1; size <= wire.length; size++) t.same(decode(cut(wire, size)), { frames: [before], code }, `${what}, in pieces of ${size}`)
  }
  const long = Buffer.concat([hex('088720'), hex('01'), Buffer.alloc(4102)])
  t.equal(decode([long]).code, 'ERR_FRAME_SIZE')
  t.equal(decode([Buffer.concat([hex('088220'), hex('01'), Buffer.alloc(4097)])]).code, 'ERR_FRAME_SIZE', 'one byte too many behind a short window')
  const { taker } = recorder()
  const decoder = new CompactDecoder(MAX_DATA)
  t.throws(() => { decoder.push([hex('0f00')], taker) }, { code: 'ERR_MUX_PROTOCOL' })
  t.throws(() => { decoder.push([hex('0d00')], taker) }, { code: 'ERR_MUX_PROTOCOL' }, 'and it stays so')
  t.throws(() => { decoder.end() }, { code: 'ERR_MUX_PROTOCOL' })
})

t.test('the largest contents', async (t) => {
  const frames = [
    { type: 'open', id: 1, window: 1, request_hex: '61'.repeat(4096) },
    { type: 'data', id: 1, bytes_hex: '62'.repeat(MAX_DATA) }
  ]
  t.same(decode(cut(encode(frames), 1000)), { frames, code: undefined })
  const encoder = new CompactEncoder()
  t.throws(() => { encoder.open(1, new Uint8Array(4097), 1) }, { code: 'ERR_FRAME_SIZE' })
  t.same(encoder.take(), [], 'nothing of it is encoded')
})

t.test('mutations: the same frames and the same error however they are cut, and nothing but errors with a code', async (t) => {
  const below = random(7)
  const wires = vectors.map((vector) => hex(vector.hex))
  let broken = 0
  for (let i = 0; i < ROUNDS; i++) {
    const wire = mutate(Buffer.concat([wires[below(wires.length)], wires[below(wires.length)]]), below)
    const whole = decode([Uint8Array.from(wire)])
    const pieces = decode(cut(wire, 1 + below(9)))
    if (JSON.stringify(pieces) !== JSON.stringify(whole)) t.fail(`round ${i}: ${toHex(wire)}`)
    if (whole.code !== undefined) broken++
    if (whole.code === undefined && !encode(whole.frames).equals(wire)) t.fail(`round ${i}: not the only encoding of ${toHex(wire)}`)
  }
  t.ok(broken > ROUNDS / 10 && broken < ROUNDS, `${broken} of ${ROUNDS} broken`)
})

t.test('without credit windows are neither written nor read', async (t) => {
  t.equal(toHex(encode([{ type: 'open', id: 2, window: 5, request_hex: '' }], new CompactEncoder(false))), toHex(encode([{ type: 'open', id: 2, window: 0, request_hex: '' }])))
  const { frames, taker } = recorder()
  new CompactDecoder(MAX_DATA, false).push([encode([{ type: 'open', id: 2, window: 5, request_hex: '' }])], taker)
  t.same(frames, [{ type: 'open', id: 2, window: 0, request_hex: '' }])
})

t.test('ids', async (t) => {
  const [client, server] = [compactMux({ role: 'client' })(), compactMux({ role: 'server' })()]
  t.same([client, client, server, server].map((codec) => codec.nextId(Buffer.from('any'))), [1, 3, 2, 4])
  t.same([2, 4, 4, 2, 3, 10, 8].map((id) => client.mayOpen(id)), [true, true, false, false, false, true, false])
  t.same([2, 1].map((id) => server.mayOpen(id)), [false, true])
})

t.test('options that cannot work', async (t) => {
  for (const init of [{ role: 'relay' }, { role: 'client', maxData: 0 }, { role: 'client', maxData: 1.5 }, { role: 'client', maxData: 2 ** 32 }]) {
    t.throws(() => compactMux(init as never), { code: 'ERR_OPTION' })
  }
})
