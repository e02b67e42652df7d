import { pipe } from 'it-pipe'
import t from 'tap'
import { over, stack } from '../../../src/layer.ts'
import { capture, CaptureRecorder, lengthPrefix, u16be, websocketFrames, type WebSocketLink } from '../../../src/transforms/index.ts'
import { memoryNetwork, memoryPair } from '../../../src/transports/memory/index.ts'
import { dialWebSocket, listenWebSocket, websocket } from '../../../src/transports/websocket.ts'
import { userspaceTun } from '../../../src/tun/index.ts'
import type { Batch, Link, Transport } from '../../../src/types.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { batches, drain, failureOf, hear, idle, nothing } from '../../helpers/ends.ts'
import { collect, from, recordingLink } from '../../helpers/links.ts'
import { readCapture, type ReadPacket } from '../../helpers/pcapng.ts'
import { rawTcp, upgrade } from '../../helpers/raw-sockets.ts'
import { contract } from '../../helpers/transports/contract.ts'

const BYTES = 0
const MESSAGES = 1

/** A recorder, and what it has recorded up to now as `interface direction bytes`. */
function recording () {
  const written: Uint8Array[] = []
  const recorder = new CaptureRecorder({
    interfaces: [{ linkType: 'user0', name: 'bytes' }, { linkType: 'user0', name: 'messages' }],
    write: (piece) => { written.push(piece) }
  })
  const line = ({ interfaceId, direction, data }: ReadPacket): string => `${interfaceId} ${direction} ${toHex(data)}`
  return { recorder, seen: () => readCapture(Buffer.concat(written)).packets.map(line) }
}

t.test('two joints of one stack: bytes below, messages above', async (t) => {
  const { recorder, seen } = recording()
  const [here, there] = memoryPair()
  const link = over(here, stack(capture(recorder, { interface: BYTES }), lengthPrefix(u16be), capture(recorder, { interface: MESSAGES })))
  const other = over(there, lengthPrefix(u16be))
  t.equal(link.port.send([hex('aa'), hex('bbbb')]), 2)
  const sent = link.sink(batches([hex('cc')]))
  t.same((await collect(other.source)).map(toHex), ['aa', 'bbbb', 'cc'])
  await sent
  t.same(seen(), ['0 out 0001aa0002bbbb', '1 out aa', '1 out bbbb', '1 out cc', '0 out 0001cc'])

  const answered = other.sink(batches([hex('dd'), hex('')], [hex('ee')]))
  t.same((await collect(link.source)).map(toHex), ['dd', '', 'ee'], 'one direction has ended, the other one has not')
  await answered
  t.same(seen().slice(5).filter((line) => line.startsWith('1')), ['1 in dd', '1 in ', '1 in ee'])
  t.equal(seen().slice(5).filter((line) => line.startsWith('0')).join('').replaceAll('0 in ', ''), '0001dd00000001ee')
})

t.test('every batch passes as it is: the same arrays, the same memory', async (t) => {
  const { recorder } = recording()
  const incoming = [[hex('01'), hex('02')], [], [hex('03')]]
  const taken: unknown[] = []
  const lower: Link = {
    ...recordingLink(incoming),
    async sink (source) { for await (const batch of source) taken.push(batch) },
    port: { send: (batch) => taken.push(batch), queued: 5, limit: 7 }
  }
  for (const end of [() => {}, () => { recorder.end() }]) {
    const link = over({ ...lower, source: from(incoming) }, capture(recorder))
    end()
    let at = 0
    for await (const batch of link.source) t.equal(batch, incoming[at++])
    t.equal(at, incoming.length)
    const outgoing = [[hex('04')], [hex('05')]]
    await link.sink(from(outgoing))
    link.port.send(incoming[0])
    t.ok([...outgoing, incoming[0]].every((batch, i) => batch === taken[i]))
    taken.length = 0
    t.match({ queued: link.port.queued, limit: link.port.limit }, { queued: 5, limit: 7 })
  }
})

t.test('when the capture is over the links go on, and later ones are not touched', async (t) => {
  const { recorder, seen } = recording()
  const [here, there] = memoryPair()
  const link = over(here, capture(recorder))
  link.port.send([hex('01')])
  const reader = there.source[Symbol.asyncIterator]()
  t.same((await reader.next()).value.map(toHex), ['01'])
  recorder.end()
  link.port.send([hex('02')])
  t.same((await reader.next()).value.map(toHex), ['02'])
  const sent = link.sink(batches([hex('03')]))
  t.same((await reader.next()).value.map(toHex), ['03'])
  await sent
  await there.sink(batches([hex('04')]))
  t.same((await hear(link.source)).map(toHex), ['04'])
  t.same(seen(), ['0 out 01'])
  t.equal(over(there, capture(recorder)), there)
})

t.test('the capture ends while a reader waits', async (t) => {
  const { recorder, seen } = recording()
  const [here, there] = memoryPair()
  const reading = hear(over(here, capture(recorder)).source)
  recorder.end()
  await there.sink(batches([hex('01')]))
  t.same((await reading).map(toHex), ['01'])
  t.same(seen(), [])
})

t.test('what changes after it has passed is recorded as it was', async (t) => {
  const { recorder, seen } = recording()
  const [here, there] = memoryPair()
  const link = over(here, capture(recorder))
  const packet = hex('0102')
  link.port.send([packet])
  packet.fill(0xff)
  const second = hex('0304')
  const sent = link.sink((async function * () {
    yield [second]
    second.fill(0xff)
  })())
  void drain(there.source)
  await sent
  await there.sink(batches([hex('0506')]))
  for await (const batch of link.source) {
    for (const bytes of batch) bytes.fill(0xff)
    batch.length = 0
  }
  t.same(seen(), ['0 out 0102', '0 out 0304', '0 in 0506'])
})

t.test('what the port refuses has not been sent', async (t) => {
  const { recorder, seen } = recording()
  const lower = recordingLink([], 100)
  const { port } = over(lower, capture(recorder))
  t.equal(port.send([hex('01'), hex('02')]), 2)
  lower.queued = 100
  t.equal(port.send([hex('03')]), 0)
  t.equal(port.queued, 100)
  lower.queued = 0
  t.equal(port.send([hex('04')]), 1)
  t.equal(port.send([]), 0)
  t.same(seen(), ['0 out 01', '0 out 02', '0 out 04'])
})

t.test('the port tells as much of its queue as the one below, also through a layer', async (t) => {
  const { recorder } = recording()
  let drains = 0
  const lower = recordingLink([], 100)
  const telling: Link = { ...lower, port: { ...lower.port, bufferedAmount: 4000, async drained () { drains++ } } }
  for (const { port } of [over(telling, capture(recorder)), over(telling, lengthPrefix(u16be))]) {
    t.equal(port.bufferedAmount, 4000)
    await port.drained?.()
  }
  t.equal(drains, 2)
  t.equal(over(lower, capture(recorder)).port.drained, undefined, 'and no more')
})

t.test('abort', async (t) => {
  const { recorder, seen } = recording()
  const [here, there] = memoryPair()
  const link = over(here, capture(recorder))
  const { source, returned } = idle()
  const failures = [failureOf(hear(link.source)), failureOf(link.sink(source))]
  const reason = new Error('enough')
  link.abort(reason)
  t.same(await Promise.all(failures), [reason, reason])
  await returned
  await drain(there.source)
  t.equal(link.port.send([hex('01')]), 0)
  t.same(seen(), [])
})

t.test('errors of a source pass, and what came before them is recorded', async (t) => {
  const { recorder, seen } = recording()
  const reason = new Error('broken')
  async function * broken (): AsyncGenerator<Uint8Array[]> {
    yield [hex('01')]
    throw reason
  }
  const lower = { ...recordingLink(), source: broken() }
  const link = over(lower, capture(recorder))
  t.equal(await failureOf(hear(link.source)), reason)
  t.equal(await failureOf(link.sink(broken())), reason)
  t.same(seen(), ['0 in 01', '0 out 01'])
})

t.test('a reader that leaves early leaves the source, also while it waits', async (t) => {
  const { recorder } = recording()
  const { source, returned } = idle()
  const link = over({ ...recordingLink(), source }, capture(recorder))
  const reader = link.source[Symbol.asyncIterator]()
  const reading = reader.next()
  t.match(await reader.return?.(), { done: true })
  await returned
  t.match(await reading, { done: true })
  t.equal(link.source[Symbol.asyncIterator](), reader, 'whoever reads on reads the same')
})

t.test('fits it-pipe, plain arrays included', async (t) => {
  const { recorder, seen } = recording()
  const lower = recordingLink([[hex('01')]])
  const link = over(lower, capture(recorder))
  await link.sink([[hex('02')], [hex('03')]] as unknown as AsyncIterable<Batch>) // pipe() passes them on as they are
  await pipe(link.source, link.sink)
  t.same(seen(), ['0 out 02', '0 out 03', '0 in 01', '0 out 01'])
  t.equal(lower.sent.length, 3)
})

t.test('a WebSocket is still one', async (t) => {
  const { recorder, seen } = recording()
  const [here, there] = memoryPair()
  const server: WebSocketLink = capture(recorder)(over(there, websocketFrames({ role: 'server' })))
  const client = over(here, websocketFrames({ role: 'client' }))
  const heard: string[] = []
  server.onPing = (payload) => { heard.push(`ping ${toHex(payload)}`) }
  server.onPong = (payload) => {
    heard.push(`pong ${toHex(payload)}`)
    server.close(1000)
  }
  const { onPong } = server
  t.ok(onPong !== undefined && onPong === server.onPong, 'what was set is there')
  const ends = [drain(client.source), drain(server.source)]
  t.ok(client.ping(hex('01')))
  t.ok(server.ping(hex('02')))
  client.port.send([hex('03')])
  t.same(await Promise.all(ends), [undefined, undefined])
  t.same(heard, ['ping 01', 'pong 02'])
  t.same(seen(), ['0 in 03'])
  t.equal(server.ping(), false, 'closed')
})

t.test('so is an interface', async (t) => {
  const { recorder, seen } = recording()
  const lower = userspaceTun({ name: 'here' })
  const tun = capture(recorder)(lower)
  t.teardown(() => tun.close())
  await tun.setAddress('10.77.0.1/24')
  t.match({ name: tun.name, mtu: tun.mtu, counters: tun.counters }, { name: 'here', mtu: 1400, counters: { packetsOut: 0 } })
  const pinging = tun.ping('10.77.0.2').catch(() => {})
  const { value: [request] } = await tun.source[Symbol.asyncIterator]().next()
  t.same(seen(), [`0 in ${toHex(request)}`])
  tun.port.send([request])
  t.equal(tun.counters.packetsOut + tun.counters.droppedOut, 1)
  await tun.close()
  await pinging
})

t.test('readers that are called see the same, and it is recorded', async (t) => {
  const { recorder, seen } = recording()
  const calls: unknown[] = []
  const lower = {
    ...recordingLink(),
    name: 'here',
    async flow (take: (batch: Batch) => unknown, signal?: AbortSignal) { calls.push(await take([hex('01')]), signal?.aborted) }
  }
  const link = capture(recorder)(lower)
  const taken: string[] = []
  await link.flow(async (batch) => {
    taken.push(...batch.map(toHex))
    return 'done'
  }, AbortSignal.abort())
  t.strictSame(taken, ['01'])
  t.strictSame(seen(), ['0 in 01'])
  t.strictSame(calls, ['done', true])
  t.equal(capture(recorder)(recordingLink()).flow, undefined, 'nothing is made up')
})

t.test('links that are no classes: their methods see the whole link', async (t) => {
  const { recorder } = recording()
  const lower = { ...recordingLink(), count: 0, add (): number { return ++this.count } }
  const link = capture(recorder)(lower)
  t.strictSame([link.add(), link.add(), link.count, lower.count, Object.keys(link)], [1, 2, 2, 2, Object.keys(lower)])
  link.count = 7
  t.equal(lower.count, 7)
})

t.test('an interface that the recorder does not have', async (t) => {
  const { recorder } = recording()
  for (const id of [2, -1, 0.5, NaN]) t.throws(() => capture(recorder, { interface: id }), { code: 'ERR_OPTION' }, String(id))
})

t.test('nothing is recorded of a link that carries nothing', async (t) => {
  const { recorder, seen } = recording()
  const [here, there] = memoryPair().map((link) => over(link, capture(recorder)))
  await Promise.all([here.sink(nothing()), there.sink(nothing()), drain(here.source), drain(there.source)])
  t.same(seen(), [])
})

/** A transport whose links are captured at both ends. */
function captured<T extends Transport> (transport: T): T {
  const recorder = new CaptureRecorder({ interfaces: [{ linkType: 'user0', name: 'all' }], write () {}, maxBytes: Number.MAX_SAFE_INTEGER })
  const layer = capture(recorder)
  return {
    ...transport,
    dial: async (to) => layer(await transport.dial(to)),
    listen (at) {
      const listener = transport.listen(at)
      return {
        port: () => listener.port(),
        close: () => { listener.close() },
        async * [Symbol.asyncIterator] () { for await (const link of listener) yield layer(link) }
      }
    }
  }
}

t.test('the contract of transports holds: memory', async (t) => {
  contract(t, {
    name: 'memory',
    keepsMessages: false,
    overhead: 0,
    make: (init) => captured(memoryNetwork(init)),
    async dialRaw (transport, port) {
      const link = await transport.dial({ host: '', port })
      return { reset: () => { link.abort(new Error('reset')) } }
    },
    dialsAtOnce: true
  })
})

t.test('the contract of transports holds: WebSocket', async (t) => {
  const frames = { closeTimeout: 20_000 } // nothing here may depend on it
  contract(t, {
    name: 'websocket',
    keepsMessages: true,
    overhead: 14,
    make: (init) => captured({
      ...websocket,
      dial: ({ host, port, signal }) => dialWebSocket(`ws://${host}:${port}`, { frames, signal, ...init }),
      listen: (at) => listenWebSocket({ frames, ...init, ...at })
    }),
    dialRaw: async (_transport, port) => upgrade(await rawTcp(port))
  })
})
