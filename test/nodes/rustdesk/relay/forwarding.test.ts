/** What a pair forwards (RustDesk protocol, section 5; its cases 12, 20, 37 and the transfer of 10). */
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import t from 'tap'
import { random } from '../../../helpers/bytes.ts'
import { ManualClock } from '../../../helpers/clock.ts'
import { standstill, until } from '../../../helpers/ends.ts'
import { dialProxied, dialRelay, dialWebSocket, framed, pairOf, requestOf, serveRelay, type Relay, type RelayClient, type TcpClient, type WebSocketClient } from '../../../helpers/rustdesk/relay.ts'
import { sample } from '../../../helpers/sample.ts'
import { FrameEncoder } from '../../../../src/transforms/websocket-frames/index.ts'

/** No limit that a test would meet. */
const FAST = { singleBandwidth: 100_000, totalBandwidth: 100_000 }

const below = random(37)
const filled = (size: number): Buffer => Buffer.alloc(size, `${below(1e9)} and `)

/** A client of each kind, or two of WebSocket. The first one is there first. */
async function mixedPair (t: Test, relay: Relay, kinds: string): Promise<[RelayClient, RelayClient]> {
  const dial = (kind: string): Promise<RelayClient> => kind === 'W' ? dialWebSocket(t, relay.websocketPort) : dialRelay(t, relay.port)
  const first = await dial(kinds[0])
  first.send(requestOf(kinds))
  await until(() => relay.server.status().pending === 1)
  const second = await dial(kinds[1])
  second.send(requestOf(kinds))
  await until(() => relay.server.status().pairs === 1)
  return [first, second]
}

t.test('10: 10 MiB each way between two of TCP, equal by their hashes', async (t) => {
  const [a, b] = await pairOf(t, await serveRelay(t, FAST), 'u', { isRaw: true })
  const size = 10 * 1024 * 1024
  const heard = [a, b].map(async ({ socket }) => {
    const hash = createHash('sha256')
    let left = size
    for await (const read of socket) {
      hash.update(read as Buffer)
      left -= (read as Buffer).length
      if (left === 0) break
    }
    return hash.digest('hex')
  })
  const sent = [a, b].map(({ socket }) => {
    const hash = createHash('sha256')
    for (let at = 0; at < size; at += 65_536) {
      const part = filled(65_536)
      hash.update(part)
      socket.write(part)
    }
    return hash.digest('hex')
  })
  t.same(await Promise.all(heard), sent.reverse())
})

for (const kinds of ['TW', 'WT', 'WW']) {
  t.test(`12: messages one to one, ${kinds}`, async (t) => {
    const relay = await serveRelay(t, FAST)
    const pair = await mixedPair(t, relay, kinds)
    for (const [from, to] of [pair, [...pair].reverse()]) {
      const messages = [1, 63, 64, 16_383, 16_384, 0, 5 * 1024 * 1024, 2].map(filled)
      from.send(...messages)
      for (const message of messages) if (message.length > 0) t.ok((await to.next()).equals(message), `${message.length} bytes`)
      t.same(to.inbox, [], 'no empty message')
    }
    t.match(relay.server.status(), { pairs: 1, members: [{ bytes: 2 * (1 + 63 + 64 + 16_383 + 16_384 + 5 * 1024 * 1024 + 2) }] })
    pair[0].send(filled(3_000_000))
    pair[0].close()
    t.equal((await pair[1].next()).length, 3_000_000, 'what was sent before the end')
    await Promise.all(pair.map(({ closed }) => closed))
    await until(() => relay.server.status().pairs === 0)
    t.match(relay.server.status(), { pairs: 0, ended: { closed: 1, lost: 0 } })
  })
}

t.test('20: frames at each boundary, in single bytes and many at once', async (t) => {
  const relay = await serveRelay(t, FAST)
  const websocket = await dialWebSocket(t, relay.websocketPort)
  websocket.send(requestOf('u'))
  await until(() => relay.server.status().pending === 1)
  const tcp = await dialRelay(t, relay.port)
  for (const byte of framed(requestOf('u'), filled(63), filled(64))) {
    tcp.socket.write(Buffer.of(byte))
    await new Promise(setImmediate)
  }
  t.equal((await websocket.next()).length, 63)
  t.equal((await websocket.next()).length, 64)
  const boundaries = [0x3f, 0x40, 0x3fff, 0x4000, 0x3fffff, 0x400000]
  const messages = boundaries.flatMap((size) => [size, 1]).map(filled)
  tcp.socket.write(framed(...messages))
  websocket.send(...messages)
  for (const client of [tcp, websocket]) {
    for (const message of messages) t.ok((await client.next()).equals(message), `${message.length} bytes`)
  }
})

t.test('20: the first frame in any form of its length and any cut', async (t) => {
  const relay = await serveRelay(t)
  const request = requestOf('u')
  const long = Buffer.alloc(4)
  long.writeUInt32LE(request.length << 2 | 3)
  for (const wire of [framed(request), Buffer.concat([long, request])]) {
    for (let at = 1; at < wire.length; at += 5) {
      const b = await dialRelay(t, relay.port)
      b.socket.write(wire.subarray(0, at))
      const a = await dialRelay(t, relay.port)
      a.send(request)
      await until(() => relay.server.status().pending === 1)
      b.socket.write(Buffer.concat([wire.subarray(at), framed(Buffer.from('hello'))]))
      t.equal(String(await a.next()), 'hello')
      a.close()
      await b.closed
    }
  }
})

t.test('one end that closes gets the other one closed, with all that was sent before', async (t) => {
  const relay = await serveRelay(t, FAST)
  const [a, b] = await pairOf(t, relay, 'u', { isRaw: true })
  const last = filled(3_000_000)
  a.socket.end(last)
  const heard: Buffer[] = []
  for await (const read of b.socket) heard.push(read as Buffer)
  t.ok(Buffer.concat(heard).equals(last))
  a.socket.resume()
  await Promise.all([a.closed, b.closed])
  await until(() => relay.server.status().pairs === 0)
  t.match(relay.server.status(), { halfOpen: 0, ended: { closed: 1 } })
  const [c, d] = await pairOf(t, relay, 'u')
  c.socket.resetAndDestroy()
  await d.closed
  await until(() => relay.server.status().pairs === 0)
  t.match(relay.server.status(), { ended: { closed: 1, lost: 1 } })
})

t.test('37: one that does not read makes the other one wait', async (t) => {
  const relay = await serveRelay(t, FAST)
  const [a, b] = await pairOf(t, relay, 'u', { isRaw: true })
  const size = 64 * 1024 * 1024
  const part = filled(1024 * 1024)
  for (let sent = 0; sent < size; sent += part.length) a.socket.write(part)
  await standstill(() => relay.server.status().bytes)
  t.ok(relay.server.status().bytes < size / 2, `${relay.server.status().bytes} bytes were taken`)
  t.ok(relay.server.status().bufferedBytes < 4 * 1024 * 1024)
  let heard = 0
  b.socket.on('data', ({ length }) => { heard += length })
  await until(() => heard === size)
  t.equal(relay.server.status().bytes, size)
})

t.test('37: a flood goes on at the bandwidth of one pair, and at the limit of a slowed one', async (t) => {
  const seconds = sample('seconds of a flood', { short: 1, long: 5 })
  for (const isSlowed of [false, true]) {
    const clock = new ManualClock()
    const relay = await serveRelay(t, { clock, singleBandwidth: 16, limitSpeed: 4 })
    if (isSlowed) relay.server.relay.command('ba 127.0.0.1')
    const [a, b] = await pairOf(t, relay, 'u', { isRaw: true })
    b.socket.resume()
    const speed = (isSlowed ? 4 : 16) * 1024 * 1024 / 8
    a.socket.write(Buffer.alloc(speed * seconds * 2))
    for (let at = 0; at < seconds * 1000; at += 20) {
      await until(() => clock.waiting.some((ms) => ms < 500)) // a read waits for its turn
      await clock.pass(20)
    }
    const { bytes } = relay.server.status()
    const expected = speed * seconds
    const ahead = speed * 0.1 + 262_144 // the burst at the beginning, and the read that waits
    t.ok(bytes >= expected && bytes <= expected * 1.01 + ahead, `${bytes} bytes of ${expected}`)
    t.equal(relay.server.status().members[0].isSlowed, isSlowed)
  }
})

t.test('a message that is too large ends the pair, and what it is kept in is bounded', async (t) => {
  const relay = await serveRelay(t, FAST)
  const [a, b] = await mixedPair(t, relay, 'TW')
  const header = Buffer.alloc(4)
  header.writeUInt32LE((16 * 1024 * 1024 + 1) * 4 + 3)
  ;(a as Awaited<ReturnType<typeof dialRelay>>).socket.write(header)
  await Promise.all([a.closed, b.closed])
  await until(() => relay.server.status().pairs === 0)
  t.match(relay.server.status(), { ended: { lost: 1 } })
})

/** The first part of a message of 16 MiB, as a frame of TCP and of WebSocket. */
function begun (size: number): { tcp: Buffer, websocket: Buffer } {
  const whole = 16 * 1024 * 1024
  const [tcp, websocket] = [Buffer.alloc(4 + size), Buffer.alloc(14 + size)]
  tcp.writeUInt32LE(whole * 4 + 3)
  websocket.writeUInt16BE(0x82ff)
  websocket.writeUInt32BE(whole, 6)
  return { tcp, websocket }
}

t.test('messages that are not complete count for the buffers of all: beyond them the largest ends, of a source over its share', async (t) => {
  const MIB = 1024 * 1024
  const relay = await serveRelay(t, { ...FAST, bufferTotal: 4 * MIB, trustedProxies: ['127.0.0.1'] })
  const pairFrom = async (source: string, uuid: string, kind = 'W'): Promise<[WebSocketClient | TcpClient, RelayClient]> => {
    const first = await dialWebSocket(t, relay.websocketPort, { 'x-forwarded-for': source })
    first.send(requestOf(uuid))
    await until(() => relay.server.status().pending === 1)
    const second = kind === 'W' ? await dialWebSocket(t, relay.websocketPort, { 'x-forwarded-for': source }) : await dialProxied(t, relay.port, source)
    const { paired } = relay.server.status()
    second.send(requestOf(uuid))
    await until(() => relay.server.status().paired > paired)
    return [second, first]
  }
  const [modest, partner] = await pairFrom('192.0.2.1', 'modest') as [WebSocketClient, RelayClient]
  const whole = new FrameEncoder('client').push([filled(MIB)])[0]
  modest.lower.port.send([whole.subarray(0, 300_000)])
  await until(() => relay.server.status().bufferedBytes >= 300_000)
  let most = 0
  for (let i = 0; i < 8; i++) {
    const [client] = await pairFrom('192.0.2.2', `flood ${i}`, i % 2 === 0 ? 'W' : 'T')
    const { tcp, websocket } = begun(MIB)
    if ('lower' in client) client.lower.port.send([websocket])
    else client.socket.write(tcp)
    await standstill(() => relay.server.status().bufferedBytes)
    most = Math.max(most, relay.server.status().bufferedBytes)
  }
  t.ok(most > 3 * MIB && most <= 4 * MIB, `${most} bytes at most`)
  const { ended: { stalled } } = relay.server.status()
  t.ok(stalled >= 5, `${stalled} pairs have ended`)
  modest.lower.port.send([whole.subarray(300_000)])
  t.equal((await partner.next()).length, MIB, 'the pair of another source goes on')
})

t.test('a message that takes long to arrive keeps its pair', async (t) => {
  const clock = new ManualClock()
  const relay = await serveRelay(t, { ...FAST, clock })
  const [a, b] = await mixedPair(t, relay, 'TW') as [TcpClient, RelayClient]
  const frame = framed(filled(1_000_000))
  for (let at = 0; at < 200_000; at += 50_000) {
    const { bufferedBytes } = relay.server.status()
    a.socket.write(frame.subarray(at, at + 50_000))
    await until(() => relay.server.status().bufferedBytes > bufferedBytes)
    await clock.pass(25_000)
  }
  a.socket.write(frame.subarray(200_000))
  t.equal((await b.next()).length, 1_000_000)
  t.equal(relay.server.status().pairs, 1)
})

t.test('signs of life keep a pair of WebSocket', async (t) => {
  const clock = new ManualClock()
  const relay = await serveRelay(t, { clock })
  const [a, b] = await mixedPair(t, relay, 'TW')
  for (let i = 0; i < 3; i++) {
    await clock.pass(25_000)
    a.send(new Uint8Array(0))
    b.send(filled(1))
    await a.next()
  }
  t.match(relay.server.status(), { pairs: 1 })
  await clock.pass(32_000)
  await Promise.all([a.closed, b.closed])
  t.same(b.inbox, [])
})
