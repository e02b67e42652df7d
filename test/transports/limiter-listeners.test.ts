/** The limiter of listeners, over real sockets: strangers by the thousand, and what is established among them. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { rawSubjects, type RawSubject } from '../helpers/transports/subjects.ts'
import { accept, drain, failureOf, hear, listening, texts, until } from '../helpers/ends.ts'
import { ended, rawTcp, readHead, upgrade, upgradeRequest, type RawClient } from '../helpers/raw-sockets.ts'
import { ConnectionLimiter, listenTcp, listenWebSocket, type ConnectionInfo, type ListenInit } from '../../src/transports/index.ts'
import type { Link } from '../../src/types.ts'

const FLOOD = 2000
const ROOM = 500
const ESTABLISHED = 10

/** The first bytes of a ClientHello. */
const HELLO = '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'

/** What a client may begin with and then stop. */
const beginnings: Record<RawSubject['name'], Record<string, string>> = {
  tcp: { nothing: '', 'some bytes': 'hello' },
  tls: { nothing: '', 'half a ClientHello': HELLO },
  ws: { nothing: '', 'half a request': 'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ' },
  wss: { nothing: '', 'half a ClientHello': HELLO }
}

/** A listener whose links are accepted as they come; `establish` says which of them have proven themselves. */
async function serve (t: Test, { listen }: RawSubject, init: Partial<ListenInit>, establish: () => boolean): Promise<{ port: number, links: Array<Link & ConnectionInfo> }> {
  const { listener, port } = await listening(t, (at) => listen({ ...at, handshakeTimeout: 100_000, ...init }))
  const links: Array<Link & ConnectionInfo> = []
  void (async () => {
    for await (const link of listener) {
      if (establish()) link.slot?.establish()
      links.push(link)
    }
  })()
  return { port, links }
}

for (const subject of rawSubjects) {
  for (const [beginning, said] of Object.entries(beginnings[subject.name])) {
    t.test(`${subject.name}: ${FLOOD} clients that send ${beginning} and wait`, async (t) => {
      const limiter = new ConnectionLimiter({ maxHalfOpen: ROOM })
      let isMember = true
      const { port, links } = await serve(t, subject, { limiter }, () => isMember)
      const members: RawClient[] = []
      for (let i = 0; i < ESTABLISHED; i++) members.push(await subject.dial(port))
      await until(() => links.length === ESTABLISHED && limiter.stats.halfOpen === 0)
      isMember = false

      const gone = new Set<number>()
      const strangers: RawClient[] = []
      for (let i = 0; i < FLOOD; i++) {
        const { socket, reset } = await rawTcp(port)
        socket.on('close', () => { gone.add(i) }).on('end', () => { socket.destroy() }).resume().write(said)
        strangers.push({ socket, reset })
      }
      await until(() => limiter.stats.admitted === ESTABLISHED + FLOOD && gone.size === FLOOD - ROOM)
      t.equal(Math.max(...gone), FLOOD - ROOM - 1, 'the oldest are ended')
      t.match(limiter.stats, { connections: ESTABLISHED + ROOM, halfOpen: ROOM, evicted: FLOOD - ROOM, rejected: { source: 0, total: 0 } })

      for (const link of links.slice(0, ESTABLISHED)) link.port.send(texts('still here'))
      for (const { socket } of members) {
        if (socket.readableLength === 0) await once(socket, 'readable')
        t.match(String(socket.read()), /still here$/, 'who is established lives')
      }
      const late = await subject.dial(port)
      await until(() => gone.size > FLOOD - ROOM)
      t.ok(gone.has(FLOOD - ROOM), 'the oldest has made room for one more')

      for (const { reset } of [...members, ...strangers, late]) reset()
      for (const link of links) void drain(link.source)
      await until(() => limiter.stats.connections === 0)
      t.match(limiter.stats, { connections: 0, halfOpen: 0 }, 'nothing is left')
    })
  }

  t.test(`${subject.name}: more than there is room for in all`, async (t) => {
    const limiter = new ConnectionLimiter({ maxConnections: 2 })
    const { port, links } = await serve(t, subject, { limiter }, () => true)
    const members = [await subject.dial(port), await subject.dial(port)]
    await until(() => links.length === 2)
    const third = await rawTcp(port)
    await ended(third.socket)
    third.reset()
    t.match(limiter.stats, { connections: 2, halfOpen: 0, rejected: { total: 1 } })
    members[0].reset()
    await drain(links[0].source)
    await until(() => limiter.stats.connections === 1)
    members.push(await subject.dial(port))
    await until(() => links.length === 3)
    t.match(limiter.stats, { connections: 2, rejected: { total: 1 } }, 'who leaves makes room')
    for (const { reset } of members) reset()
    for (const link of links) void drain(link.source)
    await until(() => limiter.stats.connections === 0)
  })

  t.test(`${subject.name}: how a link is ended that makes room`, async (t) => {
    const limiter = new ConnectionLimiter({ maxHalfOpen: 1 })
    const { port, incoming } = await listening(t, (at) => subject.listen({ ...at, limiter }))
    const clients = [await subject.dial(port)]
    const one = await accept(t, incoming)
    t.equal(one.slot?.source, '127.0.0.1')
    const reading = failureOf(hear(one.source))
    clients.push(await subject.dial(port))
    const two = await accept(t, incoming)
    t.match(await reading, { code: 'ERR_LINK_CLOSED', message: /room/ })
    await ended(clients[0].socket)
    let asked = false
    if (two.slot !== undefined) two.slot.evict = () => { asked = true }
    clients.push(await subject.dial(port))
    const three = await accept(t, incoming)
    t.ok(asked, 'whoever serves it can put a way of his own')
    three.slot?.establish()
    t.match(limiter.stats, { connections: 1, halfOpen: 0, evicted: 2 })
    for (const { reset } of clients) reset()
    await Promise.all([drain(two.source), drain(three.source)])
    await until(() => limiter.stats.connections === 0)
  })

  t.test(`${subject.name}: without a limiter`, async (t) => {
    const { port, incoming } = await listening(t, (at) => subject.listen(at))
    const client = await subject.dial(port)
    t.equal((await accept(t, incoming)).slot, undefined)
    client.reset()
  })
}

for (const { name, listen, connect } of rawSubjects.slice(2)) {
  t.test(`${name}: requests that are no WebSocket are in the limiter until their connection ends`, async (t) => {
    const limiter = new ConnectionLimiter()
    const { port, incoming } = await listening(t, (at) => listen({ ...at, limiter }))
    for (const request of ['GET / HTTP/1.1\r\nHost: x\r\n\r\n', upgradeRequest({ 'Sec-WebSocket-Version': '99' }), 'nonsense\r\n\r\n']) {
      const { socket, reset } = await connect(port)
      t.match(limiter.stats, { connections: 1, halfOpen: 1 })
      socket.write(request)
      t.match((await readHead(socket)).head, /^HTTP\/1\.1 40[03] /)
      await ended(socket)
      reset()
      await until(() => limiter.stats.connections === 0)
    }
    const client = await upgrade(await connect(port))
    const link = await accept(t, incoming)
    client.reset()
    await drain(link.source)
    await until(() => limiter.stats.connections === 0)
    t.equal(limiter.stats.admitted, 4)
  })
}

t.test('the end of a listener ends what has not become a link', async (t) => {
  for (const { name, listen, dial } of rawSubjects.slice(1)) {
    const limiter = new ConnectionLimiter()
    const { listener, port, incoming } = await listening(t, (at) => listen({ ...at, limiter }))
    const client = await dial(port)
    const link = await accept(t, incoming)
    const strangers: RawClient[] = []
    for (const said of Object.values(beginnings[name])) {
      const stranger = await rawTcp(port)
      stranger.socket.write(said)
      strangers.push(stranger)
    }
    await until(() => limiter.stats.connections === 3)
    listener.close()
    for (const { socket } of strangers) await ended(socket)
    await until(() => limiter.stats.connections === 1)
    link.port.send(texts('still here'))
    if (client.socket.readableLength === 0) await once(client.socket, 'readable')
    t.match(String(client.socket.read()), /still here$/, name)
    t.equal(limiter.stats.halfOpen, 1)
    client.reset()
    for (const { reset } of strangers) reset()
    await drain(link.source)
    await until(() => limiter.stats.connections === 0)
  }
})

t.test('one limiter for several listeners', async (t) => {
  const limiter = new ConnectionLimiter({ maxHalfOpen: 1 })
  const [one, two] = [await listening(t, (at) => listenTcp({ ...at, limiter })), await listening(t, (at) => listenWebSocket({ ...at, limiter }))]
  const client = await rawTcp(one.port)
  const link = await accept(t, one.incoming)
  const reading = failureOf(hear(link.source))
  const other = await upgrade(await rawTcp(two.port))
  await accept(t, two.incoming)
  t.match(await reading, { code: 'ERR_LINK_CLOSED' })
  t.match(limiter.stats, { connections: 1, evicted: 1 })
  await ended(client.socket)
  client.reset()
  other.reset()
})
