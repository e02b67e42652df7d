/** What a pair forwards (RustDesk protocol, section 5; its cases 12, 20, 37 and the transfer of 10). */
import { createHash } from 'node:crypto'
import type { Test } from 'tap'
import t from 'tap'
import { random } from '../../../helpers/bytes.ts'
import { ManualClock } from '../../../helpers/clock.ts'
import { standstill, until } from '../../../helpers/ends.ts'
import { dialProxied, dialRelay, dialWebSocket, framed, pairOf, requestOf, serveRelay, type Relay, type RelayClient, type TcpClient, type WebSocketClient } from '../../../helpers/rustdesk/relay.ts'
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

/** The first part of a message of 16 MiB, as a frame of TCP and of WebSocket. */
function begun (size: number): { tcp: Buffer, websocket: Buffer } {
  const whole = 16 * 1024 * 1024
  const [tcp, websocket] = [Buffer.alloc(4 + size), Buffer.alloc(14 + size)]
  tcp.writeUInt32LE(whole * 4 + 3)
  websocket.writeUInt16BE(0x82ff)
  websocket.writeUInt32BE(whole, 6)
  return { tcp, websocket }
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
      const messages = [1, 63, 64, 16_383, 16_384, 0, 5 * 1024 * 1024, 0, 0, 0, 2].map(filled)
      from.send(...messages)
      for (const message of messages.filter(({ length }, i) => length > 0 || messages[i - 1].length > 0)) t.ok((await to.next()).equals(message), `${message.length} bytes`)
      t.same(to.inbox, [], 'of empty ones in a row only the first')
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

t.test('12: messages without content, as the original has it', async (t) => {
  const relay = await serveRelay(t, { ...FAST, strictOss: true })
  const pair = await mixedPair(t, relay, 'TW')
  for (const [from, to] of [pair, [...pair].reverse()]) {
    from.send(...[0, 1, 0, 0, 64, 0].map(filled), filled(2))
    for (const size of [1, 64, 2]) t.equal((await to.next()).length, size)
  }
})

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

/** Floods some pairs; a function that moves the clock and returns the Mb/s that were forwarded meanwhile. */
async function flooded (t: Test, relay: Relay, clock: ManualClock, pairs: number): Promise<(seconds: number) => Promise<number>> {
  for (let i = 0; i < pairs; i++) {
    const [a, b] = await pairOf(t, relay, `u${i}`, { isRaw: true })
    b.socket.resume()
    a.socket.write(Buffer.alloc(64 * 1024 * 1024))
  }
  return async (seconds) => {
    const before = relay.server.status().bytes
    for (let passed = 0; passed < seconds * 1000; passed += 20) {
      await until(() => clock.waiting.filter((ms) => ms < 500).length >= pairs) // a read of each waits for its turn
      await clock.pass(20)
    }
    return (relay.server.status().bytes - before) * 8 / 1024 / 1024 / seconds
  }
}

const about = (t: Test, found: number, expected: number): void => { t.ok(Math.abs(found / expected - 1) <= 0.05, `${found} Mb/s of ${expected}`) }

for (const [what, speeds, { pairs = 1, isSlowed = false }] of [
  ['a pair', { singleBandwidth: 16 }, {}],
  ['one on the blacklist', { singleBandwidth: 100, limitSpeed: 16 }, { isSlowed: true }],
  ['all together', { singleBandwidth: 12, totalBandwidth: 16 }, { pairs: 3 }]
] as const) {
  t.test(`37: a flood goes on at the bandwidth within 5 percent over 5 s: ${what}`, async (t) => {
    const clock = new ManualClock()
    const relay = await serveRelay(t, { clock, ...speeds })
    if (isSlowed) relay.server.relay.command('ba ::ffff:127.0.0.1')
    const flood = await flooded(t, relay, clock, pairs)
    await flood(1) // the burst at the beginning
    about(t, await flood(5), 16)
    t.ok(relay.server.status().members.every((pair) => pair.isSlowed === isSlowed))
  })
}

t.test('a pair that has used more than its share for long enough is slowed from then on', async (t) => {
  const clock = new ManualClock()
  const relay = await serveRelay(t, { clock, singleBandwidth: 64, limitSpeed: 16, downgradeStartCheck: 2000, downgradeThreshold: 0.5 })
  const flood = await flooded(t, relay, clock, 1)
  about(t, await flood(2), 64 * 1.05)
  t.match(relay.server.status(), { members: [{ isSlowed: false }] })
  await flood(2)
  t.match(relay.server.status(), { members: [{ isSlowed: true }] })
  about(t, await flood(5), 16)
  t.match(relay.server.relay.command('u'), /^127\.0\.0\.1:\d+: 9s \d+\.\d\dMB \d+kb\/s \d+kb\/s \d+kb\/s\n$/)
})

t.test('the bandwidth of all is changed at once, that of one for new pairs', async (t) => {
  const clock = new ManualClock()
  const relay = await serveRelay(t, { clock, singleBandwidth: 32 })
  const flood = await flooded(t, relay, clock, 1)
  await flood(1)
  relay.server.relay.command('sb 8')
  about(t, await flood(3), 32)
  relay.server.relay.command('tb 16')
  await flood(1)
  about(t, await flood(5), 16)
})

t.test('29: of a message that is only announced nothing is kept; a pair in which nothing else comes ends', async (t) => {
  const clock = new ManualClock()
  const relay = await serveRelay(t, { clock })
  const [a, b] = await mixedPair(t, relay, 'TW') as [TcpClient, WebSocketClient]
  a.socket.write(begun(0).tcp)
  b.lower.port.send([begun(0).websocket])
  await until(() => relay.server.status().bufferedBytes > 0)
  await standstill(() => relay.server.status().bufferedBytes)
  t.ok(relay.server.status().bufferedBytes <= 2 * 2048, `${relay.server.status().bufferedBytes} bytes`)
  await clock.pass(34_000)
  await Promise.all([a.closed, b.closed])
  await until(() => relay.server.status().pairs === 0)
  t.match(relay.server.status(), { bufferedBytes: 0, ended: { idle: 1 } })
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
  t.same(b.inbox.map(({ length }) => length), [0], 'of many in a row')
})
