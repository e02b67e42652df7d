/** Receivers that do not read (natpass protocol, section 3; cases 19 and 20 of section 8). */
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import { until } from '../../../helpers/ends.ts'
import { join, handshake, dial, type NatpassClient } from '../../../helpers/natpass/client.ts'
import { contentOf, data, isType, openLink, request } from '../../../helpers/natpass/messages.ts'
import { serve } from '../../../helpers/natpass/serve.ts'

const DATE = 60_000 * 28_000_000
const SIZE = 60_000

/** Lets the relay find out that a client does not read. */
const pass = async (clock: ManualClock, seconds: number): Promise<void> => {
  for (let i = 0; i < seconds; i++) await clock.pass(1000)
}

async function joinAt (t: any, port: number, id: string): Promise<NatpassClient> {
  const client = await dial(t, port, id)
  client.send(handshake(id, { date: DATE }))
  await client.settled()
  return client
}

/** Writes until the relay takes no more. @returns how many messages were written */
async function flood (client: NatpassClient, to: string, link: string): Promise<number> {
  let count = 0
  while (client.socket.writableLength < 4 << 20) client.send(data(to, Buffer.alloc(SIZE, count++), link))
  return count
}

t.test('the sender waits, then that link ends, and the others go on', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock })
  const [a, b, c] = [await joinAt(t, port, 'a'), await joinAt(t, port, 'b'), await joinAt(t, port, 'c')]
  await openLink(a, b, 'slow')
  await openLink(a, c, 'fast')
  b.socket.pause()
  await flood(a, 'b', 'slow')
  await until(() => server.status().queuedBytes >= 1 << 20)
  a.send(data('c', 'behind the flood', 'fast'))
  for (let i = 0; i < 50; i++) await new Promise((resolve) => { setImmediate(resolve) })
  t.ok(server.status().queuedBytes < 4 << 20, `${server.status().queuedBytes} bytes wait`)
  t.same(c.inbox, [], 'its sender waits')
  await pass(clock, 11)
  t.match(await a.next(isType('disconnect')), { from: 'server', link_id: 'slow' })
  t.equal(contentOf(await c.next(isType('shellData'))), 'behind the flood')
  t.match(server.status(), { endedLinks: { stalled: 1 }, links: { shell: 1 } })
  t.ok(server.status().queuedBytes < 1 << 20, 'what waited is dropped')
  t.match(server.status().members, [{ id: 'a', isStalled: false }, { id: 'b', isStalled: true }, { id: 'c', isStalled: false }])
  a.send(request('b', 'again'))
  t.match(await a.next(isType('connectRep')), { crep: { ok: false, msg: 'b does not read' } })
  b.socket.resume()
  t.match(await b.next(isType('disconnect')), { from: 'server', link_id: 'slow' })
  await b.settled()
  const contents = b.inbox.filter(isType('shellData')).map(({ sdata }) => sdata?.data?.[0])
  t.same(contents, contents.map((_, i) => i % 256), 'what was delivered has no hole')
  await pass(clock, 2)
  a.send(request('b', 'again'))
  t.match(await b.next(isType('connectReq')), { link_id: 'again' })
})

t.test('a receiver that reads again in time loses nothing', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock })
  const [a, b] = [await joinAt(t, port, 'a'), await joinAt(t, port, 'b')]
  await openLink(a, b)
  b.socket.pause()
  const count = await flood(a, 'b', '0123456789abcdef')
  await until(() => server.status().queuedBytes >= 1 << 20)
  await pass(clock, 5)
  b.socket.resume()
  let got = 0
  while (got < count) {
    const { sdata } = await b.next(isType('shellData'))
    if (sdata?.data?.length !== SIZE || sdata.data[0] !== got % 256) throw new Error(`message ${got} is another one`)
    got++
  }
  t.equal(got, count)
  t.match(server.status(), { endedLinks: { stalled: 0 }, queuedBytes: 0 })
})

t.test('a quiet link is not delayed by a busy one to the same client', async (t) => {
  const { server, port } = await serve(t)
  const [a, b, c] = [await join(t, port, 'a'), await join(t, port, 'b'), await join(t, port, 'c')]
  await openLink(a, b, 'busy')
  await openLink(c, b, 'quiet')
  b.socket.pause()
  const count = await flood(a, 'b', 'busy')
  await until(() => server.status().queuedBytes >= 1 << 20)
  c.send(data('b', 'quiet', 'quiet'))
  await c.settled()
  b.socket.resume()
  const before: number[] = []
  for (let message; contentOf(message = await b.next(isType('shellData'))) !== 'quiet';) before.push(message.sdata?.data?.length ?? 0)
  t.ok(before.length < count, `${before.length} of ${count} before it`)
})

t.test('messages of no link are dropped, and no memory grows', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock })
  const [a, b] = [await joinAt(t, port, 'a'), await joinAt(t, port, 'b')]
  b.socket.pause()
  for (let i = 0; i < 500; i++) a.send({ _type: 6, to: 'b', _data: { data: Buffer.alloc(SIZE) } })
  await a.settled()
  t.ok(server.status().drops.queue > 0)
  t.ok(server.status().queuedBytes < 1 << 20)
})

t.test('neither answers nor requests nor refusals grow without bound for a client that does not read', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock })
  const waiting = (): number => server.status().queuedBytes
  const alone = await joinAt(t, port, 'alone')
  alone.send(request('alone', 'own'))
  await alone.next(isType('connectReq'))
  alone.socket.pause()
  const answers = { _type: 4, to: 'alone', link_id: 'own', crep: { ok: true, msg: 'x'.repeat(SIZE) } }
  for (let sent = 0; sent < 2000 && alone.socket.writableLength < 4 << 20; sent++) {
    alone.send(answers)
    if (sent % 50 === 0) await new Promise((resolve) => { setImmediate(resolve) })
  }
  for (let i = 0; i < 50; i++) await new Promise((resolve) => { setImmediate(resolve) })
  t.ok(waiting() < 4 << 20, `${waiting()} bytes of answers to itself wait`)

  const [opener, honest] = [await joinAt(t, port, 'opener'), await joinAt(t, port, 'honest')]
  opener.socket.pause()
  const before = waiting()
  honest.socket.on('data', () => { for (const { link_id: link } of honest.inbox.splice(0)) honest.send({ _type: 4, to: 'opener', link_id: link, crep: { ok: false, msg: 'n'.repeat(SIZE) } }) })
  for (let i = 0; i < 1000; i++) {
    opener.send(request('honest', `link ${i}`))
    if (i % 20 === 0) await new Promise((resolve) => { setImmediate(resolve) })
  }
  for (let i = 0; i < 500; i++) await new Promise((resolve) => { setImmediate(resolve) })
  t.ok(waiting() - before < 20 << 20, `${waiting() - before} bytes of refusals wait`)
  t.equal(server.status().clients > 0, true)
})

t.test('with a full budget links with something to write are full', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock, bufferTotal: 200_000 })
  const [a, b] = [await joinAt(t, port, 'a'), await joinAt(t, port, 'b')]
  await openLink(a, b)
  b.socket.pause()
  await flood(a, 'b', '0123456789abcdef')
  await until(() => server.status().queuedBytes >= 200_000)
  for (let i = 0; i < 50; i++) await new Promise((resolve) => { setImmediate(resolve) })
  t.ok(server.status().queuedBytes < 200_000 + 5 * 256 * 1024, `${server.status().queuedBytes} bytes wait`)
})

t.test('a client that says nothing for 600 seconds, and one that sends keep-alives', async (t) => {
  const clock = new ManualClock({ date: DATE })
  const { server, port } = await serve(t, { clock })
  const [quiet, alive] = [await joinAt(t, port, 'quiet'), await joinAt(t, port, 'alive')]
  for (let i = 0; i < 60; i++) {
    alive.send({ _type: 2, to: 'server' })
    await alive.settled()
    await pass(clock, 10)
  }
  await quiet.closed
  t.match(server.status(), { members: [{ id: 'alive' }], refused: { timeout: 1 } })
})
