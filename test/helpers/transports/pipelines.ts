/** What every link promises to those who join it with others: `it-pipe`, `stream.pipeline`, and a reader that is called. */
import { type Duplex, Readable, Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pipe } from 'it-pipe'
import type { Test } from 'tap'
import { batches, bytes, drain, failureOf, hear, standstill, turn, until } from '../ends.ts'
import { consume } from '../../../src/streams/consume.ts'
import { duplexOf } from '../../../src/streams/duplex.ts'
import type { Batch, Link } from '../../../src/types.ts'

export interface Pair {
  client: Link
  server: Link
  /** One direction can end while the other goes on. */
  halfClose: boolean
  /** The other side can tell an abort from an end, as it cannot with TLS of Node. Default: true. */
  tellsAborts?: boolean
}

const CONTENT = Array.from({ length: 40 }, (_, i) => bytes(1 + (i * 977) % 9000, i))
const WHOLE = Buffer.concat(CONTENT)

/** Everything that comes back is what was sent. */
async function echoes (server: Link): Promise<void> {
  await pipe(server.source, async function * (source: AsyncIterable<Batch>) { yield * source }, server)
}

/** The error of a link that the test aborts at its end is told to nobody. */
const streamsOf = (...links: Link[]): Duplex[] => links.map((link) => duplexOf(link).on('error', () => {}))

export function pipelines (t: Test, make: (t: Test) => Promise<Pair>): void {
  t.test('it-pipe: a link at the end, its sink at the end, a link in the middle', async (t) => {
    for (const end of [(link: Link) => link, (link: Link) => link.sink]) {
      const { client, server } = await make(t)
      void drain(client.source)
      const [heard] = await Promise.all([hear(server.source), pipe(batches(...CONTENT.map((one) => [one])), end(client) as Link['sink'])])
      t.ok(Buffer.concat(heard).equals(WHOLE))
    }
    const { client, server, halfClose } = await make(t)
    if (!halfClose) return
    const echoing = echoes(server)
    const heard = await pipe(batches(...CONTENT.map((one) => [one])), client, hear)
    t.ok(Buffer.concat(heard).equals(WHOLE))
    await echoing
  })

  t.test('stream.pipeline: everything arrives, and both ends are told', async (t) => {
    const { client, server, halfClose } = await make(t)
    const [a, b] = streamsOf(client, server)
    const heard: Buffer[] = []
    if (halfClose) {
      const into = new Writable({ write (chunk, _encoding, done) { heard.push(chunk); done() } })
      await Promise.all([pipeline(b, b), pipeline(Readable.from(CONTENT), a, into)])
    } else {
      a.resume()
      await Promise.all([pipeline(Readable.from(CONTENT), a), pipeline(b, new Writable({ write (chunk, _encoding, done) { heard.push(chunk); done() } }))])
    }
    t.ok(Buffer.concat(heard).equals(WHOLE))
  })

  t.test('a stream whose reader does not read stops its writer, and goes on', async (t) => {
    const { client, server } = await make(t)
    const [a, b] = streamsOf(client, server)
    a.resume()
    const [count, size] = [2560, 16_384] // 40 MiB: more than the kernel takes
    let pulled = 0
    const source = Readable.from((function * () { for (; pulled < count; pulled++) yield bytes(size, pulled) })(), { highWaterMark: 1 })
    const written = pipeline(source, a)
    await standstill(() => pulled)
    t.ok(pulled < count, `stopped after ${pulled} of ${count}`)
    let length = 0
    for await (const chunk of b) length += chunk.length
    await written
    t.equal(length, count * size)
  })

  t.test('a stream that is destroyed aborts its link, and a broken link destroys its stream', async (t) => {
    const { client, server, tellsAborts = true } = await make(t)
    const [a, b] = streamsOf(client, server)
    const reason = new Error('enough')
    let heard = 0
    const ended = pipeline(b, new Writable({ write (chunk, _encoding, done) { heard += chunk.length; done() } })).then(() => 'end', () => 'failure')
    a.write('before')
    await until(() => heard > 0) // a reset that comes with what was sent before is an end to some systems
    a.destroy(reason)
    t.equal(await failureOf(hear(client.source)), reason)
    t.equal(await ended, tellsAborts ? 'failure' : 'end')
    if (tellsAborts) t.ok(b.destroyed)
  })

  t.test('a reader that is called stops when its signal says so, and the next one misses nothing', async (t) => {
    const { client, server } = await make(t)
    void drain(client.source)
    const controller = new AbortController()
    const heard: Buffer[] = []
    const take = (batch: Batch): void => { heard.push(...batch.map((one) => Buffer.from(one))) }
    const first = consume(server, take, controller.signal)
    client.port.send([Buffer.from('first')])
    await until(() => Buffer.concat(heard).length === 5)
    controller.abort()
    await first
    client.port.send([Buffer.from('second')])
    await consume(server, take, AbortSignal.abort())
    t.equal(Buffer.concat(heard).toString(), 'first')
    client.port.send([Buffer.from('third')])
    const rest = consume(server, take)
    await client.sink(batches())
    await rest
    t.equal(Buffer.concat(heard).toString(), 'firstsecondthird')
  })

  t.test('a reader that is busy when its signal comes is done first', async (t) => {
    const { client, server } = await make(t)
    const controller = new AbortController()
    const taken: string[] = []
    let isOver = false
    let goOn: () => void = () => {}
    const reading = consume(server, (batch) => {
      taken.push(Buffer.concat(batch).toString())
      return new Promise<void>((resolve) => { goOn = resolve })
    }, controller.signal).then(() => { isOver = true })
    client.port.send([Buffer.from('first')])
    await until(() => taken.length === 1)
    controller.abort()
    for (let i = 0; i < 20; i++) await turn()
    t.equal(isOver, false)
    goOn()
    await reading
    t.same(taken, ['first'])
  })
}
