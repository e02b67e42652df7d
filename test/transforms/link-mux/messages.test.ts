/** Links that keep message boundaries, as datagrams need it. */
import fc from 'fast-check'
import t from 'tap'
import { batches, bytes, failureOf, first, hear, turn, until } from '../../helpers/ends.ts'
import { linkPair, OK, rawPeer } from '../../helpers/transforms/link-mux.ts'
import type { Batch } from '../../../src/types.ts'

const ask = Buffer.from('ask')

t.test('property: boundaries are kept, empty messages too', async (t) => {
  await fc.assert(fc.asyncProperty(
    fc.array(fc.array(fc.uint8Array({ maxLength: 200 }), { minLength: 1, maxLength: 20 }), { maxLength: 10 }), fc.boolean(), fc.boolean(),
    async (sent, credit, slow) => {
      const { client, server, muxes } = await linkPair(t, { messages: true, codec: { credit } })
      const written = client.sink(batches(...sent))
      const heard: Uint8Array[] = []
      for await (const batch of server.source) {
        heard.push(...batch)
        if (slow) for (let i = 0; i < 3; i++) await turn()
      }
      await written
      t.same(heard.map((one) => Buffer.from(one).toString('hex')), sent.flat().map((one) => Buffer.from(one).toString('hex')))
      muxes.client.abort(new Error('over'))
      muxes.server.abort(new Error('over'))
    }
  ), { numRuns: 50 })
})

t.test('a message that is too long: an error for sink, dropped by port', async (t) => {
  const { client, server } = await linkPair(t, { messages: true })
  t.equal(client.port.send([bytes(16_385)]), 0)
  t.equal(client.port.send([bytes(1), bytes(16_385)]), 0)
  t.match(await failureOf(client.sink(batches([bytes(16_385)]))), { code: 'ERR_FRAME_SIZE' })
  t.equal(client.port.send([bytes(16_384)]), 1)
  t.equal((await first(server.source)).length, 16_384)
  const small = await linkPair(t, { messages: true, window: 100 })
  t.equal(small.client.port.send([bytes(101)]), 0, 'more than the window of the other side')
  t.equal(small.client.port.send([bytes(100)]), 1)
  t.equal((await first(small.server.source)).length, 100)
})

t.test('a message waits for credit as a whole', async (t) => {
  const { mux, send, next, heard } = rawPeer(t, { role: 'client' })
  const opening = mux.open(ask, { messages: true })
  await next(1)
  send((frames) => { frames.accept(1, OK, 100) })
  const link = await opening
  t.equal(link.credit, 100)
  link.port.send([bytes(60), bytes(50), bytes(1)])
  t.equal(link.credit, -11, 'what waits counts')
  t.same(await next(1), ['data 1, 60 bytes'])
  t.equal(link.credit, -11)
  for (let i = 0; i < 20; i++) await turn()
  t.same(heard, [], 'in order: the small one does not overtake')
  send((frames) => { frames.window(1, 10) })
  t.same(await next(1), ['data 1, 50 bytes'])
  send((frames) => { frames.window(1, 1) })
  t.match(await next(1), [/^data 1/])
  t.equal(link.credit, 0)
})

t.test('a large message gets its credit, though less than half of the window was read', async (t) => {
  const { client, server } = await linkPair(t, { messages: true, window: 20_000 })
  const sizes = [9000, 16_000, 8000, 16_384, 1, 16_384]
  const written = client.sink(batches(sizes.map((size) => bytes(size))))
  t.same((await hear(server.source)).map(({ length }) => length), sizes)
  await written
})

t.test('what a slow reader has no room for is dropped and counted, and its credit comes back', async (t) => {
  const { mux, openings, send, next } = rawPeer(t, { maxMessages: 10, window: 1000 })
  send((frames) => {
    frames.open(1, ask, 1000)
    frames.open(3, ask, undefined)
  })
  await until(() => openings.length === 2)
  const [one, two] = openings.map((opening) => opening.accept(OK, { messages: true }))
  await next(2)
  send((frames) => { for (let i = 0; i < 20; i++) frames.data(1, bytes(50, i)) })
  await until(() => one.dropped === 10)
  t.same(await next(10), Array(10).fill('window 1 50'), 'at once, as the window is smaller than a message may be')
  const { value } = await one.source[Symbol.asyncIterator]().next() as { value: Batch }
  t.same(value.map(([fill]) => fill), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  send((frames) => { for (let i = 0; i < 20; i++) frames.data(3, bytes(300, i)) })
  await until(() => two.dropped === 17)
  t.equal(mux.unread, 900, 'by bytes, without credit')
  t.equal((await hearSome(two.source, 3)).length, 3)
  send((frames) => { for (let i = 0; i < 100; i++) frames.data(1, bytes(0)) })
  await until(() => one.dropped === 100)
})

async function hearSome (source: AsyncIterable<Batch>, count: number): Promise<Batch> {
  const heard: Batch = []
  const reader = source[Symbol.asyncIterator]()
  while (heard.length < count) heard.push(...(await reader.next()).value)
  return heard
}

t.test('messages that wait do not keep the read that they came in', async (t) => {
  const { mux, openings, send } = rawPeer(t)
  send((frames) => { frames.open(1, ask, 1000) })
  await until(() => openings.length === 1)
  const link = openings[0].accept(OK, { messages: true })
  for (let i = 0; i < 10; i++) {
    send((frames) => {
      frames.data(1, bytes(100, i))
      frames.data(99, bytes(16_000))
    })
  }
  await until(() => mux.unread === 1000)
  const { value } = await link.source[Symbol.asyncIterator]().next() as { value: Batch }
  t.same(value.map((one) => [one.length, one[0]]), Array.from({ length: 10 }, (_, i) => [100, i]))
  const kept = [...new Set(value.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
  t.ok(kept <= 4000, `${kept} bytes kept`)
})

t.test('stream links ignore empty data', async (t) => {
  const { openings, send } = rawPeer(t)
  send((frames) => { frames.open(1, ask, 1000) })
  await until(() => openings.length === 1)
  const link = openings[0].accept(OK)
  send((frames) => {
    frames.data(1, bytes(0))
    frames.data(1, Buffer.from('x'))
    frames.end(1)
  })
  t.same((await hear(link.source)).map(String), ['x'])
})
