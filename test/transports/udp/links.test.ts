/** UDP of the system: sockets, and links by address. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { ManualClock } from '../../helpers/clock.ts'
import { accept, batches, bytes, endsWith, failureOf, first, hear, idle, texts, until } from '../../helpers/ends.ts'
import { datagramContract } from '../../helpers/transports/datagram-contract.ts'
import { consume } from '../../../src/streams/consume.ts'
import { dialUdp, type DialUdpInit } from '../../../src/transports/udp/dial.ts'
import type { UdpLink } from '../../../src/transports/udp/flow.ts'
import { listenUdp, type ListenUdpInit, type UdpListener } from '../../../src/transports/udp/listener.ts'
import { bindUdp } from '../../../src/transports/udp/bind.ts'
import { MAX_DATAGRAM } from '../../../src/transports/udp/socket.ts'
import type { Endpoint } from '../../../src/types.ts'

for (const [host, largest] of [['127.0.0.1', MAX_DATAGRAM.ipv4], ['::1', MAX_DATAGRAM.ipv6]] as const) {
  for (const io of ['offload', 'batch', 'node'] as const) {
    datagramContract(t, {
      name: `UDP on ${host}, ${io}`,
      largest,
      isUnlimited: io !== 'node',
      bind: async (t, init) => {
        const socket = await bindUdp({ host, port: 0, io, ...init })
        t.teardown(() => { socket.close() })
        return socket
      }
    })
  }
}

/** A listener, its first link, and the one that has dialled it. */
async function pair (t: Test, init: Partial<ListenUdpInit> = {}, dial: Partial<DialUdpInit> = {}): Promise<{ listener: UdpListener, incoming: AsyncIterator<UdpLink>, at: Endpoint, client: UdpLink, server: UdpLink }> {
  const listener = listenUdp({ host: '127.0.0.1', port: 0, ...init })
  t.teardown(() => { listener.close() })
  const at = { host: init.host ?? '127.0.0.1', port: await listener.port() }
  const client = await dialled(t, at, dial)
  client.port.send(texts('hello'))
  const incoming = listener[Symbol.asyncIterator]()
  const server = await accept(t, incoming)
  if (textOf(await first(server.source)) !== 'hello') throw new Error('not what was said')
  return { listener, incoming, at, client, server }
}

const dialled = async (t: Test, at: Endpoint, init: Partial<DialUdpInit> = {}): Promise<UdpLink> => endsWith(t, await dialUdp({ ...at, ...init }))

const textOf = (data: Uint8Array): string => Buffer.from(data).toString()

/** So many datagrams, copied. */
async function some (link: UdpLink, count: number): Promise<string[]> {
  const heard: string[] = []
  const reads = link.source[Symbol.asyncIterator]()
  while (heard.length < count) heard.push(...(await reads.next()).value.map(textOf))
  return heard
}

for (const host of ['127.0.0.1', '::1']) {
  t.test(`property: links by address keep order and bounds, both ways, on ${host}`, async (t) => {
    const listener = listenUdp({ host, port: 0 })
    t.teardown(() => { listener.close() })
    const at = { host, port: await listener.port() }
    const clients = await Promise.all(Array.from({ length: 3 }, () => dialled(t, at)))
    void (async () => { for await (const link of listener) consume(link, (batch) => { link.port.send(batch) }).catch(() => {}) })()
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(2), fc.array(fc.string({ maxLength: 2000 }), { minLength: 1, maxLength: 4 })), { maxLength: 8 }), async (sent) => {
      for (const [i, batch] of sent) clients[i].port.send(texts(...batch))
      for (const [i, client] of clients.entries()) {
        const own = sent.filter(([of]) => of === i).flatMap(([, batch]) => batch)
        t.same(await some(client, own.length), own.map((text) => Buffer.from(text).toString()))
      }
    }), { numRuns: 30 })
    t.equal(listener.flows, 3)
  })
}

t.test('nobody at the port, too large, and an address that none can have: counted, and the socket goes on', async (t) => {
  const [socket, other] = [await bindUdp({ host: '127.0.0.1', port: 0 }), await bindUdp({ host: '127.0.0.1', port: 0 })]
  t.teardown(() => { socket.close() })
  other.close()
  const link = await dialled(t, other.local)
  link.port.send(texts('anybody?'))
  await until(() => link.errors.unreachable > 0)
  const back = await bindUdp({ ...other.local })
  t.teardown(() => { back.close() })
  link.port.send(texts('now?'))
  const { value } = await back.source[Symbol.asyncIterator]().next()
  t.equal(textOf(value[0].data), 'now?')
  t.equal(link.port.send([bytes(65_508)]), 0)
  t.match(await failureOf(link.sink(batches([bytes(65_508)]))), { code: 'ERR_FRAME_SIZE' })
  for (const to of [{ host: '127.0.0.1', port: 0 }, { host: 'nowhere', port: 9 }, { host: '::1', port: 9 }]) socket.port.send([{ data: bytes(1), ...to }])
  await until(() => socket.errors.other === 3)
  t.equal(socket.port.queued, 0)
})

t.test('a link ends when it is idle in both directions, on either side', async (t) => {
  const clock = new ManualClock()
  const { listener, client, server } = await pair(t, { clock, idleTimeout: 10_000 }, { clock, idleTimeout: 15_000 })
  await clock.pass(9000)
  server.port.send(texts('still here'))
  t.equal(textOf(await first(client.source)), 'still here')
  await clock.pass(9000)
  t.equal(listener.flows, 1)
  await clock.pass(1001)
  t.equal(listener.flows, 0)
  t.same(await hear(server.source), [])
  t.equal(server.port.send(texts('late')), 0)
  await clock.pass(5000)
  t.same(await hear(client.source), [])
})

t.test('a table that is full: the one that was idle longest makes room, none that was used just now', async (t) => {
  const clock = new ManualClock()
  const { listener, incoming, at, client, server } = await pair(t, { clock, maxFlows: 2 })
  const says = async (text: string): Promise<UdpLink> => {
    const link = await dialled(t, at)
    link.port.send(texts(text))
    return link
  }
  await clock.pass(500)
  await says('second')
  const second = await accept(t, incoming)
  const { signal } = second
  await says('too early')
  await until(() => listener.refused === 1)
  await clock.pass(1000)
  client.port.send(texts('used'))
  t.equal(textOf(await first(server.source)), 'used')
  await says('third')
  const third = await accept(t, incoming)
  t.same(await some(third, 1), ['third'])
  t.match(await hear(second.source), [Buffer.from('second')])
  t.match([listener.flows, listener.evicted], [2, 1])
  t.match([signal, server.signal, second.signal], [{ aborted: true, reason: { code: 'ERR_LINK_CLOSED' } }, { aborted: false }, { aborted: true }])
  await says('the first one was used')
  await until(() => listener.refused === 2)
})

t.test('a link that was aborted: the next datagram of its address makes another one; they all end with the listener', async (t) => {
  const { listener, incoming, at, client, server } = await pair(t)
  const reason = new Error('enough')
  const reading = failureOf(hear(server.source))
  server.abort(reason)
  t.equal(await reading, reason)
  t.equal(server.signal.reason, reason, 'also for who asks late')
  client.port.send(texts('again'))
  const again = await accept(t, incoming)
  t.same(await some(again, 1), ['again'])
  const sending = failureOf(again.sink(idle().source))
  t.match(await failureOf(again.sink(idle().source)), { code: 'ERR_LINK_BUSY' })
  t.equal(listener.flows, 1)
  listener.close()
  t.match(await sending, { code: 'ERR_LINK_CLOSED' })
  await hear(again.source)
  t.same(await incoming.next(), { done: true, value: undefined })
  const next = listenUdp(at)
  t.equal(await next.port(), at.port, 'the port is free')
  next.close()
})

t.test('a slow reader loses datagrams of its own link alone; sink waits for the socket, and ends the link', async (t) => {
  const { listener, incoming, at, client, server } = await pair(t, { flowLimit: 1000 })
  client.port.send(Array.from({ length: 20 }, () => bytes(200)))
  await until(() => server.dropped > 0)
  const other = await dialled(t, at)
  await other.sink(batches(texts('one', 'two'), texts('three')))
  t.equal(other.port.send(texts('late')), 0)
  t.same(await some(await accept(t, incoming), 3), ['one', 'two', 'three'])
  await until(() => server.dropped === 17)
  t.equal((await some(server, 3)).length, 3)
  t.equal(listener.dropped, 0)
})

t.test('where it cannot listen or dial', async (t) => {
  const { at } = await pair(t)
  const second = listenUdp(at)
  t.match(await failureOf(second.port()), { code: 'EADDRINUSE' })
  t.match(await failureOf(second[Symbol.asyncIterator]().next()), { code: 'EADDRINUSE' })
  const closed = listenUdp({ host: '127.0.0.1', port: 0 })
  closed.close()
  t.match(await failureOf(closed.port()), { code: 'ERR_LINK_CLOSED' })
  t.throws(() => listenUdp({ ...at, maxFlows: 0 }), { code: 'ERR_OPTION' })
  t.throws(() => listenUdp({ ...at, flowLimit: -1 }), { code: 'ERR_OPTION' })
  t.match(await failureOf(bindUdp({ ...at, sendLimit: 0 })), { code: 'ERR_OPTION' })
  t.match(await failureOf(dialUdp({ ...at, idleTimeout: 0 })), { code: 'ERR_OPTION' })
  for (const port of [70_000, 0, 1.5]) t.match(await failureOf(dialUdp({ host: '127.0.0.1', port })), { code: 'ERR_OPTION' })
  t.match(await failureOf(bindUdp({ host: '127.0.0.1', port: -1 })), { code: 'ERR_OPTION' })
  t.match(await failureOf(dialUdp({ ...at, host: 'name', lookup: async () => [] })), { code: 'ENOTFOUND' })
  const clock = new ManualClock()
  const waiting = failureOf(dialUdp({ ...at, host: 'name', lookup: () => new Promise(() => {}), timeout: 1000, clock }))
  await clock.pass(1000)
  t.match(await waiting, { code: 'ERR_DIAL_TIMEOUT' })
  const leave = new AbortController()
  const dialling = failureOf(dialUdp({ ...at, host: 'name', lookup: () => new Promise(() => {}), signal: leave.signal }))
  leave.abort(new Error('left'))
  t.match(await dialling, { message: 'left' })
  const named = await dialled(t, { ...at, host: 'name' }, { lookup: async () => [{ address: at.host, family: 4 }] })
  t.same(named.remote, at)
})
