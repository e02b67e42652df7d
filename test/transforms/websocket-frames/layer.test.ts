import t, { type Test } from 'tap'
import { hex, toHex } from '../../helpers/bytes.ts'
import { ManualClock } from '../../helpers/clock.ts'
import { batches, bytes, drain, endsWith, failureOf, first, hear, idle, nothing, standstill, texts, turn, until } from '../../helpers/ends.ts'
import { memoryPair } from '../../../src/transports/index.ts'
import { DEFAULT_QUEUE_LIMIT } from '../../../src/transports/stream-link.ts'
import { FrameEncoder, websocketFrames, type WebSocketFramesInit, type WebSocketLink } from '../../../src/transforms/websocket-frames/index.ts'
import type { Batch, Link } from '../../../src/types.ts'

type Init = Omit<WebSocketFramesInit, 'role'>

/** Nothing may depend on it, unless the test says so. */
const closeTimeout = 60_000

function pair (t: Test, init: Init = {}): [WebSocketLink, WebSocketLink] {
  const [here, there] = memoryPair()
  return [
    endsWith(t, websocketFrames({ closeTimeout, ...init, role: 'client' })(here)),
    endsWith(t, websocketFrames({ closeTimeout, ...init, role: 'server' })(there))
  ]
}

/** A client of the layer, and the bytes at its other end. */
function rawPair (t: Test, init: Init = {}, queueLimit?: number): { link: WebSocketLink, raw: Link } {
  const [here, raw] = memoryPair({ queueLimit })
  endsWith(t, raw)
  return { link: endsWith(t, websocketFrames({ closeTimeout, ...init, role: 'client' })(here)), raw }
}

/** Removes the mask of a frame of up to 125 bytes. */
function unmask (frame: Uint8Array): string {
  const size = frame[1] & 0x7f
  const payload = frame.subarray(6, 6 + size).map((byte, i) => byte ^ frame[2 + (i & 3)])
  return `${toHex(frame.subarray(0, 1))} ${toHex(payload)}`
}

t.test('messages both ways, through sink and port', async (t) => {
  const [client, server] = pair(t)
  t.equal(client.port.send(texts('one', 'two')), 2)
  t.equal(server.port.send(texts('three')), 1)
  t.equal((await first(client.source)).toString(), 'three')
  const heard = hear(server.source)
  void drain(client.source)
  await client.sink(batches(texts('four'), texts('', 'five')))
  t.same((await heard).map(String), ['one', 'two', 'four', '', 'five'])
})

t.test('pings are answered; handlers hear them', async (t) => {
  const [client, server] = pair(t)
  const heard: string[] = []
  server.onPing = (payload) => { heard.push(`ping ${Buffer.from(payload).toString()}`) }
  const ponged = new Promise<void>((resolve) => {
    client.onPong = (payload) => {
      heard.push(`pong ${Buffer.from(payload).toString()}`)
      if (payload.length > 0) resolve()
    }
  })
  void drain(client.source)
  void drain(server.source)
  t.ok(client.ping())
  t.ok(client.ping(Buffer.from('hello')))
  await ponged
  t.same(heard.sort(), ['ping ', 'ping hello', 'pong ', 'pong hello'])
  t.throws(() => client.ping(new Uint8Array(126)), { code: 'ERR_OPTION' })
})

t.test('pings are answered while a sink writes', async (t) => {
  const [client, server] = pair(t)
  const ponged = new Promise<void>((resolve) => { client.onPong = () => { resolve() } })
  void drain(client.source)
  void drain(server.source)
  const { source } = idle()
  const writing = server.sink(source)
  source.push(Buffer.from('message'))
  client.ping()
  await ponged
  source.end()
  await writing
  t.pass('answered')
})

t.test('the pong of a long ping is as long as pongs may be', async (t) => {
  const { link, raw } = rawPair(t, { tolerate: { longControl: true } })
  void drain(link.source)
  raw.port.send([hex('897e05dc' + '61'.repeat(1500))])
  t.equal(unmask(await first(raw.source)), '8a ' + '61'.repeat(125))
})

t.test('text', async (t) => {
  const { link, raw } = rawPair(t)
  const heard: string[] = []
  link.onText = (payload) => { heard.push(Buffer.from(payload).toString()) }
  raw.port.send([hex('8105 48656c6c6f 8201 61')])
  t.equal(toHex(await first(link.source)), '61')
  t.same(heard, ['Hello'])
  link.onText = undefined
  raw.port.send([hex('8105 48656c6c6f')])
  t.match(await failureOf(hear(link.source)), { code: 'ERR_WEBSOCKET_PROTOCOL', closeCode: 1003 })
  t.match(unmask(await first(raw.source)), /^88 03eb/)
})

t.test('the side that has written everything closes; the answer settles its sink', async (t) => {
  for (const clientWrites of [true, false]) {
    const [client, server] = pair(t)
    const [writer, reader] = clientWrites ? [client, server] : [server, client]
    const ended = drain(writer.source)
    const [heard] = await Promise.all([hear(reader.source), writer.sink(batches(texts('all')))])
    t.same(heard.map(String), ['all'])
    t.equal(await ended, undefined)
    t.equal(writer.port.send(texts('late')), 0)
    t.equal(reader.port.send(texts('late')), 0)
    t.equal(writer.ping(), false)
    t.match(await failureOf(reader.sink(batches(texts('late')))), { code: 'ERR_LINK_CLOSED' })
  }
})

t.test('close: codes and reasons', async (t) => {
  for (const [code, reason, failure] of [
    [1000, 'bye', undefined],
    [1001, '', undefined],
    [1005, '', undefined],
    [1008, 'policy', { code: 'ERR_WEBSOCKET_CLOSED', closeCode: 1008, reason: 'policy' }],
    [4000, '', { closeCode: 4000, reason: '' }]
  ] as Array<[number, string, object | undefined]>) {
    const [client, server] = pair(t)
    const heard = drain(server.source)
    const own = drain(client.source)
    client.port.send(texts('before'))
    client.close(code, reason)
    client.close(4999, 'a second one changes nothing')
    const err = await heard
    if (failure === undefined) t.equal(err, undefined, `${code}`)
    else t.match(err, failure, `${code}`)
    const echoed = await own
    t.equal(echoed === undefined, failure === undefined, 'the code is echoed')
  }
  const [client] = pair(t)
  t.throws(() => { client.close(1006) }, { code: 'ERR_OPTION' })
  t.throws(() => { client.close(1000, 'a'.repeat(124)) }, { code: 'ERR_OPTION' })
  t.equal(client.port.send(texts('still open')), 1)
})

t.test('close while a sink idles', async (t) => {
  const [client, server] = pair(t)
  const { source, returned } = idle()
  const writing = failureOf(client.sink(source))
  const heard = hear(server.source)
  void drain(client.source)
  source.push(Buffer.from('before'))
  await turn()
  client.close()
  t.match(await writing, { code: 'ERR_LINK_CLOSED' })
  await returned
  t.same((await heard).map(String), ['before'])
})

t.test('both close at once', async (t) => {
  const [client, server] = pair(t)
  const ends = [drain(client.source), drain(server.source)]
  client.close(1000)
  server.close(1001)
  t.same(await Promise.all(ends), [undefined, undefined])
})

t.test('what was sent before the other side closed is still answered', async (t) => {
  const [client, server] = pair(t)
  client.port.send(texts('question'))
  client.close()
  const serving = (async () => {
    for await (const batch of server.source) server.port.send(batch)
  })()
  t.same((await hear(client.source)).map(String), ['question'])
  await serving
})

t.test('a side that writes learns that the other has closed', async (t) => {
  const [client, server] = pair(t)
  const { source, returned } = idle()
  const writing = failureOf(server.sink(source))
  const ended = drain(server.source)
  void drain(client.source)
  client.close(1000)
  t.match(await writing, { code: 'ERR_LINK_CLOSED' })
  await returned
  t.equal(await ended, undefined)
})

t.test('a sink that waits for its reader learns it as well', async (t) => {
  const [client, server] = pair(t)
  async function * endless (): AsyncGenerator<Batch> {
    for (;;) yield [bytes(60_000)]
  }
  const writing = failureOf(server.sink(endless()))
  void drain(server.source)
  await turn()
  client.close(1000)
  void drain(client.source)
  t.match(await writing, { code: 'ERR_LINK_CLOSED' })
})

t.test('a close that is never answered', async (t) => {
  const clock = new ManualClock()
  const { link, raw } = rawPair(t, { clock, closeTimeout: 2000 })
  const ended = drain(link.source)
  link.close(1000)
  t.equal(unmask(await first(raw.source)), '88 03e8')
  await clock.pass(1999)
  t.same(clock.waiting, [2000], 'it has all that time')
  clock.advance(1)
  t.match(await ended, { code: 'ERR_LINK_CLOSED' })
  t.match(await drain(raw.source), { code: 'ERR_LINK_CLOSED' }, 'the connection is cut')
})

t.test('a sink whose close is never answered', async (t) => {
  const clock = new ManualClock()
  const { link, raw } = rawPair(t, { clock, closeTimeout: 2000 })
  const ended = drain(link.source)
  void drain(raw.source)
  const writing = failureOf(link.sink(batches(texts('all'))))
  await clock.whenSet(2000)
  await until(() => link.port.queued === 0)
  for (let i = 0; i < 2; i++) await clock.pass(2000) // in the first of them the close frame may have left, which is progress
  t.match(await writing, { code: 'ERR_LINK_CLOSED' })
  t.match(await ended, { code: 'ERR_LINK_CLOSED' })
})

t.test('a connection that is not ended after the closing handshake', async (t) => {
  const clock = new ManualClock()
  const { link, raw } = rawPair(t, { clock, closeTimeout: 2000 })
  const reads = drain(raw.source)
  raw.port.send([hex('8802 03e8')])
  t.equal(await drain(link.source), undefined)
  await reads
  await clock.pass(1999)
  t.equal(raw.port.send([hex('8900')]), 1, 'it has all that time')
  clock.advance(1)
  await until(() => raw.port.send([hex('8900')]) === 0)
  t.pass('is cut')
})

t.test('a side that floods and never ends, while the other closes', async (t) => {
  const clock = new ManualClock()
  const { link, raw } = rawPair(t, { clock, closeTimeout: 2000 })
  const flood = (async function * (): AsyncGenerator<Batch> {
    for (;;) {
      yield [new FrameEncoder('server').push([bytes(10_000)])[0]]
      await turn()
    }
  })()
  const flooding = failureOf(raw.sink(flood))
  void drain(raw.source)
  link.close(1001)
  const ended = drain(link.source)
  await clock.pass(2000)
  t.match(await ended, { code: 'ERR_LINK_CLOSED' })
  t.match(await flooding, { code: 'ERR_LINK_CLOSED' })
})

t.test('a fault sends its code, ends the source with the error, and the sink', async (t) => {
  for (const [wire, code] of [['c200', 1002], ['8100', 1003], ['827f0000000000010001', 1009], ['880403e8c080', 1007]] as Array<[string, number]>) {
    const { link, raw } = rawPair(t)
    const { source, returned } = idle()
    const writing = failureOf(link.sink(source))
    raw.port.send([hex('820161' + wire)])
    t.equal(toHex(await first(link.source)), '61', 'what came before is delivered')
    t.match(await failureOf(hear(link.source)), { code: 'ERR_WEBSOCKET_PROTOCOL', closeCode: code })
    t.match(await writing, { code: 'ERR_LINK_CLOSED' })
    await returned
    t.match(unmask(await first(raw.source)), new RegExp(`^88 ${code.toString(16).padStart(4, '0')}`))
    t.equal(await drain(raw.source), undefined, 'then its direction ends')
    t.equal(link.port.send(texts('late')), 0)
  }
})

t.test('an end without a close frame is 1006, and ends the sink', async (t) => {
  for (const sinks of [true, false]) {
    const { link, raw } = rawPair(t)
    const { source, returned } = idle()
    const writing = sinks ? failureOf(link.sink(source)) : undefined
    raw.port.send([hex('820161')])
    await raw.sink(nothing())
    t.equal(toHex(await first(link.source)), '61')
    t.match(await failureOf(hear(link.source)), { code: 'ERR_WEBSOCKET_CLOSED', closeCode: 1006 })
    t.equal(link.port.send(texts('late')), 0)
    if (!sinks) continue
    t.match(await writing, { closeCode: 1006 })
    await returned
  }
})

t.test('an end instead of the answer to a close frame', async (t) => {
  const { link, raw } = rawPair(t)
  const writing = failureOf(link.sink(batches(texts('all'))))
  const reading = failureOf(hear(link.source))
  await first(raw.source)
  await raw.sink(nothing())
  t.match(await reading, { closeCode: 1006 })
  t.match(await writing, { closeCode: 1006 })
})

t.test('an end inside a message', async (t) => {
  const { link, raw } = rawPair(t)
  raw.port.send([hex('820261')])
  await raw.sink(nothing())
  t.match(await failureOf(hear(link.source)), { code: 'ERR_TRUNCATED' })
})

t.test('a connection that breaks', async (t) => {
  const { link, raw } = rawPair(t)
  const writing = failureOf(link.sink(idle().source))
  const reading = failureOf(hear(link.source))
  raw.abort(new Error('broken'))
  t.match(await reading, { code: 'ERR_LINK_CLOSED' })
  t.match(await writing, { code: 'ERR_LINK_CLOSED' })
})

t.test('abort', async (t) => {
  const [client, server] = pair(t)
  const boom = new Error('boom')
  const { source, returned } = idle()
  const writing = failureOf(client.sink(source))
  const reading = failureOf(hear(client.source))
  client.abort(boom)
  t.equal(await reading, boom)
  t.equal(await writing, boom)
  await returned
  t.equal(client.ping(), false)
  client.close()
  t.match(await drain(server.source), { code: 'ERR_LINK_CLOSED' })
})

t.test('a pipeline whose source failed can still say why', async (t) => {
  const [client, server] = pair(t)
  async function * failing (): AsyncGenerator<Batch> {
    yield texts('one')
    throw new Error('boom')
  }
  const heard = failureOf(hear(server.source))
  void drain(client.source)
  client.sink(failing()).catch(() => { client.close(1011, 'cannot go on') })
  t.match(await heard, { closeCode: 1011, reason: 'cannot go on' })
})

t.test('a raw reason, tolerated', async (t) => {
  const { link, raw } = rawPair(t, { tolerate: { rawClose: true } })
  raw.port.send([hex('880b'), Buffer.from('ip conflict')])
  t.match(await failureOf(hear(link.source)), { code: 'ERR_WEBSOCKET_CLOSED', closeCode: 1005, reason: 'ip conflict' })
  t.equal(unmask(await first(raw.source)), '88 ')
})

t.test('a side that floods pings and reads nothing costs no more than the queue', async (t) => {
  for (const size of [0, 125]) {
    const queueLimit = 20_000
    const { link, raw } = rawPair(t, {}, queueLimit)
    const ping = new FrameEncoder('server').ping(bytes(size, 0x61))
    let pings = 0
    link.onPing = () => { pings++ }
    void drain(link.source)
    while (link.port.queued === 0) { // what the other side can take without reading
      link.port.send([bytes(10_000)])
      await turn()
    }
    let most = 0
    for (let sent = 1; sent <= 1000; sent++) { // each in a read of its own
      raw.port.send([ping])
      await until(() => pings === sent)
      most = Math.max(most, link.port.queued)
    }
    t.ok(most >= queueLimit, 'the queue was full')
    t.ok(most < queueLimit + 10_300, `${most} bytes waited`)
    t.equal(link.ping(), false)
    t.equal(link.port.send(texts('dropped')), 0)
  }
})

t.test('many pings in one read get one pong, for the last, and the first and the last are told of', async (t) => {
  const { link, raw } = rawPair(t)
  const encoder = new FrameEncoder('server')
  const heard: string[] = []
  link.onPing = (payload) => { heard.push(Buffer.from(payload).toString()) }
  void drain(link.source)
  raw.port.send([Buffer.concat(['a', 'b', 'c'].map((text) => encoder.ping(Buffer.from(text))))])
  t.equal(unmask(await first(raw.source)), '8a 63')
  t.same(heard.splice(0), ['a', 'c'])
  raw.port.send([Buffer.concat(['', 'greeting', ''].map((text) => encoder.ping(Buffer.from(text))))])
  t.equal(unmask(await first(raw.source)), '8a ')
  t.same(heard, ['greeting', ''], 'the first that says something')
  link.port.send(texts('next'))
  t.equal(unmask(await first(raw.source)), `82 ${Buffer.from('next').toString('hex')}`, 'nothing was sent in between')
})

t.test('a pong comes after what the messages before its ping have brought about', async (t) => {
  const [client, server] = pair(t)
  const encoder = new FrameEncoder('client')
  const ponged: string[] = []
  client.onPong = (payload) => { ponged.push(Buffer.from(payload).toString()) }
  const served = (async () => {
    for await (const [message] of server.source) {
      if (Buffer.from(message).toString() === 'refuse me') server.close(1008, 'refused')
    }
  })()
  // Both in one read, as a client that greets right after its password sends them.
  const [here, there] = memoryPair()
  endsWith(t, here)
  const refusing = endsWith(t, websocketFrames({ role: 'server' })(there))
  const refused = (async () => {
    for await (const batch of refusing.source) if (batch.length > 0) refusing.close(1008, 'refused')
  })()
  here.port.send([Buffer.concat([encoder.push([Buffer.from('refuse me')])[0], encoder.ping(Buffer.from('in?'))])])
  const [answer] = (await here.source[Symbol.asyncIterator]().next()).value as Batch
  t.equal(toHex(answer), `880903f0${Buffer.from('refused').toString('hex')}`, 'a close frame and no pong')
  here.abort(new Error('enough'))
  await refused.catch(() => {})
  client.port.send([Buffer.from('take me')])
  client.ping(Buffer.from('in?'))
  void drain(client.source)
  await until(() => ponged.length === 1)
  t.same(ponged, ['in?'])
  client.abort(new Error('enough'))
  await served.catch(() => {})
})

t.test('leaving source early reaches the link below', async (t) => {
  const { link, raw } = rawPair(t)
  const encoder = new FrameEncoder('server')
  raw.port.send(encoder.push([Buffer.from('one')]))
  t.equal((await first(link.source)).toString(), 'one')
  let sent = 0
  while (raw.port.send(encoder.push([bytes(10_000)])) > 0) {
    sent += 10_000
    await turn()
  }
  t.ok(sent < 2 * DEFAULT_QUEUE_LIMIT, `${sent} bytes were taken before the other side had to wait`)
})

t.test('a second sink is refused while one writes', async (t) => {
  const [client] = pair(t)
  const running = idle()
  const first = client.sink(running.source)
  await t.rejects(client.sink(batches(texts('late'))), { code: 'ERR_LINK_BUSY' })
  client.abort(new Error('enough'))
  await t.rejects(first, { message: 'enough' })
})

t.test('limits that cannot be are refused when the layer is made', async (t) => {
  for (const init of [{ maxPayload: 1 }, { maxFragments: 0 }, { closeTimeout: 0 }, { closeTimeout: Infinity }]) {
    t.throws(() => websocketFrames({ role: 'server', ...init }), { code: 'ERR_OPTION' })
  }
})

t.test('a close frame that finds the queue full cuts the connection', async (t) => {
  const { link, raw } = rawPair(t, {}, 1000)
  while (link.port.send([bytes(50_000)]) > 0);
  link.close()
  t.match(await drain(link.source), { code: 'ERR_LINK_CLOSED' })
  t.match(await drain(raw.source), { code: 'ERR_LINK_CLOSED' })
})

t.test('back-pressure goes through', async (t) => {
  const [client, server] = pair(t)
  let pulled = 0
  async function * source (): AsyncGenerator<Batch> {
    for (; pulled < 500; pulled++) yield [bytes(10_000, pulled)]
  }
  const writing = client.sink(source())
  void drain(client.source)
  await standstill(() => pulled)
  t.ok(pulled < 100, `stopped after ${pulled}`)
  const heard = await hear(server.source)
  await writing
  t.equal(heard.length, 500)
  t.ok(heard.every((message, i) => message.length === 10_000 && message[0] === (i & 0xff)))
})

t.test('a timer does not outlive its link', async (t) => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const before = timers()
  const [client, server] = pair(t)
  const ends = [drain(client.source), drain(server.source)]
  client.close()
  await Promise.all(ends)
  await until(() => timers() <= before)
  for (const end of ['break', 'abort', 'end'] as const) {
    const { link, raw } = rawPair(t)
    const ended = drain(link.source)
    link.close()
    if (end === 'break') raw.abort(new Error('broken'))
    else if (end === 'abort') link.abort(new Error('boom'))
    else await raw.sink(nothing())
    await ended
    await until(() => timers() <= before)
    t.pass(end)
  }
})

t.test('an early leave, then abort', async (t) => {
  const [client, server] = pair(t)
  client.port.send(texts('one'))
  client.port.send(texts('two'))
  t.equal((await first(server.source)).toString(), 'one')
  await server.source[Symbol.asyncIterator]().return?.()
  server.abort(new Error('enough'))
  t.match(await drain(client.source), { code: 'ERR_LINK_CLOSED' })
})

t.test('a slow reader gets all that sink has written, however long after the close frame was due', async (t) => {
  const clock = new ManualClock()
  const { link, raw } = rawPair(t, { clock, closeTimeout: 500 }, 8 * 1024 * 1024)
  const size = 60_000
  const count = 30
  void drain(link.source).catch(() => {})
  const written = link.sink(batches(Array.from({ length: count }, () => new Uint8Array(size))))
  written.catch(() => {}) // nobody answers the close frame, so in the end the connection is cut
  const total = count * (size + 8) + 8
  let got = 0
  const slowly = async (): Promise<void> => {
    for await (const batch of raw.source) {
      for (const read of batch) got += read.length
      if (got === total) return
      await clock.pass(499) // the longest that no progress may take
    }
  }
  await slowly()
  t.equal(got, total, 'every message, and the close frame')
  await clock.pass(1000)
  await t.rejects(written, { code: 'ERR_LINK_CLOSED' })
})
