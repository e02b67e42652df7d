import fc from 'fast-check'
import t from 'tap'
import { fieldsOf, messageOf, NOW, OPS } from '../../../helpers/showchain/messages.ts'
import { decodeMessage, encodeMessage, MAX_MESSAGE, MessageError, readMessage, type ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op, opName, type OpCode } from '../../../../src/nodes/showchain/protocol/op.ts'
import { showchain } from '../../../../src/nodes/showchain/protocol/generated/showchain.js'
import { hex, mutate, random, toHex } from '../../../helpers/bytes.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { messageVectors } from '../../../helpers/showchain/vectors.ts'
import { mutations } from '../../../helpers/sample.ts'

/** As it is compared: bytes as hexadecimal. */
const plain = (message: object): object => Object.fromEntries(Object.entries(message).filter(([, value]) => value !== undefined).map(([name, value]) => [name, value instanceof Uint8Array ? toHex(value) : value]))

const faultOf = (datagram: Uint8Array): string => {
  const read = readMessage(datagram)
  return typeof read === 'string' ? read : 'none'
}

/** A field in front of or behind others. */
const varint = (field: number, value: bigint): Buffer => {
  const bytes = [field << 3]
  let rest = value
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80)
  return Buffer.from([...bytes, Number(rest)])
}
const text = (field: number, value: Uint8Array): Buffer => Buffer.concat([Buffer.of(field << 3 | 2), varint(0, BigInt(value.length)).subarray(1), value])

t.test('a message without a required field, and with fields that it does not have (row 1)', async (t) => {
  const all = { ...messageOf(Op.proxyRequest), ...messageOf(Op.passRequest), ...messageOf(Op.passData), cookie: new Uint8Array(16) }
  for (const [name, op] of OPS) {
    const message = messageOf(op)
    for (const [field, isRequired] of fieldsOf(op)) {
      const without = encodeMessage({ ...message, [field]: field === 'seq' || field === 'ts' ? 0 : undefined })
      const isPair = field === 'ip' || field === 'port'
      const isProof = op === Op.directResponse && ['id', 'sign', 'key'].includes(field)
      t.equal(faultOf(without), isRequired || isPair || isProof ? 'missing' : 'none', `${name} without ${field}`)
    }
    t.same(plain(decodeMessage(encodeMessage({ ...all, ...message, op, sign: message.sign ?? all.sign, data: message.data ?? Buffer.of(1) }))), plain(message), `${name}: others are ignored`)
  }
})

t.test('numbers and lengths at and beyond their limits', async (t) => {
  const base = encodeMessage(messageOf(Op.passRequest))
  const withField = (field: Uint8Array): Uint8Array => Buffer.concat([base, field])
  const bad: Array<[what: string, field: Uint8Array]> = [
    ['seq of 2^53', varint(4, 2n ** 53n)], ['ts of 2^64 - 1', varint(5, 2n ** 64n - 1n)], ['port of 65536', varint(8, 65536n)], ['port of 2^32 + 1', varint(8, 2n ** 32n + 1n)], ['kind of 5', varint(13, 5n)],
    ['op of 2^32', varint(1, 2n ** 32n)], ['id of 31', text(2, Buffer.alloc(31))], ['id of 33', text(2, Buffer.alloc(33))], ['an empty id', text(2, Buffer.alloc(0))], ['session of 15', text(6, Buffer.alloc(15))],
    ['ip of 5', text(7, Buffer.alloc(5))], ['ip of 0', text(7, Buffer.alloc(0))], ['a mapped ip', text(7, hex('00000000000000000000ffff01020304'))], ['empty data', text(9, Buffer.alloc(0))], ['sign of 255', text(10, Buffer.alloc(255))],
    ['sign of 33', text(10, Buffer.alloc(33))], ['sign of 513', text(10, Buffer.alloc(513))], ['key of 291', text(11, Buffer.alloc(291))], ['key of 553', text(11, Buffer.alloc(553))], ['hash of 20', text(12, Buffer.alloc(20))], ['cookie of 17', text(14, Buffer.alloc(17))],
    ['ephemeral of 31', text(15, Buffer.alloc(31))], ['id as a number', varint(2, 1n)], ['seq as bytes', text(4, Buffer.alloc(1))], ['ts of 8 bytes', Buffer.from([5 << 3 | 1, ...Buffer.alloc(8)])], ['HMAC', text(10, Buffer.alloc(32))]
  ]
  for (const [what, field] of bad) t.equal(faultOf(withField(field)), 'field', what)
  const good: Array<[what: string, field: Uint8Array]> = [
    ['seq of 2^53 - 1', varint(4, 2n ** 53n - 1n)], ['port of 65535', varint(8, 65535n)], ['kind of 0', varint(13, 0n)],
    ['a longer form of a number', Buffer.from([4 << 3, 0x81, 0x80, 0x80, 0x00])], ['ip of 16', text(7, Buffer.alloc(16))]
  ]
  for (const length of [1, 31, 33]) t.equal(faultOf(encodeMessage(messageOf(Op.dataAck, { data: Buffer.alloc(length) }))), 'field', `data of a 0x125 of ${length}`)
  for (const [what, field] of good) t.equal(faultOf(withField(field)), 'none', what)
})

t.test('unknown fields of any type are ignored, and the last of several is taken', async (t) => {
  const base = encodeMessage(messageOf(Op.dataAck))
  for (const field of ['800101', '8101ffffffffffffffff', '820103aabbcc', '8501ffffffff', '83018001018401']) t.same(plain(decodeMessage(Buffer.concat([base, hex(field)]))), plain(messageOf(Op.dataAck)), field)
  for (const field of ['8001', '8201ff', '8401', '8301', '8601', '00', '0a']) t.equal(faultOf(Buffer.concat([base, hex(field)])) === 'none', false, field)
  const other = Buffer.concat([base, varint(4, 77n), text(6, Buffer.alloc(16, 9))])
  t.equal(decodeMessage(other).seq, 77)
  t.same(decodeMessage(other).session, Buffer.alloc(16, 9))
  t.equal(faultOf(Buffer.concat([base, varint(4, 0n)])), 'missing', '0 is missing, also behind another value')
  t.equal(decodeMessage(Buffer.concat([varint(1, 0x101n), base])).op, Op.dataAck)
})

t.test('op codes that are not in the table', async (t) => {
  const known = new Set<number>(Object.values(Op))
  for (let op = 0; op < 0x200; op++) {
    const datagram = Buffer.concat([varint(1, BigInt(op)), encodeMessage({ ...messageOf(Op.passRequest) }).subarray(3), text(9, Buffer.alloc(1))])
    t.equal(faultOf(datagram) === 'op', !known.has(op), `0x${op.toString(16)}`)
    t.equal(opName(op) !== undefined, known.has(op))
  }
})

t.test('datagrams of 0, 1, 1233, 65507 bytes; and of 1232 (row 5)', async (t) => {
  t.equal(faultOf(Buffer.alloc(0)), 'size')
  for (let byte = 0; byte < 256; byte++) t.ok(['encoding', 'op'].includes(faultOf(Buffer.of(byte))), `0x${byte.toString(16)}`)
  for (const size of [1233, 65507]) t.equal(faultOf(Buffer.concat([varint(1, 0x125n), Buffer.alloc(size - 3, 0x08)])), 'size')
  const message = messageOf(Op.passData)
  const data = Buffer.alloc(MAX_MESSAGE - encodeMessage(message).length + 4 - 1) // its length takes a byte more
  t.equal(encodeMessage({ ...message, data }).length, MAX_MESSAGE)
  t.equal(faultOf(encodeMessage({ ...message, data })), 'none')
  t.equal(faultOf(encodeMessage({ ...message, data: Buffer.alloc(data.length + 1) })), 'size')
  t.throws(() => decodeMessage(Buffer.alloc(0)), new MessageError('size'))
})

t.test('every truncation is no message, or one without what was cut off (row 5)', async (t) => {
  for (const { name, hex: wire } of messageVectors) {
    const datagram = hex(wire)
    const whole = decodeMessage(datagram)
    for (let length = 0; length < datagram.length; length++) {
      const read = readMessage(datagram.subarray(0, length))
      if (typeof read === 'string') continue
      const isPart = Object.entries(plain(read)).every(([field, value]) => value === (plain(whole) as Record<string, unknown>)[field])
      if (!isPart || Buffer.compare(encodeMessage(read), datagram.subarray(0, length)) !== 0) t.fail(`${name}, ${length} bytes`)
    }
    t.pass(name)
  }
})

const id = fc.uint8Array({ minLength: 32, maxLength: 32 })
const number = fc.oneof(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER }), fc.constantFrom(1, 127, 128, 2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER))
const field: Record<string, fc.Arbitrary<unknown>> = {
  id,
  target: id,
  seq: number,
  ts: number,
  session: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  ip: fc.oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 })),
  port: fc.integer({ min: 1, max: 65535 }),
  data: fc.uint8Array({ minLength: 1, maxLength: 500 }),
  sign: fc.uint8Array({ minLength: 256, maxLength: 300 }),
  key: fc.uint8Array({ minLength: 292, maxLength: 320 }),
  dataHash: id,
  kind: fc.integer({ min: 1, max: 4 }),
  cookie: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  ephemeral: id
}
const messages = fc.constantFrom(...OPS).chain(([, op]) => fc.record({ ...Object.fromEntries(fieldsOf(op).map(([name]) => [name, name === 'data' && op === Op.dataAck ? id : field[name]])), op: fc.constant(op) }))
  .map((message) => ({ seq: 0, ts: 0, ...message } as unknown as ShowchainMessage))

const isMapped = ({ ip }: ShowchainMessage): boolean => ip?.length === 16 && toHex(ip).startsWith('00000000000000000000ffff')

t.test('any message there and back, and as protobufjs encodes and decodes it', async () => {
  fc.assert(fc.property(messages.filter((message) => !isMapped(message)), (message) => {
    const wire = encodeMessage(message)
    const { op, dataHash, ...rest } = message
    const theirs = showchain.Message.encode({ ...rest, op_code: op, ...dataHash === undefined ? {} : { data_hash: dataHash } } as showchain.Message.$Properties).finish()
    const decoded = showchain.Message.decode(wire)
    return Buffer.compare(wire, theirs) === 0 && JSON.stringify(plain(decodeMessage(wire))) === JSON.stringify(plain({ ...decodeMessage(wire), ...message })) &&
      decoded.op_code === op && Number(decoded.seq) === message.seq && Number(decoded.ts) === message.ts && (message.data === undefined || Buffer.compare(decoded.data, message.data) === 0)
  }), { numRuns: 500 })
})

t.test('mutations: no crash, no growth, and what is read is what protobufjs reads (row 5)', async (t) => {
  const below = random(22)
  const samples = messageVectors.map(({ hex: wire }) => hex(wire))
  const count = mutations()
  let read = 0
  global.gc?.()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < count; i++) {
    const datagram = i % 16 === 0 ? Uint8Array.from({ length: below(64) }, (_, at) => at === 0 ? 8 : below(256)) : mutate(samples[below(samples.length)], below)
    const message = readMessage(datagram)
    if (typeof message === 'string') continue
    read++
    if (i % 8 !== 0) continue
    const theirs = showchain.Message.decode(datagram)
    for (const name of ['id', 'target', 'session', 'data', 'sign', 'key', 'cookie', 'ephemeral'] as const) {
      if (message[name] !== undefined && Buffer.compare(theirs[name], message[name]) !== 0) t.fail(`${name} of ${toHex(datagram)}`)
    }
    if (theirs.op_code !== message.op || (message.seq !== 0 && Number(theirs.seq) !== message.seq) || (message.port !== undefined && theirs.port !== message.port)) t.fail(toHex(datagram))
  }
  t.ok(read > count / 100, `${read} of ${count} are messages still`)
  t.ok(process.memoryUsage().heapUsed - before < 64 * 2 ** 20, 'memory')
})

t.test('a message keeps no field of the one before', async (t) => {
  decodeMessage(encodeMessage(messageOf(Op.passRequest)))
  t.same(plain(decodeMessage(encodeMessage(messageOf(Op.dataAck)))), { op: Op.dataAck, seq: 7, ts: NOW, session: toHex(messageOf(Op.dataAck).session as Uint8Array), data: toHex(messageOf(Op.dataAck).data as Uint8Array) })
  t.equal(identity('a').id.length, 32)
  const ops: OpCode[] = Object.values(Op)
  t.equal(ops.length, 13)
})
