/** Credit, budgets, stalled readers, turns between links. */
import t from 'tap'
import { ManualClock } from '../../helpers/clock.ts'
import { batches, bytes, drain, failureOf, first, hear, hearText, nothing, standstill, texts, turn, until } from '../../helpers/ends.ts'
import { linkPair, muxPair, OK, rawPeer, type LinkPair, type MuxPairInit } from '../../helpers/transforms/link-mux.ts'
import { wrapLink } from '../../../src/streams/wrap-link.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import type { MuxLink } from '../../../src/transforms/link-mux/index.ts'
import type { Batch } from '../../../src/types.ts'
import type { Test } from 'tap'

const ask = Buffer.from('ask')
const withoutCredit = { codec: { credit: false } }

/** So many links, both their ends. */
async function links (t: Test, count: number, init: MuxPairInit = {}): Promise<Pick<LinkPair, 'muxes'> & { clients: MuxLink[], servers: MuxLink[] }> {
  const servers: MuxLink[] = []
  const muxes = muxPair(t, { ...init, onOpen: (opening) => { servers.push(opening.accept(OK)) } })
  const clients = []
  for (let i = 0; i < count; i++) clients.push(await muxes.client.open(ask))
  return { muxes, clients, servers }
}

/** Many batches of a size; counts those that were asked for. */
function flood (count: number, size: number): { source: AsyncGenerator<Batch>, pulled: () => number } {
  let pulled = 0
  async function * source (): AsyncGenerator<Batch> { for (; pulled < count; pulled++) yield [bytes(size, pulled)] }
  return { source: source(), pulled: () => pulled }
}

t.test('a sender keeps to the credit, and a reader grants half a window at a time', async (t) => {
  const { mux, send, next, heard } = rawPeer(t, { role: 'client', window: 1000, maxWindow: 1000 })
  const opening = mux.open(ask)
  t.same(await next(1), ['open 1 window 1000 ask'])
  send((frames) => { frames.accept(1, OK, 50) })
  const link = await opening
  t.ok(link.halfClose)
  const writing = link.sink(batches([bytes(60)], [bytes(50)], texts('the rest')))
  t.same(await next(1), ['data 1, 50 bytes'])
  await standstill(() => heard.length)
  t.same(heard, [])
  send((frames) => { frames.window(1, 45) })
  t.same(await next(1), ['data 1, 45 bytes'])
  send((frames) => { frames.window(1, 1000) })
  t.match(await next(2), [/^data 1/, 'end 1'])
  await writing

  send((frames) => { frames.data(1, bytes(499)) })
  const reader = link.source[Symbol.asyncIterator]()
  await reader.next()
  await standstill(() => heard.length)
  t.same(heard, [], 'less than half')
  send((frames) => { frames.data(1, bytes(1)) })
  await reader.next()
  t.same(await next(1), ['window 1 500'])
  send((frames) => { frames.data(1, bytes(1000)) })
  await until(() => mux.unread === 1000)
  t.equal((await reader.next()).value[0].length, 1000, 'the whole window again')
  t.same(await next(1), ['window 1 1000'])
  send((frames) => { frames.end(1) })
  t.ok((await reader.next()).done)
  t.equal(mux.links, 0)
})

t.test('the window of a fast reader grows, up to its maximum', async (t) => {
  const clock = new ManualClock()
  const { openings, send, next, mux } = rawPeer(t, { clock, window: 1000, maxWindow: 3000, maxUnread: 7000 })
  send((frames) => { for (const id of [1, 3, 5]) frames.open(id, ask, 1000) })
  await until(() => openings.length === 3)
  const [link, waiting, late] = openings.map((opening) => opening.accept(OK))
  await next(3)
  let got = 0
  const reading = link.flow((batch) => { for (const { length } of batch) got += length })
  const granted = async (id: number, bytesOfData: number): Promise<string> => {
    send((frames) => { frames.data(id, bytes(bytesOfData)) })
    return (await next(1))[0]
  }
  t.equal(await granted(1, 500), 'window 1 1500', 'to 2000')
  t.equal(await granted(1, 1000), 'window 1 2000', 'to 3000, the maximum')
  t.equal(await granted(1, 1500), 'window 1 1500')
  t.equal(await granted(1, 3000), 'window 1 3000', 'as much as there is credit for')
  t.equal(got, 6000)

  const reader = waiting.source[Symbol.asyncIterator]()
  send((frames) => { frames.data(3, bytes(600)) })
  await until(() => mux.unread === 600)
  await reader.next()
  t.same(await next(1), ['window 3 600'], 'not where it had to wait for the reader')
  let reads = reader.next()
  clock.advance(501)
  t.equal(await granted(3, 500), 'window 3 500', 'not after a while')
  await reads
  reads = reader.next()
  t.equal(await granted(3, 500), 'window 3 1500', 'to 2000')
  await reads
  reads = reader.next()
  t.equal(await granted(3, 1000), 'window 3 2000', 'to 3000: 7000 with the windows of the others')
  await reads
  const lateReader = late.source[Symbol.asyncIterator]()
  reads = lateReader.next()
  t.equal(await granted(5, 500), 'window 5 500', 'not beyond the bytes of all links')
  await reads
  link.abort(new Error('over'))
  await reading.catch(() => {})
  await next(1)
  reads = lateReader.next()
  t.equal(await granted(5, 500), 'window 5 1500', 'a link that is over makes room')
  await reads
})

t.test('a reader that does not read holds up its link, and no other', async (t) => {
  const { muxes, clients, servers } = await links(t, 3)
  const { source, pulled } = flood(100, 65_536)
  void clients[0].sink(source)
  await standstill(pulled)
  t.ok(pulled() < 10, `${pulled()} batches`)
  t.equal(muxes.server.unread, 256 << 10, 'a window')
  for (const i of [1, 2]) {
    const [heard] = await Promise.all([hear(servers[i].source), clients[i].sink(flood(100, 65_536).source)])
    t.equal(Buffer.concat(heard).length, 6_553_600)
  }
  t.equal(Buffer.concat(await hear(servers[0].source)).length, 6_553_600)
})

t.test('a link without credit that is full holds up the connection for a time, then it alone ends', async (t) => {
  const clock = new ManualClock()
  const { muxes, clients, servers } = await links(t, 3, { ...withoutCredit, clock, window: 100_000, server: { stallTimeout: 10_000 } })
  const { source, pulled } = flood(100, 65_536)
  const flooding = failureOf(clients[0].sink(source))
  await clock.whenSet(10_000)
  t.ok(muxes.server.unread >= 100_000 && muxes.server.unread < 300_000, `${muxes.server.unread} bytes`)
  await standstill(pulled)
  const hearing = hearText(servers[1].source)
  const said = clients[1].sink(batches(texts('patience')))
  await clock.pass(9999)
  t.equal(muxes.server.links, 3)
  await clock.pass(1)
  t.match(await failureOf(hear(servers[0].source)), { code: 'ERR_LINK_STALLED' })
  t.match(await flooding, { code: 'ERR_LINK_RESET', reason: 6 })
  t.equal(await hearing, 'patience')
  await said
  const [heard] = await Promise.all([hear(servers[2].source), clients[2].sink(flood(50, 65_536).source)])
  t.equal(Buffer.concat(heard).length, 50 * 65_536)
  t.same(clock.waiting, [])
  t.equal(muxes.server.unread, 0)
})

t.test('a slow reader of a link without credit loses nothing', async (t) => {
  const clock = new ManualClock()
  const { clients, servers } = await links(t, 1, { ...withoutCredit, clock, window: 1000 })
  const sent = Array.from({ length: 200 }, (_, i) => bytes(1 + i * 7, i))
  const written = clients[0].sink(batches(...sent.map((one) => [one])))
  const heard: Uint8Array[] = []
  for await (const batch of servers[0].source) {
    heard.push(...batch)
    for (let i = 0; i < 5; i++) await turn()
    clock.advance(5000) // less than the time-out between two reads
  }
  await written
  t.ok(Buffer.concat(heard).equals(Buffer.concat(sent)))
  t.same(clock.waiting, [])
})

t.test('a reader that leaves or aborts lets the connection go on', async (t) => {
  for (const leave of ['abort', 'return'] as const) {
    const clock = new ManualClock()
    const { muxes, clients, servers } = await links(t, 2, { ...withoutCredit, clock, window: 1000 })
    const flooding = drain((async function * (): AsyncGenerator<Batch> { await clients[0].sink(flood(100, 65_536).source) })())
    await clock.whenSet(10_000)
    if (leave === 'return') await servers[0].source[Symbol.asyncIterator]().return?.()
    else servers[0].abort(new Error('enough'))
    t.same(clock.waiting, [], leave)
    const [heard] = await Promise.all([hearText(servers[1].source), clients[1].sink(batches(texts('on')))])
    t.equal(heard, 'on')
    servers[0].abort(new Error('enough'))
    await flooding
    t.equal(muxes.server.unread, 0)
  }
})

t.test('all links together: reading stops, then the largest ends', async (t) => {
  const clock = new ManualClock()
  const { muxes, clients, servers } = await links(t, 3, { clock, window: 100_000, server: { maxUnread: 150_000 } })
  for (const [i, size] of [[0, 60_000], [1, 100_000]]) void clients[i].sink(batches([bytes(size, i)])).catch(() => {})
  await clock.whenSet(10_000)
  t.ok(muxes.server.unread >= 150_000)
  await clock.pass(10_000)
  t.match(await failureOf(hear(servers[1].source)), { code: 'ERR_LINK_STALLED' })
  t.equal(Buffer.concat(await hear(servers[0].source)).length, 60_000)
  const [heard] = await Promise.all([hearText(servers[2].source), clients[2].sink(batches(texts('on')))])
  t.equal(heard, 'on')
})

t.test('links that are over and not read are in the budget', async (t) => {
  const clock = new ManualClock()
  const { muxes, clients, servers } = await links(t, 2, { clock, window: 100_000, server: { maxUnread: 50_000 } })
  await Promise.all([clients[0].sink(batches([bytes(60_000)])), servers[0].sink(nothing())])
  await clock.whenSet(10_000)
  await clock.pass(10_000)
  t.equal(muxes.server.unread, 0)
  t.match(await failureOf(hear(servers[0].source)), { code: 'ERR_LINK_STALLED' })
  const [heard] = await Promise.all([hearText(servers[1].source), clients[1].sink(batches(texts('on')))])
  t.equal(heard, 'on')
})

t.test('small pieces that wait are joined, and do not keep what they came in', async (t) => {
  const { mux, openings, send } = rawPeer(t)
  send((frames) => { frames.open(1, ask, 1000) })
  await until(() => openings.length === 1)
  const link = openings[0].accept(OK)
  let all = ''
  for (let i = 0; i < 5000; i++) all += `${i};`
  for (let at = 0; at < all.length; at += 50) send((frames) => { frames.data(1, Buffer.from(all.slice(at, at + 50))) })
  await until(() => mux.unread === all.length)
  const { value } = await link.source[Symbol.asyncIterator]().next() as { value: Batch }
  t.equal(Buffer.concat(value).toString(), all)
  t.ok(value.length < 20, `${value.length} pieces of ${all.length} bytes`)
  const memory = new Set(value.map(({ buffer }) => buffer))
  const kept = [...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)
  t.ok(kept <= 4 * all.length, `${kept} bytes kept for ${all.length}`)
})

t.test('turns: bulk of many links goes round, a quiet link goes first, control frames before all', async (t) => {
  const { mux, send, next } = rawPeer(t, { role: 'client', window: 10 << 20 })
  const opening = [mux.open(ask), mux.open(ask), mux.open(ask)]
  await next(3)
  send((frames) => { for (const id of [1, 3, 5]) frames.accept(id, OK, 10 << 20) })
  const [a, b, quiet] = await Promise.all(opening)
  a.port.send([bytes(200_000)])
  b.port.send([bytes(200_000)])
  const order: string[] = []
  for (let got = 0; got < 400_000;) {
    const [line] = await next(1)
    const [, id, length] = /^data (\d+)(?:, (\d+) bytes)?/.exec(line) ?? []
    if (length === undefined) {
      order.push(line)
      continue
    }
    got += Number(length)
    order.push(id)
    if (order.length === 6) {
      quiet.port.send(texts('quick'))
      mux.open(ask).catch(() => {})
    }
  }
  const bulk = order.filter((one) => one.length === 1)
  for (let i = 0; i + 3 < 20; i++) t.same(new Set(bulk.slice(i, i + 2)).size, 2, `turn ${i}`)
  const [open, quick] = [order.indexOf('open 7 window 10485760 ask'), order.indexOf('data 5 quick')]
  t.ok(open > 0 && quick > open && quick < 24, `${open}, ${quick} of ${order.length}`)
})

t.test('one write has the frames of many links', async (t) => {
  const lower = memoryPair()
  let writes = 0
  async function * counted (source: AsyncIterable<Batch>): AsyncGenerator<Batch> {
    for await (const batch of source) {
      writes++
      yield batch
    }
  }
  const counting = wrapLink(lower[1], { sink: (source) => lower[1].sink(counted(source)) })
  const { mux, send, next } = rawPeer(t, { role: 'client', lower: [lower[0], counting] })
  const opening = Array.from({ length: 50 }, () => mux.open(ask))
  await next(50)
  send((frames) => { for (let id = 1; id < 100; id += 2) frames.accept(id, OK, 1000) })
  const all = await Promise.all(opening)
  writes = 0
  void Promise.all(all.map((link) => link.sink(batches(texts('hello')))))
  t.same(new Set(await next(100)).size, 100)
  t.ok(writes <= 4, `${writes} writes for 100 frames`)
})

t.test('port and sink share one queue', async (t) => {
  const { client, server } = await linkPair(t)
  client.port.send(texts('one '))
  const written = client.sink(batches(texts('two ')))
  t.equal(client.port.send(texts('three')), 1)
  t.match(await failureOf(client.sink(nothing())), { code: 'ERR_LINK_BUSY' })
  const heard = await hearText(server.source)
  await written
  t.equal(heard, 'one threetwo ', 'in the order in which they came')
  t.equal(client.port.send(texts('late')), 0)
  t.match(await failureOf(client.sink(nothing())), { code: 'ERR_LINK_CLOSED' })
})

t.test('a reader is told of a reset, and unread data is gone', async (t) => {
  const { client, server, muxes } = await linkPair(t)
  client.port.send(texts('unread'))
  await until(() => muxes.server.unread === 6)
  client.abort(new Error('enough'))
  await until(() => muxes.server.links === 0)
  t.equal(muxes.server.unread, 0)
  t.match(await failureOf(first(server.source)), { code: 'ERR_LINK_RESET' })
})
