import t from 'tap'
import { natpass } from '../../../src/nodes/natpass/protocol/generated/natpass.js'
import { schemas } from '../../../src/nodes/natpass/protocol/generated/schema.js'
import { over, stack } from '../../../src/layer.ts'
import { checksum } from '../../../src/transforms/checksum.ts'
import { u16be } from '../../../src/transforms/length-codecs.ts'
import { lengthPrefix } from '../../../src/transforms/length-prefix.ts'
import { protobuf, ProtobufDecoder, ProtobufEncoder, type ProtobufInit } from '../../../src/transforms/protobuf/index.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { cut, hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { collect, from } from '../../helpers/links.ts'
import { messages, vector } from '../../helpers/natpass/vectors.ts'
import { mutations } from '../../helpers/sample.ts'

const init: ProtobufInit<natpass.msg.$Properties, natpass.msg> = { type: natpass.msg, schema: schemas.msg }
const layers = stack(lengthPrefix(u16be, { adjust: 4 }), checksum('crc32'), protobuf(init))
const payloads = messages.map(({ name }) => vector(name).subarray(6))
const ROUNDS = mutations()

t.test('golden messages: decoded and encoded they are the same bytes, in chunks of every size', async (t) => {
  const wire = Buffer.concat(messages.map(({ name }) => vector(name)))
  for (let size = 1; size < wire.length; size += size < 20 ? 1 : 211) {
    const [a, b] = memoryPair()
    const [decoded] = await Promise.all([collect(over(a, layers).source), b.sink(from(Array.from(cut(wire, size), (chunk) => [chunk])))])
    t.same(decoded.length, messages.length)
    const encoded = new ProtobufEncoder(init).push(decoded)
    const unknown = messages.map(({ inputs }) => inputs.unknown as string | undefined)
    t.same(encoded.map(toHex), payloads.map((payload, i) => unknown[i] === undefined ? toHex(payload) : toHex(payload).slice(0, -unknown[i].length)), `chunks of ${size}`)
  }
})

t.test('fields of bytes are views of the frame', async (t) => {
  const frame = vector('forward_legacy').subarray(6)
  const [message] = new ProtobufDecoder(init).push([frame])
  t.equal(message._data?.data?.buffer, frame.buffer)
})

t.test('a malformed message is a failure, behind the messages before it', async (t) => {
  for (const bad of ['1202fffe', 'f80aff', '5a040a02fffe']) {
    const decoder = new ProtobufDecoder(init)
    t.equal(decoder.push([payloads[0], hex(bad), payloads[1]]).length, 1)
    t.match(decoder.failure, { code: 'ERR_PROTOBUF' })
    t.throws(() => decoder.push([payloads[0]]), { code: 'ERR_PROTOBUF' })
  }
})

t.test('messages have a bound, both ways', async (t) => {
  const message = { sdata: { data: Buffer.alloc(100) } }
  const [frame] = new ProtobufEncoder(init).push([message])
  t.throws(() => new ProtobufEncoder({ ...init, maxBytes: frame.length - 1 }).push([{}, message]), { code: 'ERR_FRAME_SIZE' })
  const decoder = new ProtobufDecoder({ ...init, maxBytes: frame.length - 1 })
  t.same(decoder.push([frame]), [])
  t.match(decoder.failure, { code: 'ERR_FRAME_SIZE' })
  t.equal(new ProtobufDecoder({ ...init, maxBytes: frame.length }).push([frame]).length, 1)
})

t.test('damaged messages: decoded, or an error with a code', async (t) => {
  const rand = random(2)
  let taken = 0
  for (let i = 0; i < ROUNDS; i++) {
    const decoder = new ProtobufDecoder(init)
    if (decoder.push([mutate(payloads[i % payloads.length], rand)]).length > 0) taken++
    else if ((decoder.failure as { code?: string } | undefined)?.code !== 'ERR_PROTOBUF') throw decoder.failure ?? new Error('nothing, and no failure')
  }
  t.ok(taken > 0 && taken < ROUNDS)
})
