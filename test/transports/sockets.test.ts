/** Options of sockets, and what accepted links know of their two ends: TCP, TLS and WebSocket. */
import { networkInterfaces } from 'node:os'
import t from 'tap'
import { wireSubjects } from '../helpers/transports/subjects.ts'
import { ca, cert, key } from '../helpers/certificates.ts'
import { accept, endsWith, failureOf, listening, talk } from '../helpers/ends.ts'
import { rawTcp } from '../helpers/raw-sockets.ts'
import { dialTcp, dialTls, dialWebSocket, ConnectionLimiter, listenTcp, listenTls, listenWebSocket, type AcceptedLink, type ListenInit } from '../../src/transports/index.ts'
import type { Link, Listener } from '../../src/types.ts'

const host = '127.0.0.1'
const hasIPv6 = Object.values(networkInterfaces()).flat().some((found) => found?.address === '::1')

/** Bounds of the system: Node would leave it at two hours beyond them. */
const [LEAST, MOST] = [1000, 32_767_000]

type Init = { keepAlive?: number, queueLimit?: number }

interface Kind {
  listen (init: ListenInit): Listener
  dial (port: number, init: Init): Promise<Link>
}

const kinds: Record<string, Kind> = {
  tcp: { listen: listenTcp, dial: (port, init) => dialTcp({ host, port, ...init }) },
  tls: { listen: (init) => listenTls({ cert, key, ...init }), dial: (port, init) => dialTls({ host, port, ca, ...init }) },
  ws: { listen: listenWebSocket, dial: (port, init) => dialWebSocket(`ws://${host}:${port}`, init) },
  wss: { listen: (init) => listenWebSocket({ tls: { cert, key }, ...init }), dial: (port, init) => dialWebSocket(`wss://${host}:${port}`, { ca, ...init }) }
}

for (const [name, { listen, dial }] of Object.entries(kinds)) {
  t.test(`${name}: links that are kept alive are links`, async (t) => {
    for (const keepAlive of [undefined, LEAST, 1500, 60_000, MOST]) {
      const { port, incoming } = await listening(t, (at) => listen({ ...at, keepAlive }))
      const client = endsWith(t, await dial(port, { keepAlive }))
      await talk(client, await accept(t, incoming))
    }
    t.pass()
  })

  t.test(`${name}: what the system would not take is refused where it is given`, async (t) => {
    for (const bad of [0, -1, 1, LEAST - 1, MOST + 1, 2 ** 31, 1000.5, NaN, Infinity, '60000', true]) {
      const init = { keepAlive: bad as number }
      t.throws(() => listen({ host, port: 0, ...init }), { name: 'OptionError', code: 'ERR_OPTION', message: /^keepAlive is / }, String(bad))
      t.match(await failureOf(dial(1, init)), { code: 'ERR_OPTION', message: /^keepAlive is / }, 'before it connects')
    }
    for (const queueLimit of [0, -1, 1.5, NaN]) {
      t.throws(() => listen({ host, port: 0, queueLimit }), { code: 'ERR_OPTION', message: /^queueLimit is / })
      t.match(await failureOf(dial(1, { queueLimit })), { code: 'ERR_OPTION', message: /^queueLimit is / })
    }
  })
}

for (const limiter of [undefined, new ConnectionLimiter()]) {
  for (const subject of wireSubjects({ limiter }).slice(0, 2)) {
    const name = limiter === undefined ? subject.name : `${subject.name}, with a gate`
    const ends = async (at: { listen: string, dial: string }): Promise<[client: Link, server: AcceptedLink, port: number, close: () => void]> => {
      const listener = subject.make().listen({ host: at.listen, port: 0 })
      const port = await listener.port()
      const dialled = at.dial === '127.0.0.1' || subject.name === 'tcp' ? subject.make().dial({ host: at.dial, port }) : dialTls({ host: at.dial, port, insecure: true })
      const [client, { value }] = await Promise.all([dialled, listener[Symbol.asyncIterator]().next()])
      return [client, value as AcceptedLink, port, () => { listener.close() }]
    }

    t.test(`${name}: both ends of an accepted link`, async (t) => {
      const cases: Array<[listen: string, dial: string, local: string]> = [['127.0.0.1', '127.0.0.1', '127.0.0.1'], ['0.0.0.0', '127.0.0.2', '127.0.0.2']]
      if (hasIPv6) cases.push(['::1', '::1', '::1'], ['::', '::1', '::1'], ['::', '127.0.0.1', '::ffff:127.0.0.1'])
      for (const [listen, dial, local] of cases) {
        const [client, server, port, close] = await ends({ listen, dial })
        t.same(server.local, { host: local, port }, `${dial} on ${listen}`)
        t.match(server.remote.host, local.startsWith(':') ? /^::/ : /^127\./)
        t.ok(server.remote.port > 0 && server.remote.port !== port)
        const both = [client, server]
        await talk(client, server)
        for (const link of both) link.abort(new Error('enough'))
        close()
      }
    })
  }
}

t.test('behind a proxy the local end is that of the proxy\'s connection', async (t) => {
  const { port, incoming } = await listening(t, (at) => listenTcp({ ...at, trustedProxies: [host] }))
  const { socket } = await rawTcp(port)
  socket.write('PROXY TCP4 192.0.2.1 198.51.100.1 5 443\r\nhello')
  const link = await accept(t, incoming)
  t.same([link.remote, link.local], [{ host: '192.0.2.1', port: 5 }, { host, port }])
  socket.destroy()
})
