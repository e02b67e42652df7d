/** Connections of any bytes, those that do not take what is written, and other connections below than streams of memory. */
import t from 'tap'
import { cut, mutate, random } from '../../helpers/bytes.ts'
import { ManualClock } from '../../helpers/clock.ts'
import { batches, drain, failureOf, hear, hearText, texts, turn, until } from '../../helpers/ends.ts'
import { recordingLink } from '../../helpers/links.ts'
import { sample } from '../../helpers/sample.ts'
import { linkPair, muxPair, OK, rawPeer, type RawPeer } from '../../helpers/transforms/link-mux.ts'
import { CompactEncoder } from '../../../src/transforms/link-mux/encode.ts'
import { compactMux, linkMux } from '../../../src/transforms/link-mux/index.ts'
import { websocketFrames } from '../../../src/transforms/websocket-frames/index.ts'
import { over, stack } from '../../../src/layer.ts'
import { wrapLink } from '../../../src/streams/wrap-link.ts'
import { lengthPrefix } from '../../../src/transforms/length-prefix.ts'
import { u32be } from '../../../src/transforms/length-codecs.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import type { Batch, Link } from '../../../src/types.ts'
import type { Test } from 'tap'

const ROUNDS = sample('damaged conversations', { short: 1500, long: 100_000 })

/** What a client may say in a conversation with four links. */
function conversation (below: (n: number) => number): Uint8Array {
  const encoder = new CompactEncoder()
  const ask = Buffer.from('ask')
  for (let id = 1; id < 9; id += 2) encoder.open(id, ask, below(3) === 0 ? undefined : 1000)
  for (let i = 0; i < 30; i++) {
    const id = 1 + below(8)
    const frame = below(12)
    if (frame < 6) encoder.data(id, new Uint8Array(below(300)))
    else if (frame === 6) encoder.window(id, below(1000))
    else if (frame === 7) encoder.end(id)
    else if (frame === 8) encoder.reset(id, below(100))
    else if (frame === 9) encoder.accept(2 * id, ask, below(1000))
    else if (frame === 10) encoder.reject(2 * id, below(10), undefined)
    else encoder.open(9 + 2 * i, ask, 1000)
  }
  return Buffer.concat(encoder.take())
}

t.test('damaged conversations: bounded, an error with a code or none, and nothing is left', async (t) => {
  const below = random(11)
  let broken = 0
  for (let round = 0; round < ROUNDS; round++) {
    const wire = mutate(conversation(below), below)
    const lower = recordingLink([...cut(wire, 1 + below(wire.length))].map((piece) => [piece]))
    const clock = new ManualClock()
    const readers: Array<Promise<unknown>> = []
    const mux = linkMux({
      codec: compactMux({ role: 'server' }),
      maxLinks: 10,
      maxHalfOpen: 4,
      window: 500,
      maxWindow: 1000,
      clock,
      onOpen (opening) {
        const how = below(5)
        if (how === 0) opening.reject()
        if (how < 2) return
        const link = opening.accept(OK, { messages: how === 2 })
        if (how < 4) readers.push(drain(link.source), link.sink(batches(texts('answer'))).catch(() => {}))
      }
    })(lower)
    const own = mux.open(OK).catch((err: Error) => err)
    while (!await Promise.race([mux.ended.then(() => true), turn().then(() => false)])) {
      clock.advance(1000)
      if (mux.links + mux.halfOpen > 10 || mux.unread > 10 * 1000) t.fail(`round ${round}: ${mux.links} links, ${mux.unread} bytes`)
      if (lower.sent.length > 0 && mux.links + mux.halfOpen === 0) mux.close()
    }
    const err = await mux.ended as Error & { code?: string } | undefined
    if (err !== undefined && !/^ERR_(MUX|LINK|FRAME|TRUNCATED)/.test(err.code ?? '')) t.fail(`round ${round}: ${String(err)}`)
    if (err !== undefined) broken++
    await Promise.all([own, ...readers])
    if (mux.halfOpen > 0) t.fail(`round ${round}: ${mux.halfOpen} half-open links are left`)
  }
  t.ok(broken > ROUNDS / 10, `${broken} of ${ROUNDS} broken`)
})

t.test('over other connections', async (t) => {
  const layered: Record<string, () => [Link, Link]> = {
    'websocket frames': () => {
      const [a, b] = memoryPair()
      return [over(a, websocketFrames({ role: 'client' })), over(b, websocketFrames({ role: 'server' }))]
    },
    messages: () => memoryPair().map((link) => over(link, stack(lengthPrefix(u32be, { maxFrame: 100_000 })))) as [Link, Link],
    'links of another multiplexer': () => [undefined, undefined] as never
  }
  for (const [name, make] of Object.entries(layered)) {
    const inner = name.startsWith('links') ? await linkPair(t) : undefined
    const lower: [Link, Link] = inner === undefined ? make() : [inner.client, inner.server]
    const { client, server, muxes } = await linkPair(t, { lower })
    const text = 'x'.repeat(300_000)
    const [heard, answer] = await Promise.all([hearText(server.source), hearText(client.source), client.sink(batches(texts(text))), server.sink(batches(texts('yes')))])
    t.equal(heard, text, name)
    t.equal(answer, 'yes', name)
    muxes.client.close()
    t.same(await Promise.all([muxes.client.ended, muxes.server.ended]), [undefined, undefined], `${name}: both end orderly`)
  }
})

t.test('both sides close at the same time', async (t) => {
  const { client, server } = muxPair(t)
  client.close()
  server.close()
  t.same(await Promise.all([client.ended, server.ended]), [undefined, undefined])
  await t.rejects(client.open(OK), { code: 'ERR_LINK_CLOSED' })
})

t.test('the connection ends while a full link holds it up: no timer is left, and what was unread stays', async (t) => {
  const clock = new ManualClock()
  const { mux, openings, send } = rawPeer(t, { clock, window: 100 })
  send((frames) => { frames.open(1, OK, undefined) })
  await until(() => openings.length === 1)
  const link = openings[0].accept(OK)
  send((frames) => { frames.data(1, new Uint8Array(200)); frames.reset(1, 0) }) // small, so one read
  await clock.whenSet(10_000)
  mux.abort(new Error('enough'))
  t.same(clock.waiting, [])
  await clock.pass(10_000)
  t.equal(Buffer.concat(await hear(link.source)).length, 200)
})

/** A multiplexer each of whose writes waits for one of the `permits`. */
function gatedPeer (t: Test, clock: ManualClock): RawPeer & { gate: { permits: number, isWaiting: boolean } } {
  const gate = { permits: 0, isWaiting: false }
  const [link, below] = memoryPair()
  async function * through (source: AsyncIterable<Batch>): AsyncGenerator<Batch> {
    for await (const batch of source) {
      gate.isWaiting = true
      await until(() => gate.permits > 0)
      gate.isWaiting = false
      gate.permits--
      yield batch
    }
  }
  const peer = rawPeer(t, { clock, lower: [link, wrapLink(below, { sink: (source) => below.sink(through(source)) })] })
  t.teardown(() => { gate.permits = Infinity })
  return Object.assign(peer, { gate })
}

/** Frames that have to be answered, in one read. */
function ask ({ link }: RawPeer, count: number, from = 0): void {
  const encoder = new CompactEncoder()
  for (let i = 0; i < count; i++) encoder.end(1 + 2 * (from + i))
  link.port.send([Buffer.concat(encoder.take())])
}

t.test('answers that are written late: the connection goes on', async (t) => {
  const clock = new ManualClock()
  const peer = gatedPeer(t, clock)
  const { mux, gate } = peer
  for (let round = 0; round < 2; round++) {
    ask(peer, 1, round * 10_001)
    await until(() => gate.isWaiting)
    ask(peer, 10_000, round * 10_001 + 1)
    await clock.whenSet(10_000)
    t.match(await failureOf(mux.open(OK)), { code: 'ERR_LINK_LIMIT', message: /control frames wait/ })
    await clock.pass(9999)
    gate.permits = 2
    await peer.next(10_001)
    await until(() => clock.waiting.length === 0)
  }
  // This side fills the next write while the answers are written: they were in time.
  ask(peer, 10_000, 30_000)
  await clock.whenSet(10_000)
  await until(() => gate.isWaiting)
  let err: Error & { code?: string } | undefined
  while (err?.code !== 'ERR_LINK_LIMIT') {
    const controller = new AbortController()
    const opening = failureOf(mux.open(OK, { signal: controller.signal }))
    controller.abort(new Error('enough'))
    err = await opening as Error
  }
  await clock.pass(6000)
  gate.permits = 1
  await peer.next(10_000)
  await until(() => gate.isWaiting)
  await clock.pass(6000)
  gate.permits = Infinity
  await until(() => peer.heard.length > 8192)
  const accepted = mux.open(OK)
  await until(() => peer.heard.at(-1)?.startsWith('open') === true)
  const id = Number(/\d+/.exec(peer.heard.at(-1) ?? '')?.[0])
  peer.send((frames) => { frames.accept(id, OK, 1000) })
  t.equal((await accepted).id, id)
  t.same(clock.waiting, [])
})

t.test('answers that are not written: the connection ends in time', async (t) => {
  for (const written of [0, 1]) {
    const clock = new ManualClock()
    const peer = gatedPeer(t, clock)
    const { mux, gate } = peer
    ask(peer, 1)
    await until(() => gate.isWaiting)
    ask(peer, 10_000, 1)
    await clock.whenSet(10_000)
    await clock.pass(5000)
    gate.permits = written
    await peer.next(written)
    await clock.pass(4999)
    t.same(clock.waiting, [10_000], `${written} writes: it waits`)
    await clock.pass(1)
    t.match(await mux.ended, { code: 'ERR_MUX_STALLED' })
    t.same(clock.waiting, [])
  }
  const clock = new ManualClock()
  const peer = gatedPeer(t, clock)
  ask(peer, 10_000)
  await clock.whenSet(10_000)
  peer.mux.abort(new Error('enough'))
  t.same(clock.waiting, [], 'no timer is left when it ends before')
})
