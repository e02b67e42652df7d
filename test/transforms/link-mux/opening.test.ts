/** Opening links, refusing them, giving up, ids, and the end of the connection. */
import { getEventListeners } from 'node:events'
import t from 'tap'
import { failureOf, hear, hearText, batches, texts, drain, bytes, first, turn, until, nothing, idle, standstill } from '../../helpers/ends.ts'
import { ManualClock } from '../../helpers/clock.ts'
import { linkPair, muxPair, OK, rawPeer, type BytesOpening } from '../../helpers/transforms/link-mux.ts'
import { LinkResetError } from '../../../src/errors.ts'
import { wrapLink } from '../../../src/streams/wrap-link.ts'
import { linkMux, LinkRefusedError, ResetCode, compactMux, type MuxLink } from '../../../src/transforms/link-mux/index.ts'
import { CompactEncoder } from '../../../src/transforms/link-mux/encode.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import type { Batch } from '../../../src/types.ts'

const ask = Buffer.from('ask')
const boom = new Error('boom')

t.test('request and response arrive, from either side', async (t) => {
  const asked: string[] = []
  const onOpen = (opening: BytesOpening): void => {
    asked.push(Buffer.from(opening.request).toString())
    opening.accept(Buffer.concat([Buffer.from('yes, '), opening.request]))
  }
  const lower = memoryPair()
  const a = linkMux({ codec: compactMux({ role: 'client' }), onOpen })(lower[0])
  const b = linkMux({ codec: compactMux({ role: 'server' }), onOpen })(lower[1])
  const [one, two] = await Promise.all([a.open(Buffer.from('one')), b.open(Buffer.from('two'))])
  t.same([one.response, two.response].map((bytes) => Buffer.from(bytes).toString()), ['yes, one', 'yes, two'])
  t.same(asked.sort(), ['one', 'two'])
  t.same([one.id, two.id], [1, 2])
  t.same([a.links, b.links, a.halfOpen, b.halfOpen], [2, 2, 0, 0])
  a.abort(boom)
  t.equal(await a.ended, boom)
  await b.ended
  t.same([a.links, b.links], [0, 0])
})

t.test('refusals carry code and response', async (t) => {
  const answers: Array<(opening: BytesOpening) => Promise<void> | void> = [
    (opening) => { opening.reject() },
    (opening) => { opening.reject(70, Buffer.from('no such port')) },
    () => { throw boom },
    async () => { throw boom }
  ]
  const { client, server } = muxPair(t, { onOpen: (opening) => answers.shift()?.(opening) })
  for (const [reason, response] of [[ResetCode.REFUSED], [70, 'no such port'], [ResetCode.INTERNAL], [ResetCode.INTERNAL]] as const) {
    const err = await failureOf(client.open(ask)) as LinkRefusedError<Uint8Array>
    t.ok(err instanceof LinkRefusedError)
    t.match(err, { code: 'ERR_LINK_REFUSED', reason })
    t.equal(err.response === undefined ? undefined : Buffer.from(err.response).toString(), response)
  }
  t.same([client.links, client.halfOpen, server.links, server.halfOpen], [0, 0, 0, 0])
  const bare = linkMux({ codec: compactMux({ role: 'server' }) })
  const lower = memoryPair()
  bare(lower[1])
  const asking = linkMux({ codec: compactMux({ role: 'client' }) })(lower[0])
  t.match(await failureOf(asking.open(ask)), { code: 'ERR_LINK_REFUSED', reason: ResetCode.REFUSED }, 'nobody handles them')
  asking.abort(boom)
})

t.test('a handler that fails behind its answer aborts the link', async (t) => {
  const { client } = muxPair(t, {
    async onOpen (opening) {
      opening.accept(OK)
      throw new LinkResetError('no more', 77)
    }
  })
  const link = await client.open(ask)
  t.match(await failureOf(hear(link.source)), { code: 'ERR_LINK_RESET', reason: 77 })
})

t.test('giving up: the other side is told, and its answer comes too late', async (t) => {
  const { mux, openings, send, next } = rawPeer(t, { role: 'client' })
  const controller = new AbortController()
  const opening = failureOf(mux.open(ask, { signal: controller.signal }))
  t.same(await next(1), ['open 1 window 262144 ask'])
  controller.abort(boom)
  t.equal(await opening, boom)
  t.same(await next(1), ['reset 1 code 1'])
  t.equal(getEventListeners(controller.signal, 'abort').length, 0)
  send((frames) => {
    frames.accept(1, OK, 1000)
    frames.data(1, OK)
    frames.reset(1, 3)
    frames.reset(1, 3)
    frames.open(2, ask, 1000)
  })
  await until(() => openings.length === 1)
  t.same([mux.links, mux.halfOpen], [0, 1])
  t.equal(await failureOf(mux.open(ask, { signal: AbortSignal.abort(boom) })), boom)
})

t.test('the opener gives up before the answer', async (t) => {
  const { mux, openings, send, next } = rawPeer(t)
  send((frames) => {
    frames.open(1, ask, 1000)
    frames.open(3, ask, 1000)
    frames.reset(1, ResetCode.CANCELLED)
  })
  await until(() => openings.length === 2 && !openings[0].isPending)
  t.ok(openings[0].signal.aborted)
  t.notOk(openings[1].signal.aborted)
  t.throws(() => openings[0].accept(OK), { code: 'ERR_LINK_CLOSED' })
  openings[0].reject()
  openings[1].accept(OK)
  t.throws(() => openings[1].accept(OK), { code: 'ERR_LINK_CLOSED' })
  openings[1].reject()
  t.same(await next(1), ['accept 3 window 262144 ok'], 'and no word of the other one')
  t.equal(mux.halfOpen, 0)
})

t.test('limits: half-open links of each side, links in all', async (t) => {
  const { mux, openings, send, next } = rawPeer(t, { maxLinks: 5, maxHalfOpen: 2 })
  send((frames) => { for (const id of [1, 3, 5]) frames.open(id, ask, 1000) })
  t.same(await next(1), ['reject 5 code 3'])
  const own = [mux.open(ask), mux.open(ask)]
  t.match(await failureOf(mux.open(ask)), { code: 'ERR_LINK_LIMIT' })
  t.same(await next(2), ['open 2 window 262144 ask', 'open 4 window 262144 ask'])
  for (const opening of openings) opening.accept(OK)
  await next(2)
  send((frames) => { for (const id of [7, 9]) frames.open(id, ask, 1000) })
  t.same(await next(1), ['reject 9 code 3'], 'five in all')
  send((frames) => {
    frames.accept(2, OK, 1000)
    frames.reject(4, 2, undefined)
    frames.reset(1, 1)
  })
  t.equal((await own[0]).id, 2)
  t.match(await failureOf(own[1]), { code: 'ERR_LINK_REFUSED' })
  t.same([mux.links, mux.halfOpen], [2, 1])
  send((frames) => { frames.open(11, ask, 1000) })
  await until(() => openings.length === 4)
})

t.test('ids: wrong parity, used before, not larger than the last', async (t) => {
  const { mux, openings, send, next } = rawPeer(t)
  const links: MuxLink[] = []
  send((frames) => {
    frames.open(5, ask, 1000)
    frames.open(2, ask, 1000)
    frames.open(3, ask, 1000)
    frames.open(5, ask, 1000)
  })
  t.same(await next(3), ['reject 2 code 4', 'reject 3 code 4', 'reject 5 code 4'])
  links.push(openings[0].accept(OK))
  send((frames) => { frames.open(5, ask, 1000) })
  t.same(await next(2), ['accept 5 window 262144 ok', 'reject 5 code 4'])
  send((frames) => { frames.data(5, Buffer.from('hello')) })
  t.equal((await first(links[0].source)).toString(), 'hello', 'the link is unharmed')
  t.equal(mux.links, 1)
})

t.test('frames for links that are unknown, or not accepted yet', async (t) => {
  const { mux, openings, send, next } = rawPeer(t)
  send((frames) => {
    frames.data(9, ask)
    frames.data(9, ask)
    frames.window(9, 1)
    frames.end(11)
    frames.accept(13, ask, 1)
    frames.reject(15, 1, undefined)
    frames.reset(17, 1)
    frames.open(1, ask, 1000)
    frames.data(1, ask)
  })
  t.same(await next(4), ['reset 9 code 7', 'reset 11 code 7', 'reset 13 code 7', 'reset 1 code 4'])
  t.notOk(openings[0].isPending)
  const opening = failureOf(mux.open(ask))
  await next(1)
  send((frames) => { frames.window(2, 5) })
  t.match(await opening, { code: 'ERR_MUX_PROTOCOL' })
  t.same(await next(1), ['reset 2 code 4'])
  t.same([mux.links, mux.halfOpen], [0, 0])
})

t.test('frames that a link must not get', async (t) => {
  const cases: Array<[what: string, send: Parameters<ReturnType<typeof rawPeer>['send']>[0], code: string, reset: string]> = [
    ['a second accept', (frames) => { frames.accept(1, OK, 1) }, 'ERR_MUX_PROTOCOL', 'reset 1 code 4'],
    ['a reject', (frames) => { frames.reject(1, 2, undefined) }, 'ERR_MUX_PROTOCOL', 'reset 1 code 4'],
    ['data behind its end', (frames) => { frames.end(1); frames.data(1, OK) }, 'ERR_MUX_PROTOCOL', 'reset 1 code 4'],
    ['two ends', (frames) => { frames.end(1); frames.end(1) }, 'ERR_MUX_PROTOCOL', 'reset 1 code 4'],
    ['data beyond the credit', (frames) => { frames.data(1, new Uint8Array(60)); frames.data(1, new Uint8Array(41)) }, 'ERR_MUX_CREDIT', 'reset 1 code 5'],
    ['too much credit', (frames) => { frames.window(1, 0xffff_ffff) }, 'ERR_MUX_CREDIT', 'reset 1 code 5']
  ]
  for (const [what, send, code, reset] of cases) {
    const peer = rawPeer(t, { window: 100 })
    peer.send((frames) => { frames.open(1, ask, 1000); frames.open(3, ask, 1000) })
    await until(() => peer.openings.length === 2)
    const [link, other] = peer.openings.map((opening) => opening.accept(OK))
    t.same(await peer.next(2), ['accept 1 window 100 ok', 'accept 3 window 100 ok'])
    peer.send(send)
    t.same(await peer.next(1), [reset], what)
    t.match(await failureOf(link.sink(nothing())), { code }, what)
    t.ok(['ERR_MUX_PROTOCOL', 'ERR_MUX_CREDIT', undefined].includes((await drain(link.source) as { code?: string })?.code))
    peer.send((frames) => { frames.data(3, Buffer.from('on')); frames.end(3) })
    t.equal(await hearText(other.source), 'on', 'the other link goes on')
  }
  const peer = rawPeer(t)
  peer.send((frames) => { frames.open(1, ask, undefined); frames.open(3, ask, undefined) })
  await until(() => peer.openings.length === 2)
  for (const opening of peer.openings) opening.accept(OK)
  t.same(await peer.next(2), ['accept 1 window 0 ok', 'accept 3 window 0 ok'])
  peer.send((frames) => { frames.window(1, 5); frames.end(3) })
  t.same(await peer.next(2), ['reset 1 code 4', 'reset 3 code 4'], 'of links without credit')
})

t.test('a reset behind an end: what was sent before can be read', async (t) => {
  const { mux, openings, send, next } = rawPeer(t)
  send((frames) => { frames.open(1, ask, 1000) })
  await until(() => openings.length === 1)
  const link = openings[0].accept(OK)
  await next(1)
  send((frames) => {
    frames.data(1, Buffer.from('the rest'))
    frames.end(1)
    frames.reset(1, ResetCode.CANCELLED)
    frames.data(1, Buffer.from('nothing'))
  })
  t.match(await failureOf(link.sink(idle().source)), { code: 'ERR_LINK_RESET', reason: ResetCode.CANCELLED })
  t.equal(mux.links, 1)
  t.equal(await hearText(link.source), 'the rest')
  t.equal(mux.links, 0)
})

t.test('the largest credit', async (t) => {
  const { openings, send, next } = rawPeer(t)
  send((frames) => { frames.open(1, ask, 1); frames.open(3, ask, 0xffff_ffff) })
  await until(() => openings.length === 2)
  const links = openings.map((opening) => opening.accept(OK))
  await next(2)
  send((frames) => { frames.window(1, 0xffff_fffe); frames.window(3, 1) })
  t.same(await next(1), ['reset 3 code 5'])
  t.equal(links[0].port.send(texts('hello')), 1)
  t.same(await next(1), ['data 1 hello'])
})

t.test('what breaks the framing ends the connection', async (t) => {
  const peer = rawPeer(t)
  peer.send((frames) => { frames.open(1, ask, 1000) })
  await until(() => peer.openings.length === 1)
  const link = peer.openings[0].accept(OK)
  const opening = failureOf(peer.mux.open(ask))
  peer.link.port.send([Buffer.from('0b016f0f00', 'hex')])
  t.match(await peer.mux.ended, { code: 'ERR_MUX_PROTOCOL' })
  t.match(await opening, { code: 'ERR_MUX_PROTOCOL' })
  t.match(await failureOf(hear(link.source)), { code: 'ERR_MUX_PROTOCOL' })
  t.match(await failureOf(peer.mux.open(ask)), { code: 'ERR_LINK_CLOSED' })
  await until(() => peer.heard.includes('the end'))
})

t.test('answers that nobody reads: nothing more is read until they are written, and nothing is lost', async (t) => {
  const kinds: Record<string, (frames: CompactEncoder, id: number) => void> = {
    'openings that are refused': (frames, id) => { frames.open(id, bytes(100), 1000) },
    'openings that are accepted and given up': (frames, id) => { frames.open(id, bytes(100), 1000); frames.reset(id, 1) },
    'frames of unknown links': (frames, id) => { frames.data(id, bytes(100)) }
  }
  for (const [what, encode] of Object.entries(kinds)) {
    let release = (): void => {}
    const released = new Promise<void>((resolve) => { release = resolve })
    const lower = memoryPair()
    const held = wrapLink(lower[1], { sink: async (source: AsyncIterable<Batch>) => { await released; await lower[1].sink(source) } })
    const peer = rawPeer(t, { lower: [lower[0], held], onOpen: (opening) => { opening.accept(OK) }, maxLinks: 100 })
    let said = 0
    const encoder = new CompactEncoder()
    lower[0].sink((async function * () {
      for (let batch = 0; batch < 200; batch++) {
        for (let i = 0; i < 100; i++) encode(encoder, 1 + 2 * said++)
        yield encoder.take()
      }
      await new Promise(() => {}) // the connection does not end
    })()).catch(() => {})
    await standstill(() => said)
    t.ok(said > 8192 && said < 15_000, `${what}: ${said} were taken`)
    t.equal(await failureOf(Promise.race([peer.mux.ended, Promise.reject(boom)])), boom, `${what}: the connection goes on`)
    release()
    await until(() => peer.heard.length === 20_000)
  }
})

t.test('close: what is open goes on, then the connection ends', async (t) => {
  const { client, server, muxes } = await linkPair(t)
  muxes.client.close()
  muxes.client.close()
  t.match(await failureOf(muxes.client.open(ask)), { code: 'ERR_LINK_CLOSED' })
  const [heard] = await Promise.all([hearText(server.source), client.sink(batches(texts('last words')))])
  t.equal(heard, 'last words')
  t.match(await failureOf(muxes.server.open(ask)), { code: 'ERR_LINK_REFUSED' })
  const [answer] = await Promise.all([hearText(client.source), server.sink(batches(texts('heard')))])
  t.equal(answer, 'heard')
  t.same(await Promise.all([muxes.client.ended, muxes.server.ended]), [undefined, undefined])
})

t.test('close with a reason: the other side is told of the end of each link, and of what was not accepted', async (t) => {
  const { client, server, muxes } = await linkPair(t)
  let signal: AbortSignal | undefined
  const reason = new Error('leaving')
  const other = muxPair(t, { onOpen: (opening) => { signal = opening.signal } })
  const opening = failureOf(other.client.open(ask))
  await until(() => signal !== undefined)
  for (const { client } of [muxes, other]) client.close(reason)
  t.equal(await failureOf(hearText(client.source)), reason)
  t.match(await failureOf(hearText(server.source)), { code: 'ERR_LINK_RESET', reason: 1 })
  t.equal(await opening, reason)
  await until(() => signal?.aborted === true)
  t.same(await Promise.all([muxes, other].flatMap(({ client, server }) => [client.ended, server.ended])), [undefined, undefined, undefined, undefined])
})

t.test('what has arrived can be read behind the end of the connection', async (t) => {
  const { client, server, muxes } = await linkPair(t)
  await Promise.all([client.sink(batches(texts('unread'))), server.sink(nothing())])
  await until(() => muxes.server.unread === 6)
  t.equal(muxes.server.links, 1, 'the link counts until it is read')
  muxes.client.close()
  t.same(await Promise.all([muxes.client.ended, muxes.server.ended]), [undefined, undefined])
  t.equal(await hearText(server.source), 'unread')
  t.same([muxes.server.unread, muxes.server.links], [0, 0])
})

t.test('the connection ends while there are links', async (t) => {
  for (const truncated of [false, true]) {
    const peer = rawPeer(t)
    peer.send((frames) => { frames.open(1, ask, 1000); frames.open(3, ask, 1000) })
    await until(() => peer.openings.length === 2)
    const link = peer.openings[0].accept(OK)
    const { signal } = peer.openings[1]
    const opening = failureOf(peer.mux.open(ask))
    const code = truncated ? 'ERR_TRUNCATED' : 'ERR_LINK_CLOSED'
    await peer.link.sink(batches(truncated ? [Buffer.from('0b05', 'hex')] : []))
    t.match(await peer.mux.ended, { code })
    t.match(await opening, { code })
    t.match(await failureOf(hear(link.source)), { code })
    t.ok(signal.aborted)
    t.notOk(peer.openings[1].isPending)
    peer.openings[1].reject()
  }
})

t.test('the other side does not end a closed connection', async (t) => {
  const clock = new ManualClock()
  const { mux, next } = rawPeer(t, { clock })
  mux.close()
  t.same(await next(1), ['the end'])
  await clock.whenSet(3000)
  clock.advance(3000)
  t.match(await mux.ended, { code: 'ERR_LINK_CLOSED' })
  t.same(clock.waiting, [])
})

t.test('abort: the reason of a LinkResetError arrives, any other error is a cancellation', async (t) => {
  for (const [err, reason] of [[new LinkResetError('enough', 99), 99], [new LinkResetError('enough', 0), 1], [new LinkResetError('enough'), 1], [boom, 1]] as const) {
    const { client, server, muxes } = await linkPair(t)
    const writing = failureOf(server.sink((async function * () { await turn(); yield texts('x'); await new Promise(() => {}) })()))
    client.abort(err)
    t.match(await writing, { code: 'ERR_LINK_RESET', reason })
    t.match(await failureOf(hear(server.source)), { code: 'ERR_LINK_RESET', reason })
    t.equal(await failureOf(hear(client.source)), err)
    await until(() => muxes.client.links + muxes.server.links === 0)
  }
})

t.test('limits that cannot be', async (t) => {
  const codec = compactMux({ role: 'client' })
  for (const name of ['window', 'maxWindow', 'maxUnread', 'maxLinks', 'maxHalfOpen', 'maxMessages', 'queueLimit', 'stallTimeout', 'closeTimeout']) {
    for (const value of [0, -1, 1.5, NaN, Infinity]) t.throws(() => linkMux({ codec, [name]: value }), { code: 'ERR_OPTION' }, `${name} ${value}`)
  }
  for (const limits of [{ window: 2 ** 32 }, { maxWindow: 2 ** 32 }, { window: 1000, maxWindow: 999 }]) t.throws(() => linkMux({ codec, ...limits }), { code: 'ERR_OPTION' })
  linkMux({ codec, window: 2 ** 32 - 1 })
})
