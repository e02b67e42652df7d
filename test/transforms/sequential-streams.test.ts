/** One link after another over one connection: each as good as a connection of its own. */
import t, { type Test } from 'tap'
import fc from 'fast-check'
import { MAX_STREAM_HEADER, SequentialStreams } from '../../src/transforms/sequential-streams/index.ts'
import { LinkResetError } from '../../src/errors.ts'
import { memoryPair } from '../../src/transports/memory/index.ts'
import { bridge } from '../../src/streams/bridge.ts'
import type { Batch, Link } from '../../src/types.ts'
import { batches, failureOf, first, hear, idle, nothing, standstill, texts } from '../helpers/ends.ts'
import { pieces, recordingLink } from '../helpers/links.ts'

const OPENING = Buffer.from('{}')

/** The same link, whose reads come in pieces of other sizes. */
function cut (link: Link, sizes: number[]): Link {
  async function * source (): AsyncGenerator<Batch> {
    for await (const batch of link.source) for (const piece of pieces(Buffer.concat(batch), sizes)) yield [piece]
  }
  return { source: source(), sink: (from) => link.sink(from), port: link.port, abort: (err) => { link.abort(err) } }
}

function pair (t: Test, sizes?: number[]): { server: SequentialStreams, client: SequentialStreams, lower: [Link, Link] } {
  const lower = memoryPair()
  const [a, b] = sizes === undefined ? lower : [cut(lower[0], sizes), cut(lower[1], sizes)]
  const [server, client] = [new SequentialStreams(a), new SequentialStreams(b)]
  t.teardown(() => { for (const streams of [server, client]) streams.abort(new Error('the test is over')) })
  return { server, client, lower }
}

/** So many bytes of a source that goes on afterwards. */
async function hearSome (source: AsyncIterable<Batch>, bytes: number): Promise<string> {
  let text = ''
  while (text.length < bytes) text += (await first(source)).toString()
  return text
}

async function next (client: SequentialStreams): Promise<{ header: Uint8Array, link: Link }> {
  const opened = await client.accept()
  if (opened === undefined) throw new Error('there is no next link')
  return opened
}

t.test('property: any number of links, any content, any cuts', async (t) => {
  const content = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 })
  await fc.assert(fc.asyncProperty(
    fc.array(fc.record({ header: fc.uint8Array({ minLength: 1, maxLength: 50 }), up: content, down: content }), { minLength: 1, maxLength: 5 }),
    fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 5 }),
    async (uses, sizes) => {
      const { server, client } = pair(t, sizes)
      for (const { header, up, down } of uses) {
        const begun = server.open(header)
        const { header: told, link } = await next(client)
        t.same(Buffer.from(told), Buffer.from(header))
        const [gotUp, gotDown] = await Promise.all([hear(link.source), hear(begun.source), begun.sink(batches(...up.map((bytes) => [bytes]))), link.sink(batches(down))])
        t.same(Buffer.concat(gotUp), Buffer.concat(up))
        t.same(Buffer.concat(gotDown), Buffer.concat(down))
        t.ok(server.isIdle && client.isIdle)
      }
      server.close()
      t.equal(await client.accept(), undefined)
      await Promise.all([server.ended, client.ended])
    }
  ), { numRuns: 50 })
})

t.test('the bytes on the wire', async (t) => {
  const link = recordingLink()
  const streams = new SequentialStreams(link)
  await streams.open(OPENING).sink(batches(texts('ab', 'c'), [], texts('')))
  streams.close()
  await streams.ended
  t.equal(Buffer.concat(link.sent.flat()).toString('hex'), '000000027b7d' + '00000003616263' + '00000000')
})

t.test('one direction ends, the other goes on', async (t) => {
  const { server, client } = pair(t)
  const user = server.open(OPENING)
  const asked = user.sink(batches(texts('question')))
  const { link } = await next(client)
  t.equal(Buffer.concat(await hear(link.source)).toString(), 'question')
  await asked
  t.notOk(server.isIdle)
  await Promise.all([link.sink(batches(texts('answer'))), hear(user.source).then((got) => { t.equal(Buffer.concat(got).toString(), 'answer') })])
  t.ok(server.isIdle)
})

for (const who of ['the side that began', 'the other side'] as const) {
  t.test(`a reset by ${who} ends the link and not the connection`, async (t) => {
    const { server, client } = pair(t)
    const begun = server.open(OPENING)
    const { link } = await next(client)
    const [here, there] = who === 'the side that began' ? [begun, link] : [link, begun]
    const stalled = idle()
    const writing = there.sink(stalled.source)
    stalled.source.push(Buffer.alloc(100_000))
    here.abort(new Error('enough'))
    t.match(await failureOf(hear(there.source)), LinkResetError)
    there.abort(new Error('so be it')) // as a bridge does
    t.match(await failureOf(writing), { message: 'so be it' })
    t.match(await failureOf(hear(here.source)), { message: 'enough' })
    const again = server.isIdle ? server : await new Promise<SequentialStreams>((resolve) => { server.onIdle = () => { resolve(server) } })
    const other = again.open(OPENING)
    const opened = await next(client)
    await Promise.all([other.sink(batches(texts('new'))), opened.link.sink(nothing())])
    t.equal(Buffer.concat(await hear(opened.link.source)).toString(), 'new')
  })
}

t.test('a reset while a bridge reads, over and over', async (t) => {
  const { server, client } = pair(t, [7])
  for (let round = 0; round < 20; round++) {
    const [user, outside] = memoryPair()
    const carried = bridge(user, server.open(OPENING)).catch(() => {})
    const { link } = await next(client)
    const [service, inside] = memoryPair()
    const served = bridge(link, service).catch(() => {})
    outside.port.send(texts(`no ${round + 10}`))
    t.equal(await hearSome(inside.source, 5), `no ${round + 10}`)
    const end = round % 2 === 0 ? outside : inside
    inside.port.send([Buffer.alloc(10_000)])
    end.abort(new Error('gone'))
    await Promise.all([carried, served])
    if (!server.isIdle) await new Promise<void>((resolve) => { server.onIdle = resolve })
  }
  t.ok(server.isIdle)
})

t.test('back-pressure reaches the other end', async (t) => {
  const { server, client } = pair(t)
  const user = server.open(OPENING)
  const { link } = await next(client)
  let given = 0
  async function * flood (): AsyncGenerator<Batch> {
    for (;;) {
      given += 65_536
      yield [Buffer.alloc(65_536)]
    }
  }
  const flooding = user.sink(flood())
  await standstill(() => given)
  t.ok(given < 2 * 1024 * 1024, `${given} bytes were taken for a reader that does not read`)
  user.abort(new Error('enough'))
  t.match(await failureOf(flooding), { message: 'enough' })
  link.abort(new Error('enough'))
})

t.test('a connection that ends inside a link breaks that link', async (t) => {
  const { server, client, lower } = pair(t)
  const user = server.open(OPENING)
  const { link } = await next(client)
  const stalled = idle()
  const writing = link.sink(stalled.source)
  lower[0].abort(new Error('cable cut'))
  t.match(await failureOf(hear(user.source)), { message: 'cable cut' })
  t.ok(await failureOf(hear(link.source)))
  t.ok(await failureOf(writing))
  await Promise.all([server.ended, client.ended])
})

t.test('who waits between two links notices the end, and what should not come', async (t) => {
  const { server, client } = pair(t)
  server.watchForClose()
  client.close()
  await server.ended
  const other = pair(t)
  other.server.watchForClose()
  other.client.open(OPENING)
  await other.server.ended
  t.pass('nobody may speak before a link is begun')
})

t.test('what breaks the protocol is an error', async (t) => {
  const opened = async (hex: string): Promise<Error & { code?: string }> => {
    const streams = new SequentialStreams(recordingLink([[Buffer.from(hex, 'hex')]]))
    return await failureOf(streams.accept())
  }
  t.match(await opened('00000000'), { code: 'ERR_LINK_RESET' })
  t.match(await opened('ffffffff'), { code: 'ERR_LINK_RESET' })
  t.match(await opened('00001001'), { code: 'ERR_FRAME_SIZE' })
  t.match(await opened('fffffffe'), { code: 'ERR_FRAME_SIZE' })
  t.match(await opened('0000'), { code: 'ERR_TRUNCATED' })
  t.match(await opened('000000027b'), { code: 'ERR_TRUNCATED' })
  const streams = new SequentialStreams(recordingLink())
  t.throws(() => streams.open(new Uint8Array(0)), { code: 'ERR_FRAME_SIZE' })
  t.throws(() => streams.open(Buffer.alloc(MAX_STREAM_HEADER + 1)), { code: 'ERR_FRAME_SIZE' })
  const link = streams.open(OPENING)
  t.throws(() => streams.open(OPENING), { code: 'ERR_LINK_BUSY' })
  t.equal(link.port.send(texts('a packet')), 0)
})

function acknowledging (t: Test, sizes?: number[]): { server: SequentialStreams, client: SequentialStreams } {
  const lower = memoryPair()
  const [a, b] = sizes === undefined ? lower : [cut(lower[0], sizes), cut(lower[1], sizes)]
  const [server, client] = [new SequentialStreams(a, { acknowledges: true }), new SequentialStreams(b, { acknowledges: true })]
  t.teardown(() => { for (const streams of [server, client]) streams.abort(new Error('the test is over')) })
  return { server, client }
}

t.test('the word that an opening has arrived: on the wire, once for each link, and in front of all else', async (t) => {
  const header = Buffer.from('000000027b7d', 'hex')
  const end = Buffer.from('00000000', 'hex')
  const link = recordingLink([[header, end], [header, end]])
  const streams = new SequentialStreams(link, { acknowledges: true })
  for (let i = 0; i < 2; i++) {
    const { link } = await next(streams)
    await Promise.all([link.sink(batches(texts('ab'))), hear(link.source)])
  }
  streams.close()
  await streams.ended
  t.equal(Buffer.concat(link.sent.flat()).toString('hex'), ('fffffffe' + '000000026162' + '00000000').repeat(2))
})

t.test('the word goes by itself when the other side says nothing, and is heard once, however it is cut', async (t) => {
  for (const sizes of [undefined, [1], [3, 2]]) {
    const { server, client } = acknowledging(t, sizes)
    for (let round = 0; round < 3; round++) {
      let answers = 0
      const begun = server.open(OPENING, () => { answers++ })
      const { link } = await next(client)
      await server.acknowledged()
      t.equal(answers, 1, 'before anybody has said anything')
      await server.acknowledged()
      const [gotUp, gotDown] = await Promise.all([hear(link.source), hear(begun.source), begun.sink(batches(texts('up'))), link.sink(batches(texts('down')))])
      t.same([Buffer.concat(gotUp).toString(), Buffer.concat(gotDown).toString(), answers], ['up', 'down', 1])
    }
  }
})

t.test('whoever reads learns of the word as well, and gets none of it', async (t) => {
  const { server, client } = acknowledging(t)
  let answers = 0
  const begun = server.open(OPENING, () => { answers++ })
  const { link } = await next(client)
  const heard = hear(begun.source)
  await Promise.all([link.sink(batches(texts('down'))), begun.sink(nothing()), hear(link.source)])
  t.same([Buffer.concat(await heard).toString(), answers], ['down', 1])
})

t.test('the word is none where it was not agreed on, nor a second time, and what ends instead of it is an error', async (t) => {
  const word = Buffer.from('fffffffe', 'hex')
  const payload = Buffer.from('0000000161', 'hex')
  const answered = async (acknowledges: boolean, ...reads: Batch): Promise<Buffer[]> => {
    const streams = new SequentialStreams(recordingLink([reads]), { acknowledges })
    const begun = streams.open(OPENING)
    const all: Buffer[] = []
    try {
      for await (const batch of begun.source) all.push(...batch.map((bytes) => Buffer.from(bytes)))
    } catch (err) {
      t.match(err, { code: 'ERR_LINK_CLOSED' })
    }
    return all
  }
  t.equal(Buffer.concat(await answered(true, word, payload)).toString(), 'a')
  t.equal(Buffer.concat(await answered(true, payload)).toString(), 'a', 'whatever else comes first says as much')
  for (const [acknowledges, reads] of [[false, [word, payload]], [true, [word, word, payload]]] as const) {
    t.equal(Buffer.concat(await answered(acknowledges, ...reads)).toString('hex'), payload.toString('hex'), 'then it is the length of a chunk')
  }
  const streams = new SequentialStreams(recordingLink([[]]), { acknowledges: true })
  streams.open(OPENING)
  t.match(await failureOf(streams.acknowledged()), { code: 'ERR_LINK_CLOSED', message: /before an opening was acknowledged/ })
})
