import fc from 'fast-check'
import t from 'tap'
import { Envelope } from '../../../../src/nodes/natpass/protocol/envelope.ts'
import { frames, frameOfPayload, rawFrames, verifyChecksum } from '../../../../src/nodes/natpass/protocol/frames.ts'
import { decodeMessage, frameOf, msgSchema, type MessageInit } from '../../../../src/nodes/natpass/protocol/messages.ts'
import { over } from '../../../../src/layer.ts'
import { memoryPair } from '../../../../src/transports/memory/index.ts'
import { cut, hex, mutate, random, toHex } from '../../../helpers/bytes.ts'
import { hear } from '../../../helpers/ends.ts'
import { from } from '../../../helpers/links.ts'
import { messages, vector } from '../../../helpers/natpass/vectors.ts'
import { mutations } from '../../../helpers/sample.ts'

const HEAD = 6
const ROUNDS = mutations()
const utf8 = (text: string): Buffer => Buffer.from(text)

/** The payload of a message with other addresses. */
function readdressed (payload: Uint8Array, sender: string, receiver: string): Buffer {
  const into = Buffer.alloc(payload.length + utf8(sender).length + utf8(receiver).length + 20)
  const end = new Envelope(msgSchema).read(payload, 0).writeAddressed(utf8(sender), utf8(receiver), into, 0)
  return into.subarray(0, end)
}

t.test('the outer fields of every golden message', async (t) => {
  const envelope = new Envelope(msgSchema)
  for (const { name, inputs: { message } } of messages) {
    const frame = vector(name)
    verifyChecksum(frame)
    const { type, from, to, link } = envelope.read(frame, HEAD)
    t.same({ type, from, to, link }, { type: decodeMessage(frame.subarray(HEAD))._type, from: message.from ?? '', to: message.to ?? '', link: message.link_id ?? '' }, name)
    t.ok(envelope.isAddressed(utf8(from), utf8(to)))
    t.notOk(envelope.isAddressed(utf8(`${from}x`), utf8(to)))
    t.ok(envelope.isOfLink(utf8(link)))
    t.equal(toHex(readdressed(frame.subarray(HEAD), from, to)), from === '' ? '12002200' : toHex(frame.subarray(HEAD)), `${name}: the same addresses, the same bytes`)
  }
})

t.test('a relayed message is that of the original, byte for byte', async (t) => {
  const frame = vector('unknown_type_and_field_in')
  t.equal(toHex(frameOfPayload(readdressed(frame.subarray(HEAD), 'real', 'b'))), toHex(vector('unknown_type_and_field_relayed')))
})

t.test('malformed messages', async (t) => {
  const envelope = new Envelope(msgSchema)
  for (const name of ['invalid_utf8_from', 'bad_protobuf', 'gzip_keepalive_negative']) t.throws(() => envelope.read(vector(name), HEAD), { code: 'ERR_PROTOBUF' }, name)
  t.throws(() => { verifyChecksum(vector('bad_crc_keepalive')) }, { code: 'ERR_CHECKSUM' })
  t.throws(() => envelope.read(hex('5a04 0a02 fffe'), 0), { code: 'ERR_PROTOBUF' }, 'text in a payload')
  t.throws(() => envelope.read(hex('5a03 5202 08'), 0), { code: 'ERR_PROTOBUF' }, 'a message in a payload that is cut short')
})

t.test('from and to that stand there twice: the last counts, and one is left', async (t) => {
  const payload = hex('1201 61 0801 1201 62 2201 63 2201 64 3201 6c')
  const envelope = new Envelope(msgSchema).read(payload, 0)
  const { from, to, link, isRepeated, type } = envelope
  t.same({ from, to, link, isRepeated, type }, { from: 'b', to: 'd', link: 'l', isRepeated: true, type: 1 })
  t.notOk(envelope.isAddressed(utf8('b'), utf8('d')))
  t.equal(toHex(readdressed(payload, 'x', 'y')), '120178220179' + '0801' + '32016c')
})

const anyMessage: fc.Arbitrary<MessageInit> = fc.record({
  _type: fc.constantFrom(0, 3, 5, 6, 11, 100),
  from: fc.string({ unit: 'binary', maxLength: 300 }),
  to: fc.string({ unit: 'binary', maxLength: 200 }),
  link_id: fc.string({ maxLength: 20 }),
  sdata: fc.option(fc.record({ data: fc.uint8Array({ maxLength: 200 }) }), { nil: undefined })
})

t.test('any message: read as the decoder reads it, and the same with other addresses', async () => {
  fc.assert(fc.property(anyMessage, fc.string({ unit: 'grapheme', maxLength: 200 }), fc.string({ maxLength: 20 }), (message, sender, receiver) => {
    const payload = frameOf(message).subarray(HEAD)
    const plain = decodeMessage(payload)
    const { type, from, to, link } = new Envelope(msgSchema).read(payload, 0)
    t.strictSame([type, from, to, link], [plain._type, plain.from, plain.to, plain.link_id])
    const after = decodeMessage(readdressed(payload, sender, receiver))
    t.strictSame([after.from, after.to, after.link_id, toHex(after.sdata?.data ?? hex(''))], [sender, receiver, plain.link_id, toHex(plain.sdata?.data ?? hex(''))])
  }), { numRuns: 200 })
})

t.test('damaged messages: an error with a code, or what the decoder takes as well', async (t) => {
  const rand = random(1)
  const envelope = new Envelope(msgSchema)
  const samples = messages.map(({ name }) => vector(name).subarray(HEAD))
  let taken = 0
  for (let i = 0; i < ROUNDS; i++) {
    const payload = mutate(samples[i % samples.length], rand)
    try {
      envelope.read(payload, 0)
    } catch (err: any) {
      if (err.code !== 'ERR_PROTOBUF') throw err
      continue
    }
    decodeMessage(payload)
    readdressed(payload, 'from', 'to')
    taken++
  }
  t.ok(taken > 0 && taken < ROUNDS, `${taken} of ${ROUNDS} were taken`)
})

t.test('frames in chunks of every size: with length and checksum for a relay, payloads for a peer', async (t) => {
  const all = messages.map(({ name }) => vector(name))
  const wire = Buffer.concat(all)
  for (let size = 1; size <= 300; size += size < 20 ? 1 : 37) {
    for (const [layer, expected] of [[rawFrames, all], [frames, all.map((frame) => frame.subarray(HEAD))]] as const) {
      const [a, b] = memoryPair()
      const [heard] = await Promise.all([hear(over(a, layer).source), b.sink(from(Array.from(cut(wire, size), (chunk) => [chunk])))])
      t.same(heard.map(toHex), expected.map(toHex), `chunks of ${size}`)
    }
  }
})
