/** Messages of data, read in place: where their fields are, and that all others are left to the decoder of messages. */
import fc from 'fast-check'
import t from 'tap'
import { DataFields, isAt, isOfData } from '../../../../src/nodes/showchain/protocol/data-fields.ts'
import { encodeMessage, MAX_MESSAGE, readMessage, type ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { hex, mutate, random, toHex } from '../../../helpers/bytes.ts'
import { mutations } from '../../../helpers/sample.ts'
import { messageOf, OPS } from '../../../helpers/showchain/messages.ts'
import { messageVectors } from '../../../helpers/showchain/vectors.ts'

/** What the fields tell, as a message. */
function messageIn (bytes: Uint8Array, fields: DataFields): ShowchainMessage {
  const { op, seq, ts, id, target, session, data, dataLength, sign, signLength, dataHash } = fields
  const part = (at: number, length: number): Uint8Array | undefined => at === 0 ? undefined : bytes.subarray(at, at + length)
  return { op, seq, ts, id: part(id, 32), target: part(target, 32), session: part(session, 16), data: part(data, dataLength), sign: part(sign, signLength), dataHash: part(dataHash, 32) }
}

const plain = (message: object): object => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined).map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : value]))

/** Whether bytes are read, and then as the decoder of messages reads them. */
function isRead (bytes: Uint8Array, fields: DataFields): boolean {
  if (!fields.read(bytes)) return false
  const message = readMessage(bytes)
  if (typeof message === 'string') throw new Error(`${toHex(bytes)} is no message: ${message}`)
  if (JSON.stringify(plain(messageIn(bytes, fields))) !== JSON.stringify(plain({ ...messageIn(bytes, fields), ...message }))) throw new Error(`other fields: ${toHex(bytes)}`)
  if (Buffer.compare(encodeMessage(message), bytes) !== 0) throw new Error(`not as it is written: ${toHex(bytes)}`)
  return true
}

const DATA: readonly number[] = [Op.dataRequest, Op.passData, Op.dataAck]

t.test('golden vectors: those of data, and no others', async (t) => {
  const fields = new DataFields()
  for (const { name, hex: wire, inputs } of messageVectors) {
    t.equal(isRead(hex(wire), fields), DATA.includes(inputs.op), name)
    t.equal(isOfData(hex(wire)), DATA.includes(inputs.op), name)
  }
})

t.test('any message of data is read', async () => {
  const fields = new DataFields()
  const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
  const number = fc.oneof(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.constantFrom(1, 127, 128, 16_383, 16_384, 2 ** 32, Number.MAX_SAFE_INTEGER))
  const message = fc.record({ id: bytes(32), target: bytes(32), session: bytes(16), seq: number, ts: number, data: fc.uint8Array({ minLength: 1, maxLength: 500 }), dataHash: fc.option(bytes(32), { nil: undefined }) })
  const sign = fc.oneof(bytes(32), bytes(256), bytes(512))
  fc.assert(fc.property(message, sign, fc.option(bytes(32), { nil: undefined }), (all, sign, arrived) => {
    const { seq, ts, session } = all
    const messages: ShowchainMessage[] = [{ ...all, op: Op.dataRequest, sign }, { ...all, op: Op.passData }, { op: Op.dataAck, seq, ts, session, data: arrived }]
    return messages.every((one) => isRead(encodeMessage(one), fields))
  }))
})

t.test('what is not as writers write it is left to the decoder of messages', async (t) => {
  const fields = new DataFields()
  const request = encodeMessage(messageOf(Op.dataRequest))
  const ack = encodeMessage(messageOf(Op.dataAck))
  const others: Array<[what: string, bytes: Uint8Array]> = [
    ['an unknown field', Buffer.concat([request, hex('800101')])], ['a field that it does not have', Buffer.concat([request, hex('6802')])],
    ['a field twice', Buffer.concat([ack, ack.subarray(3)])], ['another order', Buffer.concat([ack.subarray(0, 3), ack.subarray(5), ack.subarray(3, 5)])],
    ['a longer number', Buffer.concat([ack.subarray(0, 4), hex('8700'), ack.subarray(5)])], ['a longer op code', Buffer.concat([hex('08a58200'), ack.subarray(3)])],
    ['more than 2^53 - 1', Buffer.concat([ack.subarray(0, 4), hex('8080808080808010'), ack.subarray(5)])],
    ['too long', encodeMessage(messageOf(Op.passData, { data: Buffer.alloc(MAX_MESSAGE) }))], ['nothing', new Uint8Array(0)], ['one byte', Uint8Array.of(8)]
  ]
  for (const [what, bytes] of others) t.equal(fields.read(bytes), false, what)
  for (const [name, op] of OPS) t.equal(fields.read(encodeMessage(messageOf(op))), DATA.includes(op), name)
  for (const missing of ['id', 'target', 'session', 'data', 'sign'] as const) t.equal(fields.read(encodeMessage({ ...messageOf(Op.dataRequest), [missing]: undefined })), false, missing)
  for (const missing of ['seq', 'ts'] as const) t.equal(fields.read(encodeMessage({ ...messageOf(Op.dataRequest), [missing]: 0 })), false, missing)
  for (const length of [0, 31, 33, 255, 513]) t.equal(fields.read(encodeMessage({ ...messageOf(Op.dataRequest), sign: Buffer.alloc(length) })), false, `sign of ${length}`)
})

t.test('mutations: what is read is what the decoder of messages reads', async (t) => {
  const below = random(23)
  const fields = new DataFields()
  const samples = messageVectors.filter(({ inputs }) => DATA.includes(inputs.op)).map(({ hex: wire }) => hex(wire))
  const count = mutations()
  let read = 0
  for (let i = 0; i < count; i++) if (isRead(mutate(samples[below(samples.length)], below), fields)) read++
  t.ok(read > count / 100, `${read} of ${count} are read`)
  for (const bytes of samples) for (let length = 0; length < bytes.length; length++) isRead(bytes.subarray(0, length), fields)
})

t.test('bytes at a place', async (t) => {
  const bytes = Uint8Array.of(1, 2, 3, 4)
  t.equal(isAt(bytes, 1, Uint8Array.of(2, 3)), true)
  t.equal(isAt(bytes, 1, Uint8Array.of(2, 4)), false)
  t.equal(isAt(bytes, 3, Uint8Array.of(4, 0)), false, 'behind the end')
})
