import fc from 'fast-check'
import t from 'tap'
import { vectors } from '../../helpers/candy/vectors.ts'
import { hex, random } from '../../helpers/bytes.ts'
import { plausible, trusted } from '../../../src/nodes/candy/relay/believable.ts'
import { wrapForward, wrapRouted } from '../../../src/nodes/candy/protocol/forward.ts'
import { greeting } from '../../../src/nodes/candy/protocol/greeting.ts'
import { encodeConn, encodeDiscovery, encodeGeneral, encodeLocalEndpoint, MessageType, MIN_LENGTH, newMessage } from '../../../src/nodes/candy/protocol/messages.ts'
import { writeHeader, writeU16 } from '../../../src/net/ipv4.ts'
import { Opcode } from '../../../src/transforms/websocket-frames/protocol.ts'
import { InFlightEstimator } from '../../../src/transforms/websocket-frames/in-flight-estimator.ts'

const OWN = 0xc0a8ca01
const OTHER = 0xc0a8ca02
const KEY = 0x9f2ce371
const isTrusted = trusted(() => OWN)

/** The masked payload somewhere in a read, so that an offset left out is noticed, with nothing behind what has come. */
function masked (payload: Uint8Array, have: number, key = KEY): Uint8Array {
  const bytes = new Uint8Array(3 + have)
  for (let i = 0; i < have; i++) bytes[3 + i] = payload[i] ^ (key >>> (24 - 8 * (i % 4)))
  return bytes
}

const isPlausible = (opcode: number, payload: Uint8Array, have = payload.length): boolean => plausible(opcode, masked(payload, have), 3, have, payload.length, KEY)
const isMessage = (payload: Uint8Array): boolean => isPlausible(Opcode.BINARY, payload)
const trusts = (payload: Uint8Array, have = payload.length): boolean | undefined => isTrusted(masked(payload, have), 3, have, payload.length, KEY)

/** With `words` of options. */
function packet (size: number, words = 0, source = OTHER): Uint8Array {
  const bytes = new Uint8Array(size).fill(0x5a)
  writeHeader(bytes, { protocol: 17, source, destination: OWN, totalLength: size })
  if (words === 0) return bytes
  bytes[0] += words
  bytes.fill(0, 10, 12)
  let sum = 0
  for (let i = 0; i < 20 + 4 * words; i += 2) sum += bytes[i] << 8 | bytes[i + 1]
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16)
  writeU16(bytes, 10, ~sum & 0xffff)
  return bytes
}

const changed = (message: Uint8Array, at: number, value: number): Uint8Array => message.map((byte, i) => i === at ? value : byte)
const resized = (message: Uint8Array, by: number): Uint8Array => Uint8Array.from({ length: message.length + by }, (_, i) => message[i] ?? 0)

const forwards = {
  'smallest packet': wrapForward(packet(20)),
  packet: wrapForward(packet(1400)),
  'largest packet': wrapForward(packet(1499)),
  options: wrapForward(packet(100, 10)),
  'only options': wrapForward(packet(60, 10)),
  routed: wrapRouted(packet(100), OWN, OTHER),
  'routed with options': wrapRouted(packet(100, 3), OWN, OTHER)
}

t.test('FORWARD, whole and its beginnings', async (t) => {
  for (const [name, message] of Object.entries(forwards)) {
    t.ok(isMessage(message), name)
    t.equal(trusts(message), true)
    const inner = name.startsWith('routed') ? 21 : 1
    const known = inner + (message[inner] & 0x0f) * 4
    for (let have = 0; have < message.length; have++) {
      if (!isPlausible(Opcode.BINARY, message, have)) t.fail(`${name}: ${have} bytes`)
      if (trusts(message, have) !== (have < known ? undefined : true)) t.fail(`${name}: ${have} bytes`)
    }
  }
})

t.test('FORWARD of what is no packet', async (t) => {
  const { packet: plain, routed } = forwards
  const wrong = {
    'one byte behind it': resized(plain, 1),
    'one byte missing': resized(plain, -1),
    'version 6': changed(plain, 1, 0x65),
    'version 0': changed(plain, 1, 0x05),
    'a header of 16 bytes': changed(plain, 1, 0x44),
    'a header longer than the packet': changed(forwards['smallest packet'], 1, 0x46),
    'too short': resized(forwards['smallest packet'], -1),
    'an inner packet that is too short': resized(routed, -1),
    'an inner packet of version 6': changed(routed, 21, 0x65),
    'an inner packet with a wrong length': changed(routed, 24, 99),
    'an outer header alone': routed.subarray(0, 21),
    'another protocol outside': changed(routed, 10, 17)
  }
  for (const [name, message] of Object.entries(wrong)) {
    t.notOk(isMessage(message), name)
    t.equal(trusts(message), false, name)
  }
  for (const i of [2, 3, 4, 5, 6, 7, 8, 9, 11, 12]) t.notOk(isMessage(changed(routed, i, 1)), `byte ${i} of the outer header`)
  t.notOk(isPlausible(Opcode.BINARY, changed(plain, 1, 0x65), 2), 'seen as soon as it has come')
  t.notOk(isPlausible(Opcode.BINARY, changed(plain, 4, 1), 5))
  t.notOk(isPlausible(Opcode.BINARY, changed(routed, 2, 1), 3))
  t.notOk(isPlausible(Opcode.BINARY, newMessage('FORWARD').subarray(0, 20), 1), 'the length is known from the beginning')
})

t.test('a wrong header checksum is plausible, and not trusted', async (t) => {
  for (const [at, message] of [[6, forwards.packet], [6, forwards.options], [26, forwards.routed], [60, forwards.options], [61, forwards.options]] as const) {
    const wrong = changed(message, at, message[at] ^ 1)
    t.ok(isMessage(wrong))
    t.equal(trusts(wrong), at === 61, 'behind the header it does not matter')
  }
})

t.test('whose outer header it is', async (t) => {
  const foreign = wrapRouted(packet(100), OTHER, OWN)
  t.ok(isMessage(foreign))
  t.equal(trusts(foreign), false)
  const message = wrapRouted(packet(100), 0, OWN)
  t.equal(trusted(() => 0)(masked(message, 121), 3, 121, 121, KEY), false, 'nobody has address 0')
})

const names = ['AUTH', 'DHCP', 'CONN', 'VMAC', 'DISCOVERY', 'GENERAL'] as const

t.test('other messages', async (t) => {
  for (const name of names) {
    t.ok(isMessage(newMessage(name)), name)
    t.notOk(isMessage(resized(newMessage(name), -1)), `${name}, too short`)
    t.equal(isMessage(newMessage(name, 1)), name === 'GENERAL', `${name} and one byte`)
    t.ok(isPlausible(Opcode.BINARY, newMessage(name), 1))
    t.ok(isPlausible(Opcode.BINARY, newMessage(name), 0))
  }
  t.notOk(isMessage(new Uint8Array(0)), 'nothing')
  for (let type = 0; type < 256; type++) {
    if (type === MessageType.FORWARD || names.some((name) => MessageType[name] === type)) continue
    for (const size of [1, 4, 16, 45, 100]) {
      if (isMessage(changed(new Uint8Array(size), 0, type)) || trusts(changed(new Uint8Array(size), 0, type)) !== false) t.fail(`type ${type} of ${size} bytes`)
    }
  }
})

t.test('trusted when they name the client', async (t) => {
  const endpoint = { destination: OTHER, address: 0x0a000001, port: 4000 }
  const of = (source: number): Record<string, { message: Uint8Array, at: number }> => ({
    CONN: { message: encodeConn({ source, ...endpoint }), at: 1 },
    DISCOVERY: { message: encodeDiscovery({ source, destination: OTHER }), at: 1 },
    GENERAL: { message: encodeLocalEndpoint({ source, ...endpoint }), at: 4 }
  })
  for (const [name, { message, at }] of Object.entries(of(OWN))) {
    t.equal(trusts(message), true, name)
    for (let have = 0; have < message.length; have++) {
      if (trusts(message, have) !== (have < at + 4 ? undefined : true)) t.fail(`${name}: ${have} bytes`)
    }
    t.equal(trusts(resized(message, 1)), false, 'one byte behind it')
    t.equal(trusts(resized(message, -1)), false, 'one byte missing')
  }
  for (const [name, { message }] of Object.entries(of(OTHER))) t.equal(trusts(message), false, `${name} of another`)
  for (const { message } of Object.values(of(0))) {
    t.equal(trusted(() => 0)(masked(message, message.length), 3, message.length, message.length, KEY), false, 'nobody has address 0')
  }
  t.equal(trusts(encodeGeneral({ subtype: 0, extra: 0, source: OWN, destination: OTHER, data: new Uint8Array(7) })), false)
  for (const name of ['AUTH', 'DHCP', 'VMAC'] as const) t.equal(trusts(newMessage(name)), false, name)
  t.equal(trusts(new Uint8Array(8), 0), false, 'too short for any')
})

t.test('control frames and text', async (t) => {
  const question = new InFlightEstimator().sent(100_000, 2000) as Uint8Array
  const yes: Array<[number, Uint8Array]> = [
    [Opcode.PING, Buffer.from(greeting('host'))], [Opcode.PING, Buffer.from('candy::linux::6.1.8')], [Opcode.PING, Buffer.from('candy::')],
    [Opcode.PONG, new Uint8Array(0)], [Opcode.PONG, question],
    [Opcode.CLOSE, new Uint8Array(0)], [Opcode.CLOSE, hex('03e8')], [Opcode.CLOSE, Buffer.concat([hex('03e9'), Buffer.from('tschüß')])]
  ]
  for (const [opcode, payload] of yes) {
    for (let have = 0; have <= payload.length; have++) t.ok(isPlausible(opcode, payload, have), `opcode ${opcode}, ${have} of ${payload.length} bytes`)
  }
  const no: Array<[number, Uint8Array]> = [
    [Opcode.PING, new Uint8Array(0)], [Opcode.PING, Buffer.from('candy:')], [Opcode.PING, Buffer.from('sent0000')], [Opcode.PING, Buffer.from('candy:;x')],
    [Opcode.PONG, Buffer.from('sen')], [Opcode.PONG, Buffer.from('candy::')],
    [Opcode.CLOSE, hex('03')], [Opcode.CLOSE, hex('03ed')], [Opcode.CLOSE, hex('03e8ff')],
    [Opcode.TEXT, new Uint8Array(0)], [Opcode.TEXT, Buffer.from('candy::')], [Opcode.CONTINUATION, forwards.packet]
  ]
  for (const [opcode, payload] of no) t.notOk(isPlausible(opcode, payload), `opcode ${opcode}, ${payload.length} bytes`)
  t.notOk(isPlausible(Opcode.PING, Buffer.from('cundy::'), 2), 'seen as soon as it has come')
})

t.test('what real clients have sent', async (t) => {
  for (const { name, hex: bytes } of vectors) {
    const message = hex(bytes)
    const type = (Object.keys(MIN_LENGTH) as Array<keyof typeof MIN_LENGTH>).find((type) => name.startsWith(type.toLowerCase()))
    if (type === undefined || type === 'ROUTE' || name.includes('confusion')) continue
    t.ok(isMessage(message), name)
  }
})

t.test('any key, any bytes: nothing is trusted by chance, or trusted without being plausible', async (t) => {
  const below = random(7)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), fc.integer(), (payload, have, key) => {
    have %= payload.length + 1
    const verdict = isTrusted(masked(payload, have, key), 3, have, payload.length, key)
    return verdict !== true && (verdict === false || plausible(Opcode.BINARY, masked(payload, have, key), 3, have, payload.length, key))
  }))
  const messages = Object.values(forwards)
  fc.assert(fc.property(fc.nat(messages.length - 1), fc.integer(), (which, key) => {
    const message = messages[which]
    const bytes = masked(message, message.length, key)
    const before = Uint8Array.from(bytes)
    const isRight = plausible(Opcode.BINARY, bytes, 3, message.length, message.length, key) && isTrusted(bytes, 3, message.length, message.length, key) === true
    return isRight && Buffer.compare(bytes, before) === 0
  }))
  for (let i = 0; i < 200_000; i++) {
    const bytes = Uint8Array.from({ length: 24 }, () => below(256))
    if (trusts(bytes) === true) t.fail(`trusted by chance: ${Buffer.from(bytes).toString('hex')}`)
  }
})
