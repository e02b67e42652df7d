/** A relay on a port, over the transport in memory: transport, layers, and who serves. */
import t, { type Test } from 'tap'
import { endsWith, failureOf, first, until } from '../../helpers/ends.ts'
import { codec, over } from '../../../src/layer.ts'
import { serve, type Served } from '../../../src/nodes/common/serve.ts'
import type { BindOptions } from '../../../src/nodes/common/rebindable-listener.ts'
import { ConnectionLimiter, memoryNetwork, type ConnectionInfo } from '../../../src/transports/index.ts'
import { OptionError } from '../../../src/errors.ts'
import type { Batch, Link, Listener, Transport } from '../../../src/types.ts'

const text = codec<Uint8Array, string>(() => ({
  decode: { push: (batch) => batch.map((bytes) => Buffer.from(bytes).toString()) },
  encode: { push: (batch) => batch.map((line) => Buffer.from(line)) }
}))

interface Options {
  port: number
  greeting: string
}

interface Relay {
  server: Served<Options, string, { calls: number }>
  network: Transport
  links: Array<Link<string> & ConnectionInfo>
  /** What has happened to it, in order. */
  calls: string[]
}

async function start (t: Test, port = 1, network = memoryNetwork()): Promise<Relay> {
  const links: Relay['links'] = []
  const calls: string[] = []
  const limiter = new ConnectionLimiter()
  const transport = {
    listen (at: BindOptions): Listener<Link & ConnectionInfo> {
      const listener = network.listen(at)
      return {
        ...listener,
        async * [Symbol.asyncIterator] () {
          for await (const link of listener) yield Object.assign(link, { remote: { host: 'here', port: 7 }, path: '/some?where', slot: limiter.admit('192.0.2.1', () => {}) })
        }
      }
    }
  }
  const server = await serve({
    transport,
    layers: text as unknown as (link: Link & ConnectionInfo) => Link<any>,
    accept: (link) => { links.push(endsWith(t, link)) },
    at: { host: '127.0.0.1', port },
    urlOf: (_at, port) => `memory:${port}`,
    verify ({ port, greeting }: Options) {
      if (greeting === '') throw new OptionError('greeting is missing')
      return { host: '127.0.0.1', port }
    },
    configure ({ greeting }) {
      calls.push(greeting)
      return greeting
    },
    status: () => ({ calls: calls.length }),
    async close () { calls.push('closed') }
  })
  t.teardown(() => server.close())
  return { server, network, links, calls }
}

async function * say (line: string): AsyncGenerator<Batch<string>> { yield [line] }

t.test('links come through the layers, and tell where they come from, what they asked for and their place at the limiter', async (t) => {
  const { server, network, links } = await start(t)
  t.equal(server.url, 'memory:1')
  t.same(server.status(), { url: 'memory:1', calls: 0 }, 'the status of the relay, with its url')
  const client = over(await network.dial({ host: '127.0.0.1', port: 1 }), text)
  await until(() => links.length === 1)
  const [link] = links
  t.match(link, { remote: { host: 'here', port: 7 }, path: '/some?where', slot: { source: '192.0.2.1' } })
  void client.sink(say('hello'))
  t.same(await first(link.source as any), ['hello'])
  link.slot?.evict()
  t.match(await failureOf(link.sink(say('x'))), { code: 'ERR_LINK_CLOSED' }, 'the limiter ends what is served')
})

t.test('a change takes effect when it listens there, one after the other; links stay', async (t) => {
  const { server, network, links, calls } = await start(t)
  await network.dial({ host: '127.0.0.1', port: 1 })
  await until(() => links.length === 1)
  t.same(await Promise.all([server.configure({ port: 2, greeting: 'a' }), server.configure({ port: 3, greeting: 'b' })]), ['a', 'b'])
  t.same(calls, ['a', 'b'])
  t.equal(server.url, 'memory:3')
  t.match(await failureOf(network.dial({ host: '127.0.0.1', port: 2 })), { code: 'ECONNREFUSED' })
  await network.dial({ host: '127.0.0.1', port: 3 })
  await until(() => links.length === 2)
})

t.test('a change that cannot work changes nothing, and the next one has its turn', async (t) => {
  const { server, network, calls } = await start(t)
  const other = await start(t, 2, network)
  const wrong = server.configure({ port: 3, greeting: '' })
  const taken = server.configure({ port: 2, greeting: 'taken' })
  t.match(await failureOf(wrong), { code: 'ERR_OPTION' })
  t.match(await failureOf(taken), { code: 'EADDRINUSE' })
  t.same(calls, [])
  t.same([server.url, other.server.url], ['memory:1', 'memory:2'])
  t.equal(await server.configure({ port: 1, greeting: 'right' }), 'right')
})

t.test('at the end it listens no more before what is served is ended, and takes no change', async (t) => {
  const { server, network, calls } = await start(t)
  const change = server.configure({ port: 2, greeting: 'before' })
  await null // it has begun, and looks a name up
  await server.close()
  t.equal(await change, 'before')
  t.same(calls, ['before', 'closed'])
  t.match(await failureOf(network.dial({ host: '127.0.0.1', port: 2 })), { code: 'ECONNREFUSED' })
  t.match(await failureOf(server.configure({ port: 3, greeting: 'after' })), { code: 'ERR_LINK_CLOSED' })
})

t.test('where it cannot listen, all is closed', async (t) => {
  const { network } = await start(t)
  let isClosed = false
  const failed = serve({
    transport: network as Transport<Link & ConnectionInfo>,
    layers: (link) => link,
    accept () {},
    at: { host: '127.0.0.1', port: 1 },
    urlOf: () => '',
    verify: () => ({ host: '127.0.0.1', port: 1 }),
    configure () {},
    status: () => ({}),
    async close () { isClosed = true }
  })
  t.match(await failureOf(failed), { code: 'EADDRINUSE' })
  t.ok(isClosed)
})

t.test('a connection that a layer or its handler fails for is ended and told of, and the next one is served', async (t) => {
  const network = memoryNetwork()
  const errors: object[] = []
  const served: string[] = []
  let count = 0
  const server = await serve({
    transport: {
      listen (at: BindOptions): Listener<Link & ConnectionInfo> {
        const listener = network.listen(at)
        return {
          ...listener,
          async * [Symbol.asyncIterator] () {
            for await (const link of listener) yield Object.assign(link, { remote: { host: 'here', port: ++count } })
          }
        }
      }
    },
    layers (link: Link & ConnectionInfo) {
      if (link.remote.port === 1) throw new Error('a fault of a layer')
      return link
    },
    accept (link) {
      if (link.remote.port === 2) throw new Error('a fault of its handler')
      served.push(`${link.remote.port}`)
      endsWith(t, link)
    },
    at: { host: '127.0.0.1', port: 1 },
    urlOf: () => '',
    verify: () => ({ host: '127.0.0.1', port: 1 }),
    configure: () => {},
    status: () => ({}),
    close: async () => {},
    log: { debug: () => {}, info: () => {}, warn: () => {}, error: (fields) => { errors.push(fields) } }
  })
  t.teardown(() => server.close())
  for (const fault of ['a fault of a layer', 'a fault of its handler']) {
    const client = await network.dial({ host: '127.0.0.1', port: 1 })
    t.ok(await failureOf(first(client.source)), fault)
  }
  endsWith(t, await network.dial({ host: '127.0.0.1', port: 1 }))
  await until(() => served.length === 1)
  t.same(served, ['3'])
  t.match(errors, [{ remote: { port: 1 }, err: { message: 'a fault of a layer' } }, { remote: { port: 2 }, err: { message: 'a fault of its handler' } }])
})
