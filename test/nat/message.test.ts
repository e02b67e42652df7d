/** Messages of STUN: known bytes, all that can be written, and whatever else may come. */
import fc from 'fast-check'
import t from 'tap'
import { hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { vector } from '../helpers/candy/vectors.ts'
import { mutations } from '../helpers/sample.ts'
import { decodeStun, encodeStun, isStun, type StunMessageInit } from '../../src/nat/index.ts'
import { OptionError } from '../../src/errors.ts'

const ID = hex('b7e7a701bc34d686fa87dfae')

/** RFC 5769: section 2.2, without MESSAGE-INTEGRITY, and 2.3. FINGERPRINT is made anew, as it covers what is left out. */
const RESPONSE_IPV4 = '0101 0020 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200008 0001a147e112a643'
const RESPONSE_IPV6 = '0101 0028 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220 00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9'

const withLength = (text: string): Buffer => {
  const bytes = hex(text)
  bytes.writeUInt16BE(bytes.length - 20, 2)
  return bytes
}

t.test('the request of candy', async (t) => {
  const { bytes, inputs } = vector('stun_request')
  const transaction = hex(inputs.txid_hex)
  t.equal(toHex(encodeStun({ class: 'request', transaction, changeRequest: { ip: false, port: false } })), toHex(bytes))
  t.same(decodeStun(bytes), { class: 'request', transaction: Uint8Array.from(transaction), changeRequest: { ip: false, port: false }, fingerprint: false, notUnderstood: [] })
})

t.test('responses of RFC 5769', async (t) => {
  t.match(decodeStun(withLength(RESPONSE_IPV4)), { class: 'success', software: 'test vector', xorMappedAddress: { host: '192.0.2.1', port: 32853 } })
  t.match(decodeStun(withLength(RESPONSE_IPV6)), { class: 'success', software: 'test vector', xorMappedAddress: { host: '2001:db8:1234:5678:11:2233:4455:6677', port: 32853 } })
})

t.test('FINGERPRINT of RFC 5769, section 2.1, is right, and a changed one is not', async (t) => {
  const request = hex(`0001 0058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74 00240004 6e0001ff 80290008 932ff9b151263b36
    00060009 6576746a3a68367659202020 00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf`)
  t.match(decodeStun(request), { class: 'request', fingerprint: true, notUnderstood: [0x0024, 0x0006, 0x0008] })
  request[request.length - 1] ^= 1
  t.equal(decodeStun(request), undefined)
  const behind = Buffer.concat([encodeStun({ class: 'request', transaction: ID, fingerprint: true }), hex('80220000')])
  behind.writeUInt16BE(behind.length - 20, 2)
  t.equal(decodeStun(behind), undefined, 'something behind it')
})

t.test('what is STUN', async (t) => {
  const bytes = encodeStun({ class: 'success', transaction: ID, xorMappedAddress: { host: '192.0.2.1', port: 1 } })
  t.ok(isStun(bytes))
  for (const [at, value, what] of [[0, 0x41, 'the first bits'], [4, 0x20, 'the cookie'], [3, 8, 'the length'], [3, 13, 'a length that is no multiple of four']]) {
    const changed = Buffer.from(bytes)
    changed[Number(at)] = Number(value)
    t.notOk(isStun(changed), String(what))
  }
  for (let length = 0; length < bytes.length; length++) t.notOk(isStun(bytes.subarray(0, length)), `${length} bytes`)
})

t.test('messages of RFC 3489 have no cookie', async (t) => {
  const transaction = Buffer.alloc(16, 7)
  const response = encodeStun({ class: 'success', transaction, mappedAddress: { host: '192.0.2.1', port: 256 }, responseOrigin: { host: '192.0.2.2', port: 1 }, otherAddress: { host: '192.0.2.3', port: 2 } })
  t.equal(toHex(response), toHex(hex(`0101 0024 ${toHex(transaction)} 00010008 00010100c0000201 00040008 00010001c0000202 00050008 00010002c0000203`)))
  t.notOk(isStun(response))
  t.match(decodeStun(response), { transaction: Uint8Array.from(transaction), responseOrigin: { host: '192.0.2.2' }, otherAddress: { host: '192.0.2.3' }, notUnderstood: [] })
})

t.test('malformed attributes', async (t) => {
  const head = `0101 0000 2112a442 ${toHex(ID)}`
  for (const [what, attributes] of Object.entries({
    'cut off': '0020 0008 0001a147',
    'a family of nobody': '0020 0008 0003a147e112a643',
    'an IPv4 address that is too long': '0001 000c 0001a147e112a64300000000',
    'an IPv6 address that is too short': '0001 0008 0002a147e112a643',
    'a change request of eight bytes': '0003 0008 0000000000000000',
    'an error of two bytes': '0009 0002 00000000',
    'an error of class 7': '0009 0004 00000700',
    'an error with number 100': '0009 0004 00000464',
    'an odd list of types': '000a 0003 00010000'
  })) {
    t.equal(decodeStun(withLength(`${head} ${attributes}`)), undefined, what)
  }
  t.match(decodeStun(withLength(`${head} 0020 0008 0001a147e112a643 0020 0008 0001000000000000`)), { xorMappedAddress: { host: '192.0.2.1' } }, 'the first of two counts')
  t.equal(decodeStun(withLength(`0003 0000 2112a442 ${toHex(ID)}`)), undefined, 'another method')
})

t.test('what cannot be written', async (t) => {
  const init: StunMessageInit = { class: 'request', transaction: ID }
  t.throws(() => encodeStun({ ...init, transaction: ID.subarray(1) }), OptionError)
  t.throws(() => encodeStun({ ...init, transaction: hex(`2112a442${toHex(ID)}`) }), OptionError)
  t.throws(() => encodeStun({ ...init, mappedAddress: { host: 'name.example', port: 1 } }), OptionError)
  t.throws(() => encodeStun({ ...init, mappedAddress: { host: '192.0.2.1', port: 65536 } }), OptionError)
  t.throws(() => encodeStun({ ...init, error: { code: 200, reason: '' } }), OptionError)
  t.throws(() => encodeStun({ ...init, nonce: Buffer.alloc(65536) }), OptionError)
  t.throws(() => encodeStun({ ...init, nonce: Buffer.alloc(65532) }), OptionError)
})

/** IPv6 addresses in the form that the decoder returns. */
const endpoint = fc.record({
  host: fc.oneof(fc.ipV4(), fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((bytes) => bytes[0] !== 0).map((bytes) => toHex(bytes).replace(/(....)(?=.)/g, '$1:'))),
  port: fc.nat(65_535)
})

const message = fc.record({
  class: fc.constantFrom('request', 'indication', 'success', 'error' as const),
  transaction: fc.oneof(fc.uint8Array({ minLength: 12, maxLength: 12 }), fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((bytes) => bytes[0] !== 0x21)),
  mappedAddress: endpoint,
  xorMappedAddress: endpoint,
  changeRequest: fc.record({ ip: fc.boolean(), port: fc.boolean() }),
  error: fc.record({ code: fc.integer({ min: 300, max: 699 }), reason: fc.string({ unit: 'grapheme', maxLength: 30 }) }),
  unknownAttributes: fc.array(fc.nat(0xffff), { maxLength: 5 }),
  nonce: fc.uint8Array({ maxLength: 40 }),
  responseOrigin: endpoint,
  otherAddress: endpoint,
  software: fc.string({ unit: 'grapheme', maxLength: 30 }),
  fingerprint: fc.boolean()
}, { requiredKeys: ['class', 'transaction'] })

const short = (host: string): string => host.includes(':') ? new URL(`http://[${host}]`).hostname.slice(1, -1) : host

t.test('each message that is written is read', async (t) => {
  fc.assert(fc.property(message, (init) => {
    const bytes = encodeStun(init as StunMessageInit)
    const read: any = decodeStun(bytes)
    for (const [key, value] of Object.entries(init)) {
      if (value instanceof Uint8Array) { if (toHex(value) !== toHex(read[key])) return false } else if (typeof value === 'object' && 'host' in value) {
        if (short(value.host) !== short(read[key].host) || value.port !== read[key].port) return false
      } else if (JSON.stringify(value) !== JSON.stringify(read[key])) return false
    }
    return read.notUnderstood.length === 0 && isStun(bytes) === (init.transaction.length === 12)
  }), { numRuns: 2000 })
})

t.test('damaged messages are read or refused, and those that are read can be written', async (t) => {
  const below = random(11)
  const samples = fc.sample(message, { numRuns: 200, seed: 5 }).map((init) => encodeStun(init as StunMessageInit))
  let read = 0
  for (let i = mutations(); i > 0; i--) {
    const sample = samples[below(samples.length)]
    const bytes = Buffer.from(mutate(sample, below))
    if (below(2) === 0 && bytes.length >= 20) bytes.writeUInt16BE(bytes.length - 20, 2) // else most fail by the length
    const message = decodeStun(bytes)
    if (message === undefined) continue
    read++
    const again: any = decodeStun(encodeStun(message))
    if (again === undefined) t.fail(`not read again: ${toHex(bytes)}`)
    else if (toHex(again.transaction) !== toHex(message.transaction) || again.class !== message.class) t.fail(`something else: ${toHex(bytes)}`)
  }
  t.ok(read > 100, `${read} were read`)
})

t.test('a message that is cut is none', async (t) => {
  for (const init of fc.sample(message, { numRuns: 50, seed: 6 })) {
    const bytes = encodeStun(init as StunMessageInit)
    for (let length = 0; length < bytes.length; length++) if (decodeStun(bytes.subarray(0, length)) !== undefined) t.fail(toHex(bytes))
  }
})
