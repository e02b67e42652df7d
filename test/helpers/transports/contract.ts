/** What every transport promises, whatever is below it. */
import { getEventListeners } from 'node:events'
import type { Test } from 'tap'
import { random } from '../bytes.ts'
import {
  accept, batches, bytes, drain, endsWith, failureOf, first, hear, hearText, idle, listening, nothing, open, standstill,
  texts, turn, until
} from '../ends.ts'
import type { Batch, Link, Transport } from '../../../src/types.ts'

export interface Subject {
  name: string
  /** Elements arrive as they were sent; else only their bytes do. */
  keepsMessages: boolean
  /** Bytes that it adds to an element at most. */
  overhead: number
  make (init?: { queueLimit?: number }): Transport
  /** A client of the test's own, and the way to end it without a farewell. */
  dialRaw (transport: Transport, port: number): Promise<{ reset (): void }>
  /** True when `dial` has nothing to wait for, so that nothing can be aborted. */
  dialsAtOnce?: boolean
}

const host = '127.0.0.1'
const boom = (): Error => new Error('boom')

/** A source of `count` elements that tells how far it was asked. */
function counted (count: number, size: number): { source: AsyncGenerator<Batch>, pulled: () => number } {
  let pulled = 0
  async function * source (): AsyncGenerator<Batch> {
    for (; pulled < count; pulled++) yield [bytes(size, pulled)]
  }
  return { source: source(), pulled: () => pulled }
}

/** True when the fill of the elements goes up by one, modulo 256, each time. */
function inOrder (all: Uint8Array, size: number): boolean {
  for (let at = 0; at < all.length; at++) {
    if (all[at] !== (Math.floor(at / size) & 0xff)) return false
  }
  return true
}

/** What every link promises about its end, whatever is behind it. */
export function endings (t: Test, make: (t: Test) => Promise<Link>): void {
  t.test('abort ends both directions with its error', async (t) => {
    const link = await make(t)
    const { source, returned } = idle()
    const reading = failureOf(hear(link.source))
    const writing = failureOf(link.sink(source))
    link.port.send(texts('before'))
    const reason = boom()
    link.abort(reason)
    link.abort(new Error('a second one changes nothing'))
    t.equal(await reading, reason)
    t.equal(await writing, reason)
    await returned
    t.equal(link.port.send(texts('late')), 0)
    t.equal(await failureOf(link.sink(nothing())), reason, 'also of a sink that comes later')
  })

  t.test('abort before anything was read', async (t) => {
    const link = await make(t)
    const reason = boom()
    link.abort(reason)
    t.equal(await failureOf(hear(link.source)), reason)
    const { source, returned } = idle()
    t.equal(await failureOf(link.sink(source)), reason)
    await returned
  })

  t.test('a reader that leaves and aborts', async (t) => {
    const link = await make(t)
    const { source, returned } = idle()
    const writing = failureOf(link.sink(source))
    const reader = link.source[Symbol.asyncIterator]()
    const reading = drain({ [Symbol.asyncIterator]: () => reader })
    void reader.return?.()
    link.abort(boom())
    await reading
    t.ok(await writing)
    await returned
  })

  t.test('a source that fails fails its sink', async (t) => {
    const link = await make(t)
    const reason = boom()
    async function * failing (): AsyncGenerator<Batch> {
      yield texts('one')
      throw reason
    }
    t.equal(await failureOf(link.sink(failing())), reason)
  })
}

export function contract (t: Test, subject: Subject): void {
  const { halfClose } = subject.make().capabilities

  t.test('keeps the order, whatever the batches', async (t) => {
    for (const seed of [1, 2]) {
      for (const clientWrites of [true, false]) {
        const below = random(seed)
        const sent = Array.from({ length: 40 }, () => Array.from({ length: below(20) }, () => bytes(below(3) === 0 ? below(60_000) : below(200), below(256))))
        const { client, server } = await open(t, subject.make())
        const [writer, reader] = clientWrites ? [client, server] : [server, client]
        const answered = drain(writer.source) // a WebSocket learns of the answer to its close frame by reading
        const [heard] = await Promise.all([hear(reader.source), writer.sink(batches(...sent))])
        if (subject.keepsMessages) t.same(heard.map((one) => one.length), sent.flat().map((one) => one.length))
        t.ok(Buffer.concat(heard).equals(Buffer.concat(sent.flat())), `seed ${seed}, ${clientWrites ? 'client' : 'server'} writes`)
        reader.abort(boom())
        await answered
      }
    }
  })

  t.test('a reader that does not read stops the writer', async (t) => {
    const count = 640 // 40 MiB: more than the kernel takes
    const size = 65_536
    const { client, server } = await open(t, subject.make())
    const { source, pulled } = counted(count, size)
    const written = client.sink(source)
    void drain(client.source)
    await standstill(pulled)
    t.ok(pulled() < count, `stopped after ${pulled()} of ${count} batches`)
    const heard = Buffer.concat(await hear(server.source))
    await written
    t.equal(heard.length, count * size, 'then everything arrives')
    t.ok(inOrder(heard, size))
  })

  t.test('what is sent is read, never changed', async (t) => {
    const { client, server } = await open(t, subject.make())
    const packet = bytes(1400, 0x61)
    client.port.send([packet, packet])
    const written = client.sink(batches([packet, packet]))
    void drain(client.source)
    let length = 0
    for await (const batch of server.source) {
      for (const element of batch) {
        length += element.length
        element.fill(0xff) // whoever receives may
      }
    }
    await written
    t.equal(length, 4 * packet.length)
    t.ok(packet.every((byte) => byte === 0x61))
  })

  if (halfClose) {
    t.test('one direction ends, the other goes on', async (t) => {
      const { client, server } = await open(t, subject.make())
      await client.sink(batches(texts('request')))
      t.equal(await hearText(server.source), 'request')
      const [answer] = await Promise.all([hearText(client.source), server.sink(batches(texts('re', 'ply')))])
      t.equal(answer, 'reply')
    })

    t.test('a source that ended before it was read has ended, not failed', async (t) => {
      const { client, server } = await open(t, subject.make())
      await client.sink(nothing())
      await server.sink(nothing())
      t.same(await hear(server.source), [])
      t.same(await hear(client.source), [])
    })
  } else {
    t.test('refuses half-close cleanly', async (t) => {
      const { client, server } = await open(t, subject.make())
      const { source, returned } = idle()
      const idling = failureOf(server.sink(source))
      const [request] = await Promise.all([hearText(server.source), client.sink(batches(texts('request'))), drain(client.source)])
      t.equal(request, 'request')
      t.match(await idling, { code: 'ERR_LINK_CLOSED' }, 'a sink that runs')
      await returned
      t.match(await failureOf(server.sink(batches(texts('late')))), { code: 'ERR_LINK_CLOSED' }, 'a sink that comes later')
    })
  }

  endings(t, async (t) => (await open(t, subject.make())).client)

  t.test('the other side notices an abort', async (t) => {
    const { client, server } = await open(t, subject.make())
    const noticed = drain(server.source)
    client.abort(boom())
    await noticed
    t.pass('it has ended')
  })

  t.test('an abort before anything was read is noticed too, one after everything was is harmless', async (t) => {
    const { client, server } = await open(t, subject.make())
    client.abort(boom())
    await drain(server.source)
    server.abort(boom())
    const second = await open(t, subject.make())
    const ended = [drain(second.server.source), drain(second.client.source)]
    await Promise.all([second.client.sink(nothing()), halfClose ? second.server.sink(nothing()) : undefined, ...ended])
    second.client.abort(boom())
    second.server.abort(boom())
    await turn()
    t.same(await hear(second.client.source), [], 'harmless')
  })

  t.test('a reset fails the source with a code, and a sink that idles', async (t) => {
    const transport = subject.make()
    const { port, incoming } = await listening(t, transport.listen)
    const raw = await subject.dialRaw(transport, port)
    const server = await accept(t, incoming)
    const { source, returned } = idle()
    const writing = failureOf(server.sink(source))
    const reading = failureOf(hear(server.source))
    raw.reset()
    t.match(await reading, { code: /^E/ })
    t.match(await writing, { code: /^E/ })
    await returned
    t.equal(server.port.send(texts('late')), 0)
  })

  t.test('one client resets, another goes on', async (t) => {
    const transport = subject.make()
    const { listener, port } = await listening(t, transport.listen)
    const ended: Array<Promise<void>> = []
    const serving = (async () => {
      for await (const link of listener) {
        ended.push(link.sink(link.source).catch((err) => { link.abort(err) }))
      }
    })()
    const good = endsWith(t, await transport.dial({ host, port }))
    good.port.send(texts('one'))
    t.equal((await first(good.source)).toString(), 'one')
    const raw = await subject.dialRaw(transport, port)
    await until(() => ended.length === 2)
    raw.reset()
    await ended[1]
    good.port.send(texts('two'))
    t.equal((await first(good.source)).toString(), 'two')
    const third = endsWith(t, await transport.dial({ host, port }))
    third.port.send(texts('three'))
    t.equal((await first(third.source)).toString(), 'three')
    listener.close()
    await serving
  })

  t.test('dials: refused, aborted', async (t) => {
    const transport = subject.make()
    const { listener, port } = await listening(t, transport.listen)
    const reason = boom()
    t.equal(await failureOf(transport.dial({ host, port, signal: AbortSignal.abort(reason) })), reason, 'a signal that was aborted before')
    const controller = new AbortController()
    if (subject.dialsAtOnce !== true) {
      const dialling = failureOf(transport.dial({ host, port, signal: controller.signal }))
      controller.abort(reason)
      t.equal(await dialling, reason, 'a signal that is aborted meanwhile')
    }
    t.equal(getEventListeners(controller.signal, 'abort').length, 0)
    listener.close()
    t.match(await failureOf(transport.dial({ host, port })), { code: 'ECONNREFUSED' })
  })

  t.test('a port in use', async (t) => {
    const transport = subject.make()
    const { port } = await listening(t, transport.listen)
    const second = transport.listen({ host, port })
    t.match(await failureOf(second.port()), { code: 'EADDRINUSE' })
    const third = transport.listen({ host, port })
    t.match(await failureOf(third[Symbol.asyncIterator]().next() as Promise<unknown>), { code: 'EADDRINUSE' })
    second.close()
    third.close()
    const client = endsWith(t, await transport.dial({ host, port }))
    t.ok(client, 'the first listener is unharmed')
  })

  t.test('closing a listener ends its iteration; links go on', async (t) => {
    const transport = subject.make()
    const { listener, port, incoming, client, server } = await open(t, transport)
    const next = incoming.next()
    listener.close()
    listener.close()
    t.match(await next, { done: true })
    t.match(await listener[Symbol.asyncIterator]().next(), { done: true })
    t.equal(await listener.port(), port)
    client.port.send(texts('still here'))
    t.equal((await first(server.source)).toString(), 'still here')
    t.match(await failureOf(transport.dial({ host, port })), { code: 'ECONNREFUSED' })
    const again = transport.listen({ host, port })
    t.equal(await again.port(), port, 'the port is free')
    again.close()
    const hasty = transport.listen({ host, port: 0 })
    hasty.close()
    const outcome = await hasty.port().then(() => 'a port', (err) => err.code)
    t.ok(['a port', 'ERR_LINK_CLOSED'].includes(outcome), 'one that is closed at once does not leave anybody waiting')
    t.match(await hasty[Symbol.asyncIterator]().next(), { done: true })
  })

  t.test('links wait until they are accepted; an early leave closes what waits', async (t) => {
    for (const leave of ['break', 'close']) {
      const transport = subject.make()
      const { listener, port } = await listening(t, transport.listen)
      const clients: Link[] = []
      for (let i = 0; i < 4; i++) clients.push(endsWith(t, await transport.dial({ host, port })))
      const seen: Link[] = []
      for await (const link of listener) {
        seen.push(endsWith(t, link))
        if (seen.length < 2) continue
        if (leave === 'break') break
        listener.close()
      }
      t.equal(seen.length, 2)
      await Promise.all(clients.slice(2).map((client) => drain(client.source)))
      t.pass('those that waited have ended')
      clients[1].port.send(texts('still here'))
      t.equal((await first(seen[1].source)).toString(), 'still here', 'those that were accepted go on')
      t.match(await failureOf(transport.dial({ host, port })), { code: 'ECONNREFUSED' })
    }
  })

  t.test('a listener that nobody reads and that is closed keeps no link open', async (t) => {
    const transport = subject.make()
    const { listener, port } = await listening(t, transport.listen)
    const client = endsWith(t, await transport.dial({ host, port }))
    listener.close()
    await drain(client.source)
    t.pass('ended')
  })

  t.test('port: takes or drops, passes its bound by one batch at most', async (t) => {
    const queueLimit = 100_000
    const size = 3000
    const { client, server } = await open(t, subject.make({ queueLimit }))
    t.equal(client.port.limit, queueLimit)
    t.equal(client.port.queued, 0)
    t.equal(client.port.send([]), 0)
    let taken = 0
    for (;;) {
      const before = client.port.queued
      const result = client.port.send([bytes(1000, taken), bytes(size - 1000, taken)])
      if (result === 0) {
        if (before < queueLimit) t.fail(`dropped at ${before}`)
        break
      }
      if (result !== 2 || before >= queueLimit) t.fail(`took ${result} at ${before}`)
      taken++
    }
    t.ok(client.port.queued >= queueLimit)
    t.ok(client.port.queued <= queueLimit + size + 2 * subject.overhead, `${client.port.queued} bytes wait`)
    const reader = server.source[Symbol.asyncIterator]()
    const heard: Buffer[] = []
    let length = 0
    while (length < taken * size) {
      const { value } = await reader.next()
      for (const element of value) {
        heard.push(Buffer.from(element))
        length += element.length
      }
    }
    t.equal(length, taken * size, 'what was taken arrives, what was dropped does not')
    t.ok(inOrder(Buffer.concat(heard), size))
    await until(() => client.port.queued === 0)
    t.equal(client.port.send(texts('again')), 1, 'then there is room')
    client.abort(boom())
    t.equal(client.port.send(texts('late')), 0)
  })

  t.test('a bound that cannot be is refused where it is given', async (t) => {
    for (const queueLimit of [0, -1, 1.5, NaN, Infinity]) {
      t.throws(() => subject.make({ queueLimit }).listen({ host, port: 0 }), { code: 'ERR_OPTION' }, `listen: ${queueLimit}`)
      const dialling = async (): Promise<Link> => subject.make({ queueLimit }).dial({ host, port: 1 })
      t.match(await failureOf(dialling()), { code: 'ERR_OPTION' }, `dial: ${queueLimit}`)
    }
  })

  t.test('leaves nothing behind', async (t) => {
    const transport = subject.make()
    const { port, incoming } = await listening(t, transport.listen)
    const warnings: Error[] = []
    const onWarning = (warning: Error): void => { warnings.push(warning) }
    process.on('warning', onWarning)
    t.teardown(() => { process.off('warning', onWarning) })
    const { signal } = new AbortController()
    const endings: Array<(client: Link, server: Link) => Promise<unknown>> = [
      async (client, server) => { // orderly
        const ends = [drain(client.source), drain(server.source)]
        await client.sink(batches(texts('one')))
        if (halfClose) await server.sink(batches(texts('two')))
        await Promise.all(ends)
      },
      async (client, server) => { // the client breaks
        const ends = [drain(client.source), drain(server.source)]
        client.abort(boom())
        await Promise.all(ends)
        server.abort(boom())
      },
      async (client, server) => { // the server breaks, while both write
        const ends = [drain(client.source), drain(server.source), failureOf(client.sink(idle().source)), failureOf(server.sink(idle().source))]
        server.abort(boom())
        await ends[0]
        client.abort(boom())
        await Promise.all(ends)
      },
      async (client, server) => { // nobody ever read
        client.port.send(texts('unread'))
        client.abort(boom())
        server.abort(boom())
      }
    ]
    const resources = (): number => process.getActiveResourcesInfo().filter((name) => name !== 'Immediate').length
    const once = async (i: number): Promise<void> => {
      if (i % 5 === 4) {
        const raw = await subject.dialRaw(transport, port)
        const { value: link } = await incoming.next() as { value: Link }
        const reading = drain(link.source)
        raw.reset()
        await reading
        link.abort(boom())
        return
      }
      const client = await transport.dial({ host, port, signal })
      const { value: server } = await incoming.next() as { value: Link }
      await endings[i % 5](client, server)
    }
    await once(0)
    const before = resources()
    for (let i = 0; i < 200; i++) await once(i)
    await until(() => resources() <= before)
    t.equal(getEventListeners(signal, 'abort').length, 0)
    t.same(warnings, [])
  })
}
