/** Datagrams between members, byte for byte, sealed and opened, and damaged. */
import { deepEqual, equal } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { loadSealing, type DatagramCipher, type IvSource } from '../../../src/crypto/index.ts'
import {
  DATAGRAM_LAYOUT, datagramKey, DatagramKind, MIN_PLAINTEXT, newDatagram, readDelay, readDelayRoute, readHeartbeat, WITHDRAWN, writeDelay, writeDelayRoute, writeHeartbeat
} from '../../../src/nodes/candy/protocol/datagrams.ts'
import { INTRODUCED_HEARTBEAT, newIntroducedHeartbeat, readIntroducedHeartbeat } from '../../../src/nodes/candy/protocol/introduced-heartbeat.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { address, PASSWORD, vector } from '../../helpers/candy/vectors.ts'

const { text: TEXT } = DATAGRAM_LAYOUT
const sealing = await loadSealing()
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const u16 = fc.integer({ min: 0, max: 0xffff })

const fixed = (iv: Uint8Array): IvSource => ({ write (into, at) { into.set(iv, at) } })

const cipherTo = (receiver: string, iv: Uint8Array = new Uint8Array(12)): DatagramCipher =>
  sealing.cipher({ key: datagramKey(new Secret(PASSWORD), address(receiver)), layout: DATAGRAM_LAYOUT, ivs: fixed(iv) })

t.test('case 26: the key of a receiver, whose address has its bytes reversed', async (t) => {
  const { bytes, inputs } = vector('udp_key')
  t.equal(toHex(datagramKey(new Secret(inputs.password), address(inputs.receiver_ip))), toHex(bytes))
  t.not(toHex(datagramKey(new Secret(inputs.password), address('2.202.168.192'))), toHex(bytes))
})

t.test('case 26: sealed datagrams, made and opened', async (t) => {
  for (const name of ['udp_heartbeat_sealed', 'udp_forward_sealed']) {
    const { bytes, inputs } = vector(name)
    const plaintext = hex(inputs.plaintext_hex)
    const cipher = cipherTo(inputs.receiver_ip, hex(inputs.iv_hex))
    const made = newDatagram(plaintext.length)
    made.set(plaintext, TEXT)
    cipher.seal(made)
    t.equal(toHex(made), toHex(bytes), name)
    t.ok(cipher.open(made))
    t.equal(toHex(made.subarray(TEXT)), inputs.plaintext_hex, name)
  }
})

t.test('case 26: another order of the bytes in the key, and each flipped bit of IV, tag and text, are refused', async (t) => {
  const { bytes, inputs } = vector('udp_heartbeat_sealed')
  t.notOk(cipherTo('2.202.168.192').open(Uint8Array.from(bytes)))
  const cipher = cipherTo(inputs.receiver_ip)
  let opened = 0
  for (let i = 0; i < bytes.length * 8; i++) {
    const flipped = Uint8Array.from(bytes)
    flipped[i >> 3] ^= 1 << (i & 7)
    if (cipher.open(flipped)) opened++
  }
  t.equal(opened, 0)
  t.ok(cipher.open(Uint8Array.from(bytes)))
})

t.test('case 26: plaintexts, written and read', async (t) => {
  const beat = vector('udp_heartbeat_plain')
  t.same(readHeartbeat(beat.bytes), { sender: address(beat.inputs.tunip), acknowledge: false })
  const into = new Uint8Array(TEXT + MIN_PLAINTEXT.HEARTBEAT)
  writeHeartbeat(into, TEXT, { sender: address(beat.inputs.tunip), acknowledge: false })
  t.equal(toHex(into.subarray(TEXT)), toHex(beat.bytes))
  t.match(readHeartbeat(hex(vector('udp_heartbeat_sealed').inputs.plaintext_hex)), { acknowledge: true })

  const { bytes, inputs } = vector('udp_delay_plain')
  const delay = { source: address(inputs.src), destination: address(inputs.dst), time: inputs.timestamp_ms }
  t.same(readDelay(bytes), delay)
  const written = new Uint8Array(MIN_PLAINTEXT.DELAY)
  written[0] = DatagramKind.DELAY
  writeDelay(written, 0, delay)
  t.equal(toHex(written), toHex(bytes))

  for (const name of ['udp_route_plain', 'udp_route_withdraw_plain']) {
    const { bytes, inputs } = vector(name)
    const route = { destination: address(inputs.dst), next: address(inputs.next), roundTrip: inputs.rtt }
    t.same(readDelayRoute(bytes), route, name)
    const written = new Uint8Array(MIN_PLAINTEXT.ROUTE)
    writeDelayRoute(written, 0, route)
    t.equal(toHex(written), toHex(bytes), name)
  }
  t.equal(readDelayRoute(vector('udp_route_withdraw_plain').bytes)?.roundTrip, WITHDRAWN)
})

t.test('what is written is read again, at any place, and what is too short is nothing', async () => {
  const at = fc.integer({ min: 0, max: 40 })
  fc.assert(fc.property(u32, fc.boolean(), at, (sender, acknowledge, at) => {
    const into = new Uint8Array(at + 12)
    writeHeartbeat(into, at, { sender, acknowledge })
    deepEqual(readHeartbeat(into.subarray(at)), { sender, acknowledge })
    for (let length = 0; length < 12; length++) equal(readHeartbeat(into.subarray(at, at + length)), undefined)
  }))
  fc.assert(fc.property(u32, u32, fc.maxSafeNat(), at, (source, destination, time, at) => {
    const into = new Uint8Array(at + 17)
    writeDelay(into, at, { source, destination, time })
    deepEqual(readDelay(into.subarray(at)), { source, destination, time })
    for (let length = 0; length < 17; length++) equal(readDelay(into.subarray(at, at + length)), undefined)
  }))
  fc.assert(fc.property(u32, u32, fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff }), at, (destination, next, roundTrip, at) => {
    const into = new Uint8Array(at + 13)
    writeDelayRoute(into, at, { destination, next, roundTrip })
    deepEqual(readDelayRoute(into.subarray(at)), { destination, next, roundTrip })
    for (let length = 0; length < 13; length++) equal(readDelayRoute(into.subarray(at, at + length)), undefined)
  }))
})

t.test('a time that no clock tells is none', async (t) => {
  const { bytes } = vector('udp_delay_plain')
  for (const time of ['0020000000000000', '7fffffffffffffff', 'ffffffffffffffff']) {
    t.ok(Number.isNaN(readDelay(Buffer.concat([bytes.subarray(0, 9), hex(time)]))?.time), time)
  }
})

t.test('a heartbeat between introduced members is that of the protocol with more behind it', async (t) => {
  fc.assert(fc.property(fc.record({
    sender: u32, id: u32, wantsAnswer: fc.boolean(), echo: u32, echoDelay: u16, echoSize: u16, loss: fc.option(fc.integer({ min: 0, max: 10_000 }).map((n) => n / 10_000), { nil: undefined })
  }, { noNullPrototype: true }), fc.integer({ min: 0, max: 1500 }), (heartbeat, size) => {
    const datagram = newIntroducedHeartbeat(heartbeat, size)
    equal(datagram.length, Math.max(size, TEXT + INTRODUCED_HEARTBEAT))
    const text = datagram.subarray(TEXT)
    deepEqual(readIntroducedHeartbeat(text), heartbeat)
    deepEqual(readHeartbeat(text), { sender: heartbeat.sender, acknowledge: heartbeat.echo !== 0 })
    for (let length = 0; length < INTRODUCED_HEARTBEAT; length++) equal(readIntroducedHeartbeat(text.subarray(0, length)), undefined)
  }))
  const long = newIntroducedHeartbeat({ sender: 1, id: 1, wantsAnswer: false, echo: 1, echoDelay: 1e9, echoSize: 0, loss: 0.12345 })
  t.match(readIntroducedHeartbeat(long.subarray(TEXT)), { echoDelay: 65_535, loss: 0.1235 })
})

t.test('damaged plaintexts are undefined or of valid values', async (t) => {
  const below = random(26)
  const samples = ['udp_heartbeat_plain', 'udp_delay_plain', 'udp_route_plain', 'udp_route_withdraw_plain'].map((name) => vector(name).bytes)
  samples.push(Buffer.from(newIntroducedHeartbeat({ sender: address('10.77.0.1'), id: 7, wantsAnswer: true, echo: 5, echoDelay: 20, echoSize: 1400, loss: 0.5 }).subarray(TEXT)))
  const isU32 = (value: number): boolean => value === value >>> 0
  let wrong = 0
  const count = mutations()
  for (let i = 0; i < count; i++) {
    const text = mutate(samples[below(samples.length)], below)
    const heartbeat = readHeartbeat(text)
    if (heartbeat !== undefined && !isU32(heartbeat.sender)) wrong++
    const delay = readDelay(text)
    if (delay !== undefined && !(isU32(delay.source) && isU32(delay.destination) && (Number.isSafeInteger(delay.time) || Number.isNaN(delay.time)))) wrong++
    const route = readDelayRoute(text)
    if (route !== undefined && !(isU32(route.destination) && isU32(route.next) && route.roundTrip === (route.roundTrip | 0))) wrong++
    const introduced = readIntroducedHeartbeat(text)
    if (introduced !== undefined && !(isU32(introduced.id) && isU32(introduced.echo) && introduced.echoSize <= 0xffff && introduced.echoDelay <= 0xffff && (introduced.loss === undefined || introduced.loss <= 1))) wrong++
  }
  t.equal(wrong, 0)
})
