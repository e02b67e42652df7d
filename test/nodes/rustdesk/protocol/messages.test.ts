import fc from 'fast-check'
import t from 'tap'
import { over } from '../../../../src/layer.ts'
import { framedMessages, frames, idPk, MAX_MESSAGE, peerMessage, rendezvous, type MessageCodec, type RendezvousInit } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { NatType, PunchFailure, RegisterResult } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { rustdesk } from '../../../../src/nodes/rustdesk/protocol/generated/rustdesk.js'
import { schemas } from '../../../../src/nodes/rustdesk/protocol/generated/schema.js'
import { LengthPrefixDecoder } from '../../../../src/transforms/length-prefix.ts'
import { rustdeskLength } from '../../../../src/transforms/length-codecs.ts'
import { memoryPair } from '../../../../src/transports/memory/index.ts'
import { cut, hex, mutate, random, toHex } from '../../../helpers/bytes.ts'
import { collect, from } from '../../../helpers/links.ts'
import { contentOf, messagesOf, vector, vectors } from '../../../helpers/rustdesk/vectors.ts'
import { mutations } from '../../../helpers/sample.ts'

const codecs: Array<[string, MessageCodec<any, any>]> = [['RendezvousMessage', rendezvous], ['IdPk', idPk], ['Message', peerMessage]]
const samples = messagesOf('RendezvousMessage')
const ROUNDS = mutations()

const enums: Record<string, Record<string, number>> = { nat_type: { UNKNOWN_NAT: NatType.unknown, ASYMMETRIC: NatType.asymmetric, SYMMETRIC: NatType.symmetric }, failure: { ...rustdesk.PunchHoleResponse.Failure as any }, result: { ...rustdesk.RegisterPkResponse.Result as any } }

/** What was decoded, in the form of `contentOf`: fields that are there, bytes as text with a character each. */
function plain (message: object): Record<string, any> {
  const valueOf = (name: string, value: any): any => {
    if (value instanceof Uint8Array) return Buffer.from(value).toString('latin1')
    if (Array.isArray(value)) return value.length === 1 ? valueOf(name, value[0]) : value.map((one) => valueOf(name, one))
    if (typeof value === 'object') return plain(value)
    const [word] = Object.entries(enums[name] ?? {}).find(([, number]) => number === value) ?? []
    return word ?? value
  }
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, valueOf(name, value)]))
}

t.test('golden messages: decoded they have the content of the vector, and encoded its bytes', async (t) => {
  for (const [type, codec] of codecs) {
    const all = messagesOf(type)
    t.ok(all.length > 0)
    for (const { name, inputs, hex: wire } of all) {
      const message = codec.decode(hex(wire))
      t.same(plain(message), contentOf(inputs.text), name)
      t.equal(toHex(codec.encode(message)), wire, name)
    }
  }
})

t.test('every vector is tested beside its part: here messages and what is in frames, elsewhere lengths, addresses and keys', async (t) => {
  const forms = [/^pb_/, /^frame_/, /^addr_mangle_/, /^kx_(?:offer|answer)$/, /^peer_/, /^(?:key_file|signed_id_pk|secretbox|kx_v1)/]
  t.same(vectors.filter(({ name }) => !forms.some((form) => form.test(name))), [])
  const sound = vectors.filter(({ name, inputs }) => /^(?:pb_|kx_offer|kx_answer|peer_)/.test(name) && inputs.decode_only !== true)
  t.equal(sound.length, codecs.flatMap(([type]) => messagesOf(type)).length)
})

t.test('enums have the numbers of the schema', async (t) => {
  const { ID_NOT_EXIST, OFFLINE, LICENSE_MISMATCH, LICENSE_OVERUSE } = rustdesk.PunchHoleResponse.Failure
  t.same(Object.values(PunchFailure), [ID_NOT_EXIST, OFFLINE, LICENSE_MISMATCH, LICENSE_OVERUSE])
  const { OK, UUID_MISMATCH, ID_EXISTS, TOO_FREQUENT, INVALID_ID_FORMAT, NOT_SUPPORT, SERVER_ERROR, NOT_DEPLOYED } = rustdesk.RegisterPkResponse.Result
  t.same(Object.values(RegisterResult), [OK, UUID_MISMATCH, ID_EXISTS, TOO_FREQUENT, INVALID_ID_FORMAT, NOT_SUPPORT, SERVER_ERROR, NOT_DEPLOYED])
  const { UNKNOWN_NAT, ASYMMETRIC, SYMMETRIC } = rustdesk.NatType
  t.same(Object.values(NatType), [UNKNOWN_NAT, ASYMMETRIC, SYMMETRIC])
})

t.test('members of a oneof are written even when they are zero', async (t) => {
  t.equal(toHex(rendezvous.encode({ punch_hole_response: {} })), '5a00')
  t.equal(toHex(rendezvous.encode({ punch_hole_response: { nat_type: 0 } })), '5a022800')
  t.equal(toHex(rendezvous.encode({ punch_hole_response: { is_local: false } })), '5a023000')
  t.equal(toHex(rendezvous.encode({ relay_response: { pk: hex('') } })), '9a01022a00')
  t.equal(toHex(rendezvous.encode({ relay_response: { id: '' } })), '9a01022200')
  t.equal(rendezvous.decode(hex('5a022800')).punch_hole_response?.union, 'nat_type')
  t.equal(rendezvous.decode(hex('5a0428003001')).punch_hole_response?.union, 'is_local', 'the last counts')
  t.equal(toHex(rendezvous.encode(rendezvous.decode(hex('3a00 3200 3a00')))), '3a00', 'also of the first and the last')
})

t.test('a message without a member is no error here: the side decides', async (t) => {
  t.equal(rendezvous.decode(hex('')).union, undefined)
  t.equal(rendezvous.decode(hex('ea0100')).union, undefined, 'a member that is newer')
  t.equal(toHex(rendezvous.encode({})), '')
})

t.test('unknown fields survive in what a server passes on, at any depth', async (t) => {
  const newer = 'a20603616263' + 'ad0601020304' + 'b30608 01 b406'.replaceAll(' ', '') // field 100: text; 101: 32 bits; 102: a group
  const inside = `4a0a0803${newer.slice(0, 12)}1007`.replaceAll(' ', '') // control_permissions with two of them
  const body = `0a0131${inside}${newer}`
  const request = hex(`9201${(body.length / 2).toString(16).padStart(2, '0')}${body}`)
  const message = rendezvous.decode(request)
  t.equal(toHex(rendezvous.encode({ request_relay: message.request_relay })), toHex(request).replace(inside, '4a0a0803' + newer.slice(0, 12) + '1007'))
  message.request_relay!.socket_addr = hex('0102')
  const forwarded = `0a01311a020102${inside}${newer}`
  t.equal(toHex(rendezvous.encode({ request_relay: message.request_relay })), `9201${(forwarded.length / 2).toString(16)}${forwarded}`, 'changed in place')

  const answer = `0a020102220131${newer}`
  const response = rendezvous.decode(hex(`9a01${(answer.length / 2).toString(16)}${answer}`)).relay_response!
  t.same([response.union, response.id], ['id', '1'])
  response.socket_addr = hex('')
  response.pk = hex('070809')
  response.union = 'pk' // and the id goes
  const changed = `2a03070809${newer}`
  t.equal(toHex(rendezvous.encode({ relay_response: response })), `9a01${(changed.length / 2).toString(16)}${changed}`)
})

t.test('other messages do not keep them, and one message has few members', async (t) => {
  t.equal(toHex(rendezvous.encode(rendezvous.decode(hex('3a03a80601')))), '3a00')
  t.equal(rendezvous.decode(hex('3a00'.repeat(16))).union, 'register_peer_response')
  t.throws(() => rendezvous.decode(hex('3a00'.repeat(17))), { code: 'ERR_PROTOBUF', message: /members/ })
})

t.test('permissions keep all of their 64 bits', async (t) => {
  const wire = '92010d4a0b08ffffffffffffffffff01'
  t.equal(toHex(rendezvous.encode(rendezvous.decode(hex(wire)))), wire)
})

t.test('hostile messages are errors', async (t) => {
  for (const [wire, what] of [
    [toHex(vector('pb_hostile_nested_groups')), 'groups in groups'],
    ['ff', 'a number that is cut short'],
    ['32ffffffffffffffffffff01', 'a length of more than 64 bits'],
    ['3205 0a01', 'a member that is cut short'],
    ['0200', 'field 0'],
    ['3202 0200', 'field 0 in a member'],
    ['36', 'wire type 6'],
    ['3204 0a02 fffe', 'text that is not UTF-8'],
    ['ba0106 1204 31ff3232', 'text that is not UTF-8, in a list'],
    ['b2010b 1203 eda080 1a04 f8888080', 'surrogates'],
    ['34', 'the end of a group that never began'],
    ['9201 06 5204 0a02 c328', 'text two messages deep']
  ]) t.throws(() => rendezvous.decode(hex(wire)), { code: 'ERR_PROTOBUF' }, what)
  t.throws(() => rendezvous.decode(new Uint8Array(MAX_MESSAGE + 1)), { code: 'ERR_FRAME_SIZE' })
  t.throws(() => rendezvous.encode({ hc: { token: 'x'.repeat(MAX_MESSAGE) } }), { code: 'ERR_FRAME_SIZE' })
})

t.test('300 000 groups within each other: refused by their size, and as many as fit by their depth', async (t) => {
  t.throws(() => rendezvous.decode(Buffer.alloc(300_000, 0x0b)), { code: 'ERR_FRAME_SIZE' })
  const deep = Buffer.alloc(MAX_MESSAGE, 0x0b)
  t.throws(() => rendezvous.decode(deep), { code: 'ERR_PROTOBUF' })
  const inMember = Buffer.concat([hex('92018a9d12'), Buffer.alloc(300_042, 0x0b)])
  const decoder = new LengthPrefixDecoder(rustdeskLength, { maxFrame: MAX_MESSAGE })
  t.same(decoder.push([Buffer.concat([hex('be4e12'), inMember])]), [])
  t.match(decoder.failure, { code: 'ERR_FRAME_SIZE' })
})

t.test('a frame that says it is long is refused by its header, before anything is kept', async (t) => {
  for (const header of ['ffffffff', 'feffff', '06000400'.slice(0, 6)]) {
    const decoder = new LengthPrefixDecoder(rustdeskLength, { maxFrame: MAX_MESSAGE })
    t.same(decoder.push([hex(header)]), [])
    t.match(decoder.failure, { code: 'ERR_FRAME_SIZE' }, header)
    t.equal(decoder.held, 0)
  }
})

t.test('frames: those of the vectors, both ways', async (t) => {
  const all = vectors.filter(({ inputs }) => inputs.payload !== undefined)
  t.ok(all.length > 0)
  for (const { name, hex: wire, inputs } of all) {
    const [a, b] = memoryPair()
    const [decoded] = await Promise.all([collect(over(a, frames).source), b.sink(from([[hex(wire)]]))])
    t.same(decoded.map(toHex), [toHex(vector(inputs.payload))], name)
    const [c, d] = memoryPair()
    const [encoded] = await Promise.all([collect(d.source), over(c, frames).sink(from([[vector(inputs.payload)]]))])
    t.equal(toHex(Buffer.concat(encoded)), wire, name)
  }
})

t.test('messages in frames, in chunks of every size, with empty frames between', async (t) => {
  const bodies = samples.flatMap(({ hex: wire }) => [hex(wire), hex('')])
  const { lengthEncoder } = rustdeskLength()
  const wire = Buffer.concat(bodies.flatMap((body) => [lengthEncoder(body.length), body]))
  for (let size = 1; size < wire.length; size += size < 70 ? 1 : 211) {
    const [a, b] = memoryPair()
    const [decoded] = await Promise.all([collect(over(a, framedMessages).source), b.sink(from(Array.from(cut(wire, size), (chunk) => [chunk])))])
    t.same(decoded.map((message) => toHex(rendezvous.encode(message))), bodies.map(toHex), `chunks of ${size}`)
  }
})

t.test('messages that are cut short are errors', async (t) => {
  for (const { name, hex: wire } of samples) {
    const bytes = hex(wire)
    for (let length = 1; length < bytes.length; length++) {
      try {
        rendezvous.decode(bytes.subarray(0, length))
      } catch (err: any) {
        if (err.code === 'ERR_PROTOBUF') continue
        throw err
      }
      t.fail(`${length} bytes of ${name}`)
    }
  }
})

t.test('damaged messages: decoded and encoded again, or an error with a code', async (t) => {
  const rand = random(1)
  let taken = 0
  for (let i = 0; i < ROUNDS; i++) {
    const [type, codec] = codecs[i % codecs.length]
    const all = messagesOf(type)
    const bytes = mutate(hex(all[i % all.length].hex), rand)
    try {
      const message = codec.decode(bytes)
      const again = codec.encode(message)
      if (Buffer.compare(codec.encode(codec.decode(again)), again) !== 0) throw new Error(`another message of ${toHex(bytes)}`)
      taken++
    } catch (err: any) {
      if (err.code !== 'ERR_PROTOBUF') throw err
    }
  }
  t.ok(taken > 0 && taken < ROUNDS, `${taken} of ${ROUNDS} were taken`)
})

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const bytes = fc.uint8Array({ maxLength: 40 })
const int32 = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff })
const anyMessage: fc.Arbitrary<RendezvousInit> = fc.oneof(
  fc.record({ register_peer: fc.record({ id: text, serial: int32 }) }),
  fc.record({ register_pk: fc.record({ id: text, uuid: bytes, pk: bytes, no_register_device: fc.boolean() }) }),
  fc.record({ punch_hole_response: fc.record({ socket_addr: bytes, pk: bytes, failure: fc.constantFrom(0, 2, 3, 4), nat_type: fc.constantFrom(0, 1, 2), feedback: int32 }) }),
  fc.record({ punch_hole: fc.record({ socket_addr: bytes, control_permissions: fc.record({ permissions: fc.nat() }), controlled_context: fc.record({ conn_audit_ref: text }) }) }),
  fc.record({ request_relay: fc.record({ id: text, uuid: text, secure: fc.boolean(), switch_code: text }) }),
  fc.record({ relay_response: fc.record({ pk: bytes, refuse_reason: text, upnp_port: int32 }) }),
  fc.record({ online_request: fc.record({ id: text, peers: fc.array(text, { maxLength: 20 }) }) }),
  fc.record({ key_exchange: fc.record({ keys: fc.array(bytes, { maxLength: 4 }) }) }),
  fc.record({ http_proxy_request: fc.record({ method: text, headers: fc.array(fc.record({ name: text, value: text }), { maxLength: 4 }), body: bytes }) })
)

t.test('any message: encoded and decoded it is the same', async () => {
  fc.assert(fc.property(anyMessage, (message) => {
    const wire = rendezvous.encode(message)
    const decoded = rendezvous.decode(wire)
    const [name] = Object.keys(message) as Array<keyof typeof schemas & string>
    if (decoded.union !== name || toHex(rendezvous.encode(decoded)) !== toHex(wire)) return false
    for (const [field, value] of Object.entries((message as any)[name])) {
      const found = (decoded as any)[name][field]
      const isSame = value instanceof Uint8Array ? toHex(found) === toHex(value) : typeof value === 'object' ? true : found === value
      if (!isSame) throw new Error(`${name}.${field}`)
    }
    return true
  }), { numRuns: 200 })
})
