/** A wire format of another kind: message objects, ids that are text, and a peer that may know neither credit nor half-close. */
import t, { type Test } from 'tap'
import { batches, bytes, failureOf, hear, hearText, idle, nothing, texts, until } from '../../helpers/ends.ts'
import { objectPair } from '../../helpers/transforms/link-mux.ts'
import { linkMux, type LinkMux, type MuxCodec, type MuxLink, type Opening } from '../../../src/transforms/link-mux/index.ts'
import type { Link } from '../../../src/types.ts'

interface Request { to: string, window?: number }
interface Response { ok: boolean, text: string, window?: number }
type Message =
  | { type: 'connect', link: string, request: Request }
  | { type: 'connected', link: string, response: Response }
  | { type: 'bytes', link: string, bytes: Uint8Array }
  | { type: 'credit', link: string, bytes: number }
  | { type: 'end', link: string }
  | { type: 'disconnect', link: string }

type ObjectLink = Link<Message>

/** @param knowsCredit an original peer does not; it learns by the field of a request whether the other side does */
function textCodec (name: string, knowsCredit: boolean): () => MuxCodec<string, Request, Response, Message> {
  return () => {
    let out: Message[] = []
    let count = 0
    return {
      maxData: 60_000,
      maxMessage: 64_000,
      encoder: {
        open: (link, request, window) => { out.push({ type: 'connect', link, request: knowsCredit ? { ...request, window } : request }) },
        accept: (link, response, window) => { out.push({ type: 'connected', link, response: knowsCredit ? { ...response, window } : response }) },
        reject: (link, _code, response) => { out.push({ type: 'connected', link, response: { ok: false, text: response?.text ?? 'refused' } }) },
        data: (link, bytes) => { out.push({ type: 'bytes', link, bytes: Uint8Array.from(bytes) }) },
        window: (link, bytes) => { out.push({ type: 'credit', link, bytes }) },
        end: (link) => { out.push({ type: 'end', link }) },
        reset: (link) => { out.push({ type: 'disconnect', link }) },
        take () {
          const taken = out
          out = []
          return taken
        }
      },
      decoder: {
        push (batch, frames) {
          for (const message of batch) {
            const { link } = message
            if (message.type === 'connect') frames.open(link, message.request, knowsCredit ? message.request.window : undefined)
            else if (message.type === 'bytes') frames.data(link, message.bytes)
            else if (message.type === 'credit') frames.window(link, message.bytes)
            else if (message.type === 'end') frames.end(link)
            else if (message.type === 'disconnect') frames.reset(link, 0)
            else if (message.response.ok) frames.accept(link, message.response, knowsCredit ? message.response.window : undefined)
            else frames.reject(link, 2, message.response)
          }
        },
        end () {}
      },
      nextId: () => `${name}-${++count}`,
      mayOpen: () => true
    }
  }
}

interface Sides {
  a: LinkMux<Request, Response>
  b: LinkMux<Request, Response>
  openings: Array<Opening<Request, Response>>
  lower: [ObjectLink, ObjectLink]
}

function sides (t: Test, knows: [boolean, boolean], answer?: (opening: Opening<Request, Response>) => void): Sides {
  const lower = objectPair<Message>()
  const openings: Array<Opening<Request, Response>> = []
  const a = linkMux({ codec: textCodec('a', knows[0]) })(lower[0])
  const b = linkMux({ codec: textCodec('b', knows[1]), onOpen: answer ?? ((opening) => { openings.push(opening) }) })(lower[1])
  t.teardown(() => {
    a.abort(new Error('the test is over'))
    b.abort(new Error('the test is over'))
  })
  return { a, b, openings, lower }
}

async function pair (t: Test, knows: [boolean, boolean]): Promise<[MuxLink, MuxLink]> {
  const { a, openings } = sides(t, knows)
  const opening = a.open({ to: 'shell' })
  await until(() => openings.length === 1)
  const server = openings[0].accept({ ok: true, text: '' })
  return [await opening, server]
}

t.test('both know credit: half-close works', async (t) => {
  const [client, server] = await pair(t, [true, true])
  t.same([client.id, client.halfClose, server.halfClose], ['a-1', true, true])
  await client.sink(batches(texts('request')))
  t.equal(await hearText(server.source), 'request')
  const [answer] = await Promise.all([hearText(client.source), server.sink(batches(texts('answer')))])
  t.equal(answer, 'answer')
})

t.test('one side does not know credit: the link has neither, and its end ends both directions', async (t) => {
  for (const knows of [[true, false], [false, true], [false, false]] as Array<[boolean, boolean]>) {
    const [client, server] = await pair(t, knows)
    t.same([client.halfClose, server.halfClose], [false, false], String(knows))
    const { source, returned } = idle()
    const idling = failureOf(server.sink(source))
    const big = bytes(500_000, 7)
    const [heard] = await Promise.all([hear(server.source), client.sink(batches([big]))])
    t.ok(Buffer.concat(heard).equals(big))
    t.match(await idling, { code: 'ERR_LINK_CLOSED' })
    await returned
    t.same(await hear(client.source), [])
  }
})

t.test('refused with a text', async (t) => {
  const { a, b } = sides(t, [true, true], (opening) => { opening.reject(2, { ok: false, text: `no ${opening.request.to}` }) })
  t.match(await failureOf(a.open({ to: 'vnc' })), { code: 'ERR_LINK_REFUSED', response: { text: 'no vnc' } })
  t.equal(a.halfOpen + b.halfOpen, 0)
})

t.test('disconnects that come twice, or for unknown links, are ignored; one in place of an answer refuses', async (t) => {
  const { a, openings, lower } = sides(t, [false, false])
  const opening = a.open({ to: 'shell' })
  await until(() => openings.length === 1)
  openings[0].accept({ ok: true, text: '' })
  const link = await opening
  lower[1].port.send([{ type: 'bytes', link: 'a-1', bytes: Buffer.from('bye') }, ...['a-1', 'a-1', 'x', 'y'].map((id): Message => ({ type: 'disconnect', link: id })), { type: 'bytes', link: 'a-1', bytes: bytes(5) }])
  t.equal(await hearText(link.source), 'bye', 'what came before is read')
  t.match(await failureOf(link.sink(nothing())), { code: 'ERR_LINK_CLOSED' })
  const second = failureOf(a.open({ to: 'shell' }))
  await until(() => openings.length === 2)
  lower[1].port.send([{ type: 'disconnect', link: 'a-2' }])
  t.match(await second, { code: 'ERR_LINK_REFUSED', reason: 0 })
  t.equal(a.links, 0)
})

t.test('an id that is in use is refused, and its link goes on', async (t) => {
  const { b, openings, lower } = sides(t, [false, false])
  const connect: Message = { type: 'connect', link: 'mine', request: { to: 'shell' } }
  lower[0].port.send([connect])
  await until(() => openings.length === 1)
  const link = openings[0].accept({ ok: true, text: '' })
  lower[0].port.send([connect, { type: 'bytes', link: 'mine', bytes: Buffer.from('on') }, { type: 'disconnect', link: 'mine' }])
  t.equal(await hearText(link.source), 'on')
  t.equal(openings.length, 1)
  t.equal(b.links, 0)
})

t.test('an id of a link that has ended: opened again where the codec says so, by either side', async (t) => {
  for (const reusesIds of [false, true]) {
    const lower = objectPair<Message>()
    const openings: Array<Opening<Request, Response>> = []
    const codec = (name: string) => () => ({ ...textCodec(name, true)(), reusesIds, nextId: () => 'mine' })
    const a = linkMux({ codec: codec('a') })(lower[0])
    const b = linkMux({ codec: codec('b'), onOpen: (opening) => { openings.push(opening) } })(lower[1])
    t.teardown(() => { for (const mux of [a, b]) mux.abort(new Error('the test is over')) })
    const first = a.open({ to: 'shell' })
    await until(() => openings.length === 1)
    openings[0].accept({ ok: true, text: '' })
    if (reusesIds) t.match(await failureOf(a.open({ to: 'shell' })), { code: 'ERR_MUX_PROTOCOL' }, 'not while it is open')
    ;(await first).abort(new Error('over'))
    await until(() => b.links === 0)
    const again = a.open({ to: 'shell' })
    if (!reusesIds) {
      t.match(await failureOf(again), { code: 'ERR_MUX_PROTOCOL' })
      continue
    }
    await until(() => openings.length === 2)
    const server = openings[1].accept({ ok: true, text: '' })
    const client = await again
    const [heard] = await Promise.all([hearText(server.source), client.sink(batches(texts('again')))])
    t.equal(heard, 'again')
  }
})

t.test('data that is longer than its maximum resets the link', async (t) => {
  const { openings, lower } = sides(t, [false, false])
  lower[0].port.send([{ type: 'connect', link: 'x', request: { to: 'shell' } }])
  await until(() => openings.length === 1)
  const link = openings[0].accept({ ok: true, text: '' })
  lower[0].port.send([{ type: 'bytes', link: 'x', bytes: bytes(60_001) }])
  t.match(await failureOf(hear(link.source)), { code: 'ERR_MUX_PROTOCOL' })
})

t.test('messages may be longer than pieces of a stream, in both directions and without credit', async (t) => {
  for (const knows of [[true, true], [false, true]] as Array<[boolean, boolean]>) {
    const { a, openings, lower } = sides(t, knows)
    const opening = a.open({ to: 'socket' }, { messages: true })
    await until(() => openings.length === 1)
    const server = openings[0].accept({ ok: true, text: '' }, { messages: true })
    const client = await opening
    t.equal(server.credit, knows[0] ? 256 << 10 : Infinity)
    t.equal(client.port.send([bytes(64_001)]), 0)
    t.equal(client.port.send([bytes(64_000), bytes(0)]), 2)
    t.match(await some(server.source, 2), [{ length: 64_000 }, { length: 0 }])
    lower[1].port.send([{ type: 'bytes', link: String(client.id), bytes: bytes(65_000) }])
    t.match(await some(client.source, 1), [{ length: 65_000 }], 'the decoder bounds what comes')
  }
})

async function some (source: AsyncIterable<Uint8Array[]>, count: number): Promise<Uint8Array[]> {
  const heard: Uint8Array[] = []
  const reads = source[Symbol.asyncIterator]()
  while (heard.length < count) heard.push(...(await reads.next()).value)
  return heard
}
