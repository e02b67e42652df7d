/** How two connections find each other, and what does not become a pair (RustDesk protocol, section 5; its cases 11, 21, 27, 29, 30, 35). */
import { once } from 'node:events'
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { standstill, until } from '../../../helpers/ends.ts'
import { dialProxied, dialRelay, dialWebSocket, framed, pairOf, requestOf, serveRelay } from '../../../helpers/rustdesk/relay.ts'
import { sample } from '../../../helpers/sample.ts'
import { rendezvous } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { FrameEncoder } from '../../../../src/transforms/websocket-frames/index.ts'

t.test('11: what the first one sends before its partner is there arrives, in order', async (t) => {
  const relay = await serveRelay(t)
  const b = await dialRelay(t, relay.port)
  b.socket.write(Buffer.concat([framed(requestOf('u')), Buffer.from('with the request,')]))
  await until(() => relay.server.status().pending === 1)
  for (let i = 0; i < 50; i++) b.socket.write(`${i},`)
  await until(() => relay.server.status().bufferedBytes > 100)
  const a = await dialRelay(t, relay.port, { isRaw: true })
  let heard = ''
  a.socket.setEncoding('latin1').on('data', (text: string) => { heard += text })
  a.socket.write(framed(requestOf('u')))
  b.socket.write('end')
  await until(() => heard.endsWith('end'))
  t.equal(heard, `with the request,${Array.from({ length: 50 }, (_, i) => `${i},`).join('')}end`)
  t.match(relay.server.status(), { pairs: 1, pending: 0, paired: 1, bufferedBytes: 0, members: [{ bytes: heard.length }] })
  t.equal(b.inbox.length, 0, 'the relay itself says nothing')
})

t.test('11: more early bytes than are kept are neither lost nor read', async (t) => {
  const relay = await serveRelay(t)
  const early = Buffer.alloc(8 * 1024 * 1024, 'early bytes ')
  const b = await dialRelay(t, relay.port)
  b.socket.write(framed(requestOf('u')))
  b.socket.write(early)
  await until(() => relay.server.status().bufferedBytes >= 16_384)
  const a = await dialRelay(t, relay.port, { isRaw: true })
  a.socket.write(framed(requestOf('u')))
  const heard: Buffer[] = []
  let size = 0
  t.ok(relay.server.status().bufferedBytes < 200_000)
  a.socket.on('data', (read) => { size += heard.push(read) > 0 ? read.length : 0 })
  await until(() => size >= early.length)
  t.ok(Buffer.concat(heard).equals(early))
})

t.test('messages without content, and many small reads, are early bytes as well', async (t) => {
  const relay = await serveRelay(t)
  const b = await dialWebSocket(t, relay.websocketPort)
  b.send(requestOf('u'), Buffer.from('first'), ...Array.from({ length: 50_000 }, () => new Uint8Array(0)), Buffer.from('last'))
  await until(() => relay.server.status().pending === 1)
  await standstill(() => relay.server.status().bufferedBytes)
  const { bufferedBytes } = relay.server.status()
  t.ok(bufferedBytes > 16_384 && bufferedBytes < 5_000_000, `${bufferedBytes} bytes, and no more is read`)
  const a = await dialRelay(t, relay.port)
  a.send(requestOf('u'))
  t.same([String(await a.next()), String(await a.next()), String(await a.next())], ['first', '', 'last'])
})

t.test('text of a WebSocket that waits carries nothing', async (t) => {
  const relay = await serveRelay(t)
  const b = await dialWebSocket(t, relay.websocketPort)
  b.send(requestOf('u'))
  await until(() => relay.server.status().pending === 1)
  b.lower.port.send([new FrameEncoder('client').text('text')])
  b.send(Buffer.from('hello'))
  await until(() => relay.server.status().bufferedBytes > 0)
  const a = await dialRelay(t, relay.port)
  a.send(requestOf('u'))
  t.equal(String(await a.next()), 'hello')
})

t.test('a third connection of a uuid waits for a fourth', async (t) => {
  const relay = await serveRelay(t)
  const [a] = await pairOf(t, relay)
  const [c, d] = await pairOf(t, relay)
  t.match(relay.server.status(), { pairs: 2, paired: 2 })
  c.send(Buffer.from('to d'))
  t.equal(String(await d.next()), 'to d')
  t.same(a.inbox, [])
})

t.test('one that leaves before it has a partner is forgotten', async (t) => {
  const relay = await serveRelay(t)
  const gone = await dialRelay(t, relay.port)
  gone.send(requestOf('u'))
  await until(() => relay.server.status().pending === 1)
  gone.close()
  await until(() => relay.server.status().pending === 0)
  t.match(relay.server.status(), { refused: { left: 1 } })
  await gone.closed
  const [a, b] = await pairOf(t, relay, 'u')
  a.send(Buffer.from('hello'))
  t.equal(String(await b.next()), 'hello')
})

t.test('21: a wrong key is answered with nothing', async (t) => {
  const relay = await serveRelay(t, { key: 'the key' })
  for (const key of ['', 'the kez', 'the key ', 'x'.repeat(1000)]) {
    const client = await dialRelay(t, relay.port)
    client.send(requestOf('u', key))
    t.equal((await client.heard).length, 0)
    const websocket = await dialWebSocket(t, relay.websocketPort)
    websocket.send(requestOf('u', key))
    await websocket.closed
    t.same(websocket.inbox, [])
  }
  t.match(relay.server.status(), { pending: 0, refused: { key: 8 } })
  const [b, a] = [await dialRelay(t, relay.port), await dialWebSocket(t, relay.websocketPort)]
  b.send(requestOf('u', 'the key'))
  a.send(requestOf('u', 'the key'), Buffer.from('hello'))
  t.equal(String(await b.next()), 'hello')
})

t.test('27: nothing else than a request is taken', async (t) => {
  const relay = await serveRelay(t)
  const others = [requestOf(''), requestOf('u'.repeat(129)), new Uint8Array(0), rendezvous.encode({ register_peer: { id: 'x' } }), Buffer.from('hello')]
  for (const message of others) {
    const client = await dialRelay(t, relay.port)
    client.send(message)
    t.equal((await client.heard).length, 0)
    const websocket = await dialWebSocket(t, relay.websocketPort)
    websocket.send(message)
    await websocket.closed
  }
  t.match(relay.server.status(), { pending: 0, halfOpen: 0, refused: { uuid: 4, malformed: 6 } })
})

t.test('27: no first message, no partner, no data', async (t) => {
  const clock = new ManualClock()
  const relay = await serveRelay(t, { clock })
  const [a, b] = await pairOf(t, relay, 'idle')
  const silent = [await dialRelay(t, relay.port), await dialRelay(t, relay.port)]
  silent[1].socket.write(framed(requestOf('half')).subarray(0, 10))
  const silentWebSocket = await dialWebSocket(t, relay.websocketPort)
  const alone = await dialRelay(t, relay.port)
  alone.send(requestOf('alone'))
  await until(() => relay.server.status().pending === 1 && relay.server.status().halfOpen === 4)
  await clock.pass(29_900)
  t.match(relay.server.status(), { pending: 1, pairs: 1, halfOpen: 4 })
  a.send(Buffer.from('still there'))
  await b.next()
  await clock.pass(200)
  await Promise.all([...silent, silentWebSocket, alone].map(({ closed }) => closed))
  await until(() => relay.server.status().halfOpen === 0)
  t.match(relay.server.status(), { pending: 0, pairs: 1, refused: { timeout: 3, unpaired: 1 } })
  await clock.pass(29_000)
  t.equal(relay.server.status().pairs, 1)
  await clock.pass(4000)
  await Promise.all([a.closed, b.closed])
  await until(() => relay.server.status().pairs === 0)
  t.match(relay.server.status(), { pairs: 0, ended: { idle: 1 } })
})

t.test('a uuid is used again after its first one was given up: the new entry stays', async (t) => {
  const clock = new ManualClock()
  const relay = await serveRelay(t, { clock })
  const [first] = await pairOf(t, relay, 'u')
  await clock.pass(20_000)
  const second = await dialRelay(t, relay.port)
  second.send(requestOf('u'))
  await until(() => relay.server.status().pending === 1)
  first.send(Buffer.from('.'))
  await clock.pass(15_000)
  t.equal(relay.server.status().pending, 1)
})

t.test('29: a frame of 1 GiB is refused by its header', async (t) => {
  const relay = await serveRelay(t)
  const client = await dialRelay(t, relay.port)
  client.socket.write(Buffer.from('ffffffff', 'hex'))
  t.equal((await client.heard).length, 0)
  const larger = await dialRelay(t, relay.port)
  larger.send(new Uint8Array(65_537))
  await larger.closed
  const websocket = await dialWebSocket(t, relay.websocketPort)
  websocket.send(new Uint8Array(65_537))
  await websocket.closed
  t.match(relay.server.status(), { refused: { malformed: 3 } })
})

t.test('30: malformed messages end their connection alone', async (t) => {
  const relay = await serveRelay(t)
  const [a, b] = await pairOf(t, relay)
  const groups = Buffer.alloc(60_000, 0x0b)
  for (const message of [groups, Buffer.from('92ffff', 'hex'), Buffer.from('0000', 'hex'), Buffer.from('92010312 01ff'.replace(' ', ''), 'hex'), Buffer.from('920180', 'hex')]) {
    const client = await dialRelay(t, relay.port)
    client.send(message)
    t.equal((await client.heard).length, 0)
  }
  t.match(relay.server.status(), { pairs: 1, refused: { malformed: 5 } })
  a.send(Buffer.from('hello'))
  t.equal(String(await b.next()), 'hello')
})

t.test('35: connections that wait are bounded by address, others are served', async (t) => {
  const relay = await serveRelay(t)
  const count = sample('pending uuids of one address', { short: 300, long: 10_000 })
  const flood = []
  for (let i = 0; i < count; i++) {
    const client = await dialRelay(t, relay.port, { isRaw: true })
    client.socket.resume()
    client.socket.write(framed(requestOf(`flood ${i}`)))
    flood.push(client)
  }
  await until(() => relay.server.status().pending + relay.server.status().refused.pending_source === count)
  t.match(relay.server.status(), { pending: 64, refused: { pending_source: count - 64 } })
  const b = await dialRelay(t, relay.port, { from: '127.0.0.2' })
  b.send(requestOf('honest'))
  await until(() => relay.server.status().pending === 65)
  const a = await dialRelay(t, relay.port) // from the address of the flood: a partner takes no place
  a.send(requestOf('honest'), Buffer.from('hello'))
  t.equal(String(await b.next()), 'hello')
  for (const { socket } of flood) socket.destroy()
})

t.test('35: in all, the one that has waited longest makes room', async (t) => {
  const relay = await serveRelay(t, { maxPending: 3 })
  const clients = []
  for (let i = 0; i < 4; i++) {
    const client = await dialRelay(t, relay.port, { from: `127.0.0.${i + 1}` })
    client.send(requestOf(String(i)))
    clients.push(client)
    await until(() => relay.server.status().pending === Math.min(3, i + 1) && relay.server.status().halfOpen <= i + 1)
  }
  await clients[0].closed
  t.match(relay.server.status(), { pending: 3, refused: { pending: 1 } })
  const partner = await dialRelay(t, relay.port)
  partner.send(requestOf('1'), Buffer.from('hello'))
  t.equal(String(await clients[1].next()), 'hello')
})

t.test('a relay that stops ends all', async (t) => {
  const relay = await serveRelay(t)
  const [a, b] = await pairOf(t, relay)
  const alone = await dialRelay(t, relay.port)
  alone.send(requestOf('alone'))
  const silent = await dialRelay(t, relay.port)
  await until(() => relay.server.status().pending === 1)
  await Promise.all([relay.server.close(), ...[a, b, alone, silent].map(({ closed }) => closed)])
  t.match(relay.server.relay.stats, { pairs: 0, pending: 0, ended: { stopping: 1 } })
  const late = (await import('node:net')).connect(relay.port, '127.0.0.1')
  await once(late, 'error')
})

t.test('pairs are bounded by the addresses of their ends, others are served, and one that ends makes room', async (t) => {
  const relay = await serveRelay(t, { trustedProxies: ['127.0.0.1'], maxPairsPerSource: 2 })
  const status = () => relay.server.status()
  const dial = async (source: string, uuid: string) => {
    const { pending, paired, refused: { pairs_source: before } } = status()
    const client = await dialProxied(t, relay.port, source)
    client.send(requestOf(uuid))
    await until(() => status().pending !== pending || status().paired > paired || status().refused.pairs_source > before)
    return client
  }
  const first = await dial('192.0.2.1', 'u1')
  await dial('192.0.2.2', 'u1')
  await dial('192.0.2.1', 'u2')
  await dial('192.0.2.1', 'u2') // both ends at one address are one pair
  t.equal(status().pairs, 2)
  const refused = await dial('192.0.2.1', 'u3')
  await refused.closed
  t.match(status(), { pairs: 2, pending: 0, refused: { pairs_source: 1 } })
  await dial('192.0.2.2', 'u4')
  await dial('192.0.2.3', 'u4')
  t.equal(status().pairs, 3, 'others are not concerned')
  first.socket.destroy()
  await until(() => status().pairs === 2)
  await dial('192.0.2.1', 'u5')
  await dial('192.0.2.4', 'u5')
  t.equal(status().pairs, 3)
})

t.test('the bound of pairs counts those that wait when they are paired', async (t) => {
  const relay = await serveRelay(t, { trustedProxies: ['127.0.0.1'], maxPairsPerSource: 1 })
  const early = []
  for (const [i, uuid] of ['u1', 'u2'].entries()) {
    const client = await dialProxied(t, relay.port, '192.0.2.1')
    client.send(requestOf(uuid))
    early.push(client)
    await until(() => relay.server.status().pending === i + 1)
  }
  const [one, two] = [await dialProxied(t, relay.port, '192.0.2.2'), await dialProxied(t, relay.port, '192.0.2.3')]
  one.send(requestOf('u1'))
  await until(() => relay.server.status().pairs === 1)
  two.send(requestOf('u2'))
  await Promise.all([early[1].closed, two.closed])
  t.match(relay.server.status(), { pairs: 1, pending: 0, refused: { pairs_source: 1, unpaired: 1 } })
})
