import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { Duplex } from 'node:stream'
import t from 'tap'
import { accept, batches, bytes, drain, endsWith, failureOf, first, hear, idle, listening, nothing, standstill, texts, turn, until } from '../helpers/ends.ts'
import { rawTcp } from '../helpers/raw-sockets.ts'
import { socketPair } from '../helpers/socket-pair.ts'
import { ACCEPT_BACKLOG, acceptQueue, serverListener } from '../../src/transports/acceptor.ts'
import { opened } from '../../src/transports/connecting.ts'
import { dialTcp, listenTcp, memoryNetwork, memoryPair, streamLink } from '../../src/transports/index.ts'
import type { Batch, Link } from '../../src/types.ts'

/** A stream that never completes a write by itself. */
function stuck (): Duplex {
  return new Duplex({ allowHalfOpen: true, read () {}, write () {} })
}

t.test('an error between opening and linking is not lost, nor does it end the program', async (t) => {
  const stream = stuck()
  const opening = opened(stream, 'connect')
  stream.emit('connect')
  const boom = new Error('boom')
  stream.destroy(boom)
  const link = streamLink(await opening)
  t.equal(await failureOf(hear(link.source)), boom)
  t.equal(await failureOf(link.sink(nothing())), boom)
})

t.test('opening: what comes first decides', async (t) => {
  const boom = new Error('boom')
  const failing = stuck()
  const failure = failureOf(opened(failing, 'connect'))
  failing.destroy(boom)
  t.equal(await failure, boom)

  const closing = stuck()
  const closed = failureOf(opened(closing, 'connect'))
  closing.destroy()
  t.match(await closed, { code: 'ERR_LINK_CLOSED' })

  const aborted = stuck()
  const controller = new AbortController()
  const abortion = failureOf(opened(aborted, 'connect', controller.signal))
  controller.abort(boom)
  t.equal(await abortion, boom)
  t.ok(aborted.destroyed)
  aborted.emit('error', new Error('a late one'))

  const kept = stuck()
  const late = new AbortController()
  const opening = opened(kept, 'connect', late.signal)
  kept.emit('connect')
  t.equal(await opening, kept)
  late.abort(boom)
  t.notOk(kept.destroyed, 'a signal that comes late ends nothing')
  kept.destroy()
})

t.test('a sink that waits for a full stream rejects when the stream is gone', async (t) => {
  const stream = stuck()
  const link = streamLink(stream)
  let returned = false
  async function * endless (): AsyncGenerator<Batch> {
    try {
      for (;;) yield [bytes(100_000)]
    } finally {
      returned = true
    }
  }
  const writing = failureOf(link.sink(endless()))
  await until(() => stream.writableNeedDrain)
  const boom = new Error('boom')
  link.abort(boom)
  t.equal(await writing, boom)
  await until(() => returned)
  t.pass('its source is returned')
})

t.test('a sink that ends with the connection has succeeded', async (t) => {
  const [here, there] = memoryPair()
  const ends = [hear(here.source), hear(there.source)]
  await Promise.all([here.sink(batches(texts('one'))), there.sink(batches(texts('two')))])
  t.same((await Promise.all(ends)).map((heard) => heard.join('')), ['two', 'one'])
})

t.test('a second sink, after the first has ended', async (t) => {
  const [here, there] = memoryPair()
  await here.sink(nothing())
  const { source, returned } = idle()
  t.match(await failureOf(here.sink(source)), { code: 'ERR_LINK_CLOSED' })
  await returned
  there.abort(new Error('done'))
})

t.test('the port of a stream that was handed over with bytes in it', async (t) => {
  const stream = stuck()
  const link = endsWith(t, streamLink(stream, { queueLimit: 1000 }))
  stream.write(bytes(999))
  t.equal(link.port.queued, 999)
  t.equal(link.port.send([bytes(500), bytes(500)]), 2)
  t.equal(link.port.queued, 1999 + 2 * 128, 'bytes, and what each write costs')
  t.equal(link.port.send([bytes(1)]), 0)
})

t.test('reads ahead no more than its bound', async (t) => {
  const stream = new Duplex({ read () { this.push(bytes(50_000)) }, write (_bytes, _encoding, done) { done() } })
  const link = endsWith(t, streamLink(stream))
  const reader = link.source[Symbol.asyncIterator]()
  await reader.next()
  for (let i = 0; i < 100; i++) await turn()
  const { value } = await reader.next()
  const held = (value as Batch).reduce((sum, read) => sum + read.length, 0)
  t.ok(held <= 256 * 1024 + 50_000, `${held} bytes`)
  t.ok((value as Batch).length > 1, 'what came meanwhile is one batch')
})

t.test('a link that nobody reads takes nothing', async (t) => {
  let reads = 0
  const stream = new Duplex({ read () { reads++ }, write (_bytes, _encoding, done) { done() } })
  endsWith(t, streamLink(stream))
  for (let i = 0; i < 10; i++) await turn()
  t.equal(reads, 0)
})

t.test('an early leave of the source pauses the stream', async (t) => {
  const { port, incoming } = await listening(t, listenTcp)
  const client = endsWith(t, await dialTcp({ host: '127.0.0.1', port }))
  const { value: server } = await incoming.next()
  endsWith(t, server)
  client.port.send(texts('one'))
  t.equal((await first(server.source)).toString(), 'one')
  await server.source[Symbol.asyncIterator]().return?.()
  t.same(await hear(server.source), [], 'there is one reader, and it has left')
  server.abort(new Error('enough'))
  await drain(client.source)
})

t.test('too many links that nobody accepts', async (t) => {
  const network = memoryNetwork()
  const listener = network.listen({ host: '', port: 7 })
  t.equal(await listener.port(), 7)
  const links = await Promise.all(Array.from({ length: ACCEPT_BACKLOG }, () => network.dial({ host: '', port: 7 })))
  t.match(await failureOf(network.dial({ host: '', port: 7 })), { code: 'ECONNREFUSED' })
  const incoming = listener[Symbol.asyncIterator]()
  await incoming.next()
  endsWith(t, await network.dial({ host: '', port: 7 }))
  listener.close()
  await Promise.all(links.slice(1).map((link) => drain(link.source)))
  links[0].abort(new Error('done'))
})

t.test('two readers of one listener share its links', async (t) => {
  const network = memoryNetwork()
  const listener = network.listen({ host: '', port: 0 })
  const port = await listener.port()
  const [one, two] = [listener[Symbol.asyncIterator](), listener[Symbol.asyncIterator]()]
  const accepted = [one.next(), two.next()]
  const clients = [await network.dial({ host: '', port }), await network.dial({ host: '', port })]
  for (const result of await Promise.all(accepted)) endsWith(t, result.value).port.send(texts('hello'))
  for (const client of clients) t.equal((await first(client.source)).toString(), 'hello')
  const waiting = [one.next(), two.next()]
  listener.close()
  t.match(await Promise.all(waiting), [{ done: true }, { done: true }])
})

t.test('memory: ports', async (t) => {
  const network = memoryNetwork()
  const [one, two] = [network.listen({ host: '', port: 0 }), network.listen({ host: '', port: 0 })]
  t.not(await one.port(), await two.port())
  one.close()
  const again = network.listen({ host: '', port: await one.port() })
  t.equal(await again.port(), await one.port(), 'a port is free again')
  one.close()
  endsWith(t, await network.dial({ host: '', port: await again.port() }))
  again.close()
  two.close()
  t.match(await failureOf(memoryNetwork().dial({ host: '', port: await two.port() })), { code: 'ECONNREFUSED' }, 'networks are apart')
  for (const port of [-5, NaN, 1.5, 65_536]) t.throws(() => network.listen({ host: '', port }), { code: 'ERR_OPTION' }, String(port))
})

t.test('tcp: a link knows its other end', async (t) => {
  const { port, incoming } = await listening(t, listenTcp)
  const client = endsWith(t, await dialTcp({ host: '127.0.0.1', port }))
  t.same(client.remote, { host: '127.0.0.1', port })
  const { value: server } = await incoming.next()
  endsWith(t, server)
  t.equal(server.remote.host, '127.0.0.1')
})

t.test('tcp: a client that is gone before it is accepted', async (t) => {
  const { port, incoming } = await listening(t, listenTcp)
  const raw = await rawTcp(port)
  const accepted = incoming.next()
  raw.reset()
  const { value: link } = await accepted
  t.match(await drain(endsWith(t, link).source), { code: 'ECONNRESET' })
})

t.test('a connection that could not be accepted does not end the listener', async (t) => {
  const server = createServer()
  const queue = acceptQueue<Link>(() => { server.close() })
  const listener = serverListener(server, queue)
  server.listen(0, '127.0.0.1')
  t.type(await listener.port(), 'number')
  server.emit('error', Object.assign(new Error('too many open files'), { code: 'EMFILE' }))
  const [link] = memoryPair()
  t.ok(queue.offer(link))
  const incoming = listener[Symbol.asyncIterator]()
  t.match(await incoming.next(), { done: false, value: link })
  listener.close()
  t.notOk(queue.offer(link), 'a closed one takes nothing')
  t.match(await incoming.next(), { done: true })
  link.abort(new Error('done'))
})

t.test('a million tiny packets do not pass for a few bytes', async (t) => {
  const link = endsWith(t, streamLink(stuck(), { queueLimit: 100_000 }))
  let taken = 0
  while (link.port.send([bytes(1)]) === 1) taken++
  t.ok(taken < 1000, `${taken} were taken`)
})

t.test('an idle sink notices that the stream has closed, even after an orderly end', async (t) => {
  const server = createServer((socket) => { socket.resume().end() }).listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  // Node ends the writing side of such a socket by itself when the other side ends.
  const link = endsWith(t, streamLink(connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', allowHalfOpen: false })))
  const running = idle()
  const sink = link.sink(running.source)
  void drain(link.source)
  await t.rejects(sink, { code: 'ERR_LINK_CLOSED' })
  await running.returned
})

t.test('a second sink is refused while one writes', async (t) => {
  const link = endsWith(t, streamLink(stuck()))
  const sink = link.sink(idle().source)
  await t.rejects(link.sink(batches([bytes(1)])), { code: 'ERR_LINK_BUSY' })
  link.abort(new Error('enough'))
  await t.rejects(sink, { message: 'enough' })
})

t.test('abort ends source at once, whatever has arrived', async (t) => {
  const [here, there] = memoryPair()
  endsWith(t, here)
  there.port.send([bytes(10)])
  const source = here.source[Symbol.asyncIterator]()
  await source.next()
  there.port.send([bytes(10)])
  await turn()
  here.abort(new Error('enough'))
  await t.rejects(source.next(), { message: 'enough' })
})

t.test('a port tells when there is room again', async (t) => {
  const { port, incoming } = await listening(t, listenTcp)
  const link = endsWith(t, await dialTcp({ host: '127.0.0.1', port }))
  const other = await accept(t, incoming)
  await link.port.drained?.()
  t.pass('at once where nothing waits')
  const fill = (): void => { while (link.port.send([Buffer.alloc(65_536)]) === 1); }
  fill()
  let isDrained = false
  const drained = link.port.drained?.().then(() => { isDrained = true })
  await turn()
  t.notOk(isDrained)
  const reading = drain(other.source).catch(() => {})
  await drained
  t.equal(link.port.queued, 0)
  other.abort(new Error('enough'))
  await reading
})

t.test('a port that nobody empties lets who waits go with its link', async (t) => {
  const { port, incoming } = await listening(t, listenTcp)
  const link = endsWith(t, await dialTcp({ host: '127.0.0.1', port }))
  await accept(t, incoming)
  while (link.port.send([Buffer.alloc(65_536)]) === 1);
  const drained = link.port.drained?.()
  link.abort(new Error('enough'))
  await drained
  await link.port.drained?.()
  t.equal(link.port.send([Buffer.from('x')]), 0)
})

t.test('a queue limit that cannot be', async (t) => {
  for (const queueLimit of [NaN, 0, -1, Infinity, 1.5]) t.throws(() => streamLink(stuck(), { queueLimit }), { code: 'ERR_OPTION' })
})

t.test('an array is a source too', async (t) => {
  const [here, there] = memoryPair()
  const heard = hear(endsWith(t, there).source)
  await endsWith(t, here).sink([[bytes(3)]] as unknown as AsyncIterable<Uint8Array[]>)
  t.equal(Buffer.concat(await heard).length, 3)
})

t.test('a socket whose reader is busy stops after the next read, however small that is', async (t) => {
  const [client, server] = await socketPair(t)
  client.setNoDelay(true)
  const link = streamLink(server)
  link.readAhead?.({ limit: 0, waiting () {} })
  const source = link.source[Symbol.asyncIterator]()
  client.write('.')
  await source.next() // nothing is pulled from here on
  const before = server.bytesRead
  for (let i = 0; i < 300; i++) {
    client.write('.')
    await turn()
  }
  await standstill(() => server.bytesRead)
  t.ok(server.bytesRead - before <= 4, `${server.readableLength} bytes are buffered, ${server.bytesRead - before} were read`)
  let read = 1
  while (read < 301) for (const { length } of (await source.next()).value) read += length
  t.equal(read, 301, 'nothing is lost')
})
