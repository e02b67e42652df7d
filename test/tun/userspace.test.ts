import t, { type Test } from 'tap'
import { addWords, fold } from '../../src/net/checksum.ts'
import { type Datagram, userspaceTun, type UserspaceTun, type UserspaceTunInit } from '../../src/tun/index.ts'
import { headerChecks, headerLengthOf, isIpv4, totalLengthOf, writeHeader, writeU16 } from '../../src/net/ipv4.ts'
import { endings } from '../helpers/transports/contract.ts'
import { failureOf, hear, idle, turn } from '../helpers/ends.ts'
import { hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { mutations } from '../helpers/sample.ts'

const ROUNDS = mutations()

const A = 0x0a4d0001
const B = 0x0a4d0002

async function host (t: Test, cidr: string, init?: UserspaceTunInit): Promise<UserspaceTun> {
  const tun = userspaceTun(init)
  t.teardown(() => tun.close())
  await tun.setAddress(cidr)
  return tun
}

/** Two hosts, each the other's network. */
async function pair (t: Test, init?: UserspaceTunInit): Promise<[UserspaceTun, UserspaceTun]> {
  const a = await host(t, '10.77.0.1/24', init)
  const b = await host(t, '10.77.0.2/24', init)
  a.sink(b.source).catch(() => {})
  b.sink(a.source).catch(() => {})
  return [a, b]
}

/** A UDP packet, from A to B unless told otherwise. */
function udpPacket (data: Uint8Array, { source = A, destination = B, port = 5000, options = 0 } = {}): Uint8Array {
  const packet = new Uint8Array(20 + options + 8 + data.length)
  writeHeader(packet, { protocol: 17, source, destination, totalLength: packet.length })
  const at = 20 + options
  packet[0] = 0x45 + options / 4
  packet.fill(1, 20, at) // "no operation"
  fixHeader(packet)
  writeU16(packet, at, 4000)
  writeU16(packet, at + 2, port)
  writeU16(packet, at + 4, 8 + data.length)
  packet.set(data, at + 8)
  writeU16(packet, at + 6, fold(addWords(packet, at, packet.length, addWords(packet, 12, 20, 17 + 8 + data.length))) || 0xffff)
  return packet
}

function fixHeader (packet: Uint8Array): void {
  writeU16(packet, 10, 0)
  writeU16(packet, 10, fold(addWords(packet, 0, headerLengthOf(packet))))
}

function echoPacket (payload: Uint8Array, { source = A, destination = B, type = 8 } = {}): Uint8Array {
  const packet = new Uint8Array(28 + payload.length)
  writeHeader(packet, { protocol: 1, source, destination, totalLength: packet.length })
  packet[20] = type
  packet.set([0x12, 0x34, 0xab, 0xcd], 24)
  packet.set(payload, 28)
  writeU16(packet, 22, fold(addWords(packet, 20)))
  return packet
}

const changed = (packet: Uint8Array, at: number, value: number, fix = true): Uint8Array => {
  const copy = Uint8Array.from(packet)
  copy[at] = value
  if (fix) fixHeader(copy)
  return copy
}

const next = async <T>(source: AsyncIterable<T>): Promise<T> => (await source[Symbol.asyncIterator]().next()).value

t.test('two hosts ping each other', async (t) => {
  const [a, b] = await pair(t)
  t.ok(await a.ping('10.77.0.2') >= 0)
  t.ok(await b.ping('10.77.0.1', { size: 0 }) >= 0)
  t.ok(await a.ping('10.77.0.2', { size: 1372 }) >= 0)
  const many = await Promise.all(Array.from({ length: 1000 }, (_, i) => a.ping('10.77.0.2', { size: i })))
  t.equal(many.length, 1000)
  t.match(a.counters, { packetsIn: 1003, packetsOut: 1003, droppedIn: 0, droppedOut: 0 })
  t.strictSame({ ...a.counters, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 }, { ...b.counters, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 })
  t.equal(a.counters.bytesIn, b.counters.bytesOut)
})

t.test('pings that fail', async (t) => {
  const [a] = await pair(t, { maxPings: 2 })
  await t.rejects(a.ping('10.77.0.9', { timeout: 1 }), { name: 'PingError', code: 'ERR_PING_TIMEOUT' })
  await t.rejects(a.ping('10.77.0.9', { signal: AbortSignal.abort(new Error('no more')) }), { message: 'no more' })
  const controller = new AbortController()
  const stopped = a.ping('10.77.0.9', { signal: controller.signal, timeout: 60_000 })
  controller.abort(new Error('enough'))
  await t.rejects(stopped, { message: 'enough' })
  const waiting = [a.ping('10.77.0.9', { timeout: 60_000 }), a.ping('10.77.0.9', { timeout: 60_000 })]
  await t.rejects(a.ping('10.77.0.2'), { code: 'ERR_PING_LIMIT' })
  for (const destination of ['', 'localhost', '10.77.0']) await t.rejects(a.ping(destination), { code: 'ERR_OPTION' })
  for (const size of [-1, 1373, 0.5, NaN]) await t.rejects(a.ping('10.77.0.2', { size }), { code: 'ERR_OPTION' })
  for (const timeout of [0, -1, NaN, Infinity]) await t.rejects(a.ping('10.77.0.2', { timeout }), { code: 'ERR_OPTION' })
  const ends = Promise.allSettled(waiting)
  await a.close()
  t.match(await ends, [{ reason: { code: 'ERR_TUN_CLOSED' } }, { reason: { code: 'ERR_TUN_CLOSED' } }])
  await t.rejects(a.ping('10.77.0.2'), { code: 'ERR_TUN_CLOSED' })
})

t.test('an echo reply is the request turned round, and only right ones count', async (t) => {
  const b = await host(t, '10.77.0.2/24')
  b.port.send([echoPacket(hex('00 01 02')), echoPacket(hex('ff'))])
  const replies = await next(b.source)
  t.equal(replies.length, 2, 'sent in one tick, so they leave in one batch')
  t.ok(replies.every((packet) => isIpv4(packet) && headerChecks(packet) && totalLengthOf(packet) === packet.length))
  t.equal(toHex(replies[0].subarray(12)), '0a4d0002' + '0a4d0001' + '0000' + toHex(replies[0].subarray(22, 24)) + '1234abcd' + '000102')
  t.equal(fold(addWords(replies[0], 20)), 0)

  const a = await host(t, '10.77.0.1/24')
  const answer = a.ping('10.77.0.2', { size: 4, timeout: 60_000 })
  const [request] = await next(a.source)
  const reply = echoPacket(request.subarray(28), { source: B, destination: A, type: 0 })
  reply.set(request.subarray(24, 28), 24)
  const wrong = (at: number): Uint8Array => {
    const packet = Uint8Array.from(reply)
    packet[at] ^= 1
    writeU16(packet, 22, 0)
    writeU16(packet, 22, fold(addWords(packet, 20)))
    fixHeader(packet)
    return packet
  }
  a.port.send([wrong(25), wrong(27), wrong(29), wrong(15), reply.subarray(0, 31)])
  t.match(a.drops, { unclaimed: 4, malformed: 1 }, 'another id, sequence, payload, sender; cut')
  writeU16(reply, 22, 0)
  writeU16(reply, 22, fold(addWords(reply, 20)))
  a.port.send([reply, reply])
  t.ok(await answer >= 0)
  t.match(a.drops, { unclaimed: 5 }, 'the second answer is one too many')
})

t.test('UDP both ways', async (t) => {
  const [a, b] = await pair(t)
  const server = b.udp(5000)
  const client = a.udp()
  t.ok(client.port >= 49_152)
  for (let i = 0; i < 3; i++) t.ok(client.send({ address: '10.77.0.2', port: 5000, data: Buffer.from(`n${i}`) }))
  const got = await next(server)
  t.equal(got.length, 3, 'one batch')
  t.strictSame(got.map(({ address, port, data }) => [address, port, Buffer.from(data).toString()]), ['n0', 'n1', 'n2'].map((text) => ['10.77.0.1', client.port, text]))
  server.send({ ...got[0], data: new Uint8Array(0) })
  t.match(await next(client), [{ address: '10.77.0.2', port: 5000, data: { length: 0 } }])
  const most = new Uint8Array(1372).fill(7)
  client.send({ address: '10.77.0.2', port: 5000, data: most })
  t.strictSame((await next(server))[0].data, most)
  t.throws(() => client.send({ address: '10.77.0.2', port: 5000, data: new Uint8Array(1373) }), { name: 'UdpError', code: 'ERR_UDP_TOO_LONG' })
  t.throws(() => client.send({ address: '10.77.0', port: 5000, data: most }), { code: 'ERR_OPTION' })
  for (const port of [0, -1, 65_536, 1.5]) t.throws(() => client.send({ address: '10.77.0.2', port, data: most }), { code: 'ERR_OPTION' })
  for (const port of [-1, 65_536, 1.5]) t.throws(() => a.udp(port), { code: 'ERR_OPTION' })
})

t.test('ports are given once, and freed', async (t) => {
  const a = await host(t, '10.77.0.1/24')
  const socket = a.udp(5000)
  t.throws(() => a.udp(5000), { code: 'ERR_UDP_PORT_IN_USE' })
  a.port.send([udpPacket(hex('01'), { source: B, destination: A })])
  socket.close()
  socket.close()
  t.throws(() => socket.send({ address: '10.77.0.2', port: 1, data: hex('00') }), { code: 'ERR_UDP_CLOSED' })
  const all: Datagram[] = []
  for await (const batch of socket) all.push(...batch)
  t.equal(all.length, 1, 'what had come is delivered')
  await a.udp(5000)[Symbol.asyncIterator]().return?.()
  a.udp(5000).close() // leaving the loop has freed it
  const ports = new Set<number>()
  for (let i = 49_152; i <= 65_535; i++) ports.add(a.udp().port)
  t.equal(ports.size, 16_384)
  t.throws(() => a.udp(), { code: 'ERR_UDP_NO_PORT' })
})

t.test('what is for this host', async (t) => {
  const b = await host(t, '10.77.0.2/24')
  const socket = b.udp(5000)
  const before = userspaceTun()
  before.port.send([echoPacket(hex('00'))])
  t.equal(before.drops.foreign, 1, 'no address yet')
  t.throws(() => before.udp().send({ address: '10.77.0.2', port: 1, data: hex('00') }), { code: 'ERR_TUN_ADDRESS' })
  for (const destination of [0xffffffff, 0x0a4d00ff, 0xe0000001, B]) b.port.send([udpPacket(hex('01'), { destination })])
  t.equal(b.counters.packetsOut, 4, 'broadcast and multicast reach a socket')
  for (const destination of [0xffffffff, 0x0a4d00ff, 0xe0000001]) b.port.send([echoPacket(hex('01'), { destination })])
  t.equal(b.drops.unclaimed, 3, 'and are not echoed')
  b.port.send([echoPacket(hex('01'), { destination: 0x0a4d0003 }), udpPacket(hex('01'), { destination: 0x0a4d01ff })])
  t.equal(b.drops.foreign, 2)
  for (const source of [0, 0xffffffff, 0xe0000001, 0x0a4d00ff]) b.port.send([echoPacket(hex('01'), { source })])
  t.equal(b.drops.malformed, 4, 'an impossible sender')
  b.port.send([udpPacket(hex('01'), { port: 5001 }), changed(udpPacket(hex('01')), 9, 6)])
  t.equal(b.drops.unclaimed, 5)
  t.equal(b.counters.packetsIn, 0, 'nothing was answered')
  await b.setAddress('10.88.0.1/32')
  b.port.send([udpPacket(hex('01')), udpPacket(hex('01'), { destination: 0x0a580001 })])
  t.equal(b.drops.foreign, 3, 'the former address is gone')
  await b.setAddress('10.88.0.1/32')
  t.equal((await next(socket)).length, 5)
})

t.test('damaged packets', async (t) => {
  const b = await host(t, '10.77.0.2/24')
  const socket = b.udp(5000)
  const good = [udpPacket(hex('00 01 02 03 04')), echoPacket(hex('00 01 02 03'))]
  let bad = 0
  for (const packet of good) {
    for (let length = 0; length < packet.length; length++) {
      b.port.send([packet.subarray(0, length)])
      bad++
    }
    for (let length = 20; length < packet.length; length++) {
      const cut = Uint8Array.from(packet.subarray(0, length))
      writeU16(cut, 2, length)
      fixHeader(cut)
      b.port.send([cut])
      bad++
    }
    for (let at = 0; at < packet.length; at++) {
      b.port.send([changed(packet, at, packet[at] ^ 0x10, false)])
      bad++
    }
  }
  b.port.send([new Uint8Array(1401), changed(good[0], 0, 0x46), changed(good[0], 20, 0, false)])
  bad += 3
  t.equal(b.drops.malformed, bad, 'cut, cut with the length corrected, and each byte changed')
  t.equal(b.counters.droppedOut, bad)
  b.port.send([changed(good[0], 6, 0x20), changed(good[0], 7, 1)])
  t.equal(b.drops.fragments, 2)
  const unchecked = Uint8Array.from(good[0])
  writeU16(unchecked, 26, 0)
  const padded = new Uint8Array([...good[0], 0, 0, 0])
  b.port.send([unchecked, padded, udpPacket(hex('00 01 02 03 04'), { options: 8 })])
  const got = await next(socket)
  t.strictSame(got.map(({ data }) => toHex(data)), Array(3).fill('0001020304'), 'without a checksum, padded, with options')
})

t.test('a checksum that comes out as zero is sent as 0xffff', async (t) => {
  const a = await host(t, '10.77.0.1/24')
  const client = a.udp(4000)
  const send = async (data: Uint8Array): Promise<string> => {
    client.send({ address: '10.77.0.2', port: 5000, data })
    const [packet] = await next(a.source)
    return toHex(packet.subarray(20))
  }
  const zeros = await send(hex('00 00'))
  t.equal(zeros, toHex(udpPacket(hex('00 00')).subarray(20)))
  const checksum = zeros.slice(12, 16) // as data it completes the sum to 0xffff, whose complement is 0
  t.equal(await send(hex(checksum)), `0fa01388000affff${checksum}`)
})

t.test('queues are bounded', async (t) => {
  const b = await host(t, '10.77.0.2/24', { queueLimit: 10_000, socketLimit: 10_000 })
  const socket = b.udp(5000)
  const flood = Array<Uint8Array>(1000).fill(udpPacket(new Uint8Array(936)))
  t.equal(b.port.send(flood), 1000)
  t.equal(socket.dropped, 990)
  t.match(b.counters, { packetsOut: 10, droppedOut: 990 })
  t.equal(b.drops.overflow, 990)
  b.port.send(Array<Uint8Array>(1000).fill(echoPacket(new Uint8Array(972))))
  t.match(b.counters, { packetsIn: 10, droppedIn: 990 })
  t.equal(socket.send({ address: '10.77.0.1', port: 1, data: hex('00') }), false)
  t.equal((await next(b.source)).length, 10)
  t.equal((await next(socket)).length, 10)
})

t.test('close and abort', async (t) => {
  const a = await host(t, '10.77.0.1/24')
  const waiting = a.source[Symbol.asyncIterator]().next()
  const socket = a.udp()
  await a.close()
  await a.close()
  t.strictSame(await waiting, { done: true, value: undefined })
  for await (const batch of socket) t.fail('nothing came', { batch })
  t.equal(a.port.send([echoPacket(hex('00'))]), 0)
  await t.rejects(a.setAddress('10.77.0.1/24'), { code: 'ERR_TUN_CLOSED' })
  t.throws(() => a.udp(), { code: 'ERR_TUN_CLOSED' })
  await t.rejects(a.sink((async function * () { yield [hex('00')] })()), { code: 'ERR_TUN_CLOSED' })

  const b = await host(t, '10.77.0.2/24')
  const failing = b.source[Symbol.asyncIterator]().next()
  const ping = b.ping('10.77.0.1')
  await failing
  const failed = t.rejects(b.source[Symbol.asyncIterator]().next(), { message: 'broken' })
  const unanswered = t.rejects(ping, { message: 'broken' })
  b.abort(new Error('broken'))
  b.abort(new Error('again'))
  await Promise.all([failed, unanswered])
})

t.test('as a link', async (t) => { endings(t, (t) => host(t, '10.77.0.1/24')) })

t.test('what waits in source is still delivered after close, but not after abort', async (t) => {
  const a = await host(t, '10.77.0.1/24')
  a.udp().send({ address: '10.77.0.2', port: 1, data: hex('01') })
  await a.close()
  t.equal((await hear(a.source)).length, 1)
  const b = await host(t, '10.77.0.1/24')
  b.udp().send({ address: '10.77.0.2', port: 1, data: hex('01') })
  await turn() // it is in the queue now
  const reason = new Error('boom')
  b.abort(reason)
  t.equal(await failureOf(next(b.source)), reason)
})

t.test('close ends a sink whose source idles', async (t) => {
  const a = await host(t, '10.77.0.1/24')
  const sources = [idle(), idle()]
  const sinks = sources.map(({ source }) => failureOf(a.sink(source)))
  await a.close()
  t.match(await Promise.all(sinks), [{ code: 'ERR_TUN_CLOSED' }, { code: 'ERR_TUN_CLOSED' }])
  await Promise.all(sources.map(({ returned }) => returned))
})

t.test('routes change nothing: whatever is sent leaves through source', async (t) => {
  const a = await host(t, '10.77.0.1/24')
  const socket = a.udp(5000)
  for (const routes of [[{ destination: '172.16.0.0/16', gateway: '10.77.0.2' }], []]) {
    t.same(await a.setRoutes(routes), [])
    socket.send({ address: '172.16.0.7', port: 5000, data: hex('00') })
    const [packet] = await next(a.source)
    t.equal(toHex(packet.subarray(12, 20)), '0a4d0001' + 'ac100007')
  }
  await t.rejects(a.setRoutes([{ destination: '172.16.0.1/16', gateway: '10.77.0.2' }]), { code: 'ERR_OPTION' })
  await a.close()
  await t.rejects(a.setRoutes([]), { code: 'ERR_TUN_CLOSED' })
})

t.test('options', async (t) => {
  for (const mtu of [0, 67, 65_536, 1400.5, NaN]) t.throws(() => userspaceTun({ mtu }), { code: 'ERR_OPTION' })
  for (const bad of [{ queueLimit: 0 }, { socketLimit: -1 }, { maxPings: 40_000 }, { maxPings: 1.5 }]) t.throws(() => userspaceTun(bad), { code: 'ERR_OPTION' })
  for (const cidr of ['', '10.77.0.1', '10.77.0.1/0', '0.0.0.0/8', '224.0.0.1/4', '255.255.255.255/32', '10.77.0.1/33']) {
    await t.rejects(userspaceTun().setAddress(cidr), { code: 'ERR_OPTION' }, cidr)
  }
  for (const cidr of ['10.77.0.0/24', '10.77.0.255/24', '10.0.0.0/8', '10.77.0.4/30', '10.77.0.7/30']) {
    await t.rejects(userspaceTun().setAddress(cidr), { code: 'ERR_OPTION' }, `network or broadcast: ${cidr}`)
  }
  for (const cidr of ['10.77.0.5/30', '10.77.0.6/30', '10.77.0.4/31', '10.77.0.5/31', '10.77.0.4/32']) {
    await t.resolves(userspaceTun().setAddress(cidr), cidr)
  }
})

t.test('fuzz: never throws, counts each packet once, keeps little', async (t) => {
  const b = await host(t, '10.77.0.2/24', { queueLimit: 50_000, socketLimit: 50_000 })
  const socket = b.udp(5000)
  const samples = [udpPacket(hex('00 01 02 03')), udpPacket(hex('00 01 02 03'), { options: 4 }), echoPacket(hex('00 01 02 03')), echoPacket(hex('00'), { type: 0 })]
  const below = random(77)
  for (let i = 0; i < ROUNDS; i++) {
    const packet = mutate(samples[below(samples.length)], below)
    if (packet.length >= 20 && below(2) === 0) fixHeader(packet.length >= headerLengthOf(packet) ? packet : packet.subarray(0, 20))
    b.port.send([packet])
  }
  const { packetsOut, droppedOut, packetsIn } = b.counters
  t.equal(packetsOut + droppedOut, ROUNDS)
  t.equal(Object.values(b.drops).reduce((sum, n) => sum + n), droppedOut)
  t.ok(b.drops.malformed > ROUNDS / 4)
  t.ok(packetsOut > 0 && packetsIn > 0)
  t.ok((await next(b.source)).reduce((sum, { length }) => sum + length, 0) < 52_000)
  t.ok((await next(socket)).reduce((sum, { data }) => sum + data.length + 64, 0) < 52_000)
})
