import { once } from 'node:events'
import { createServer } from 'node:net'
import t, { type Test } from 'tap'
import { ca, cert, key } from '../helpers/certificates.ts'
import { accept, batches, drain, endsWith, failureOf, first, hearText, listening, texts } from '../helpers/ends.ts'
import { ended, rawTcp } from '../helpers/raw-sockets.ts'
import { dialTls, dialWebSocket, listenTls, listenWebSocket, type TlsClientInit, type TlsServerInit } from '../../src/transports/index.ts'
import type { Link, Listener } from '../../src/types.ts'

const host = '127.0.0.1'

interface Subject {
  name: string
  listen (init: Omit<TlsServerInit, 'cert' | 'key'>, at: { host: string, port: number }): Listener
  dial (port: number, init: TlsClientInit & { signal?: AbortSignal }, to?: string): Promise<Link>
}

const subjects: Subject[] = [
  {
    name: 'tls',
    listen: (init, at) => listenTls({ ...at, cert, key, ...init }),
    dial: (port, init, to = host) => dialTls({ host: to, port, ...init })
  },
  {
    name: 'wss',
    listen: (init, at) => listenWebSocket({ ...at, tls: { cert, key, ...init } }),
    dial: (port, init, to = host) => dialWebSocket(`wss://${to}:${port}`, init)
  }
]

for (const { name, listen, dial } of subjects) {
  const start = (t: Test, init: Omit<TlsServerInit, 'cert' | 'key'> = {}) => listening(t, (at) => listen(init, at))

  t.test(`${name}: certificates are verified`, async (t) => {
    const { port, incoming } = await start(t)
    t.match(await failureOf(dial(port, {})), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' }, 'nobody vouches for it')
    t.match(await failureOf(dial(port, { ca, servername: 'example.org' })), { code: 'ERR_TLS_CERT_ALTNAME_INVALID' }, 'another name')
    const links = [
      await dial(port, { ca }),
      await dial(port, { ca }, 'localhost'),
      await dial(port, { ca, servername: 'localhost' }),
      await dial(port, { insecure: true }),
      await dial(port, { insecure: true, servername: 'example.org' })
    ]
    for (const client of links) {
      endsWith(t, client)
      const server = await accept(t, incoming)
      client.port.send(texts('hello'))
      t.equal((await first(server.source)).toString(), 'hello')
    }
  })

  t.test(`${name}: a server may ask for certificates`, async (t) => {
    const { port, incoming } = await start(t, { ca })
    // With TLS 1.3 a client is done before the server has looked at its certificate: it may have a link, which ends.
    await dial(port, { ca }).then((link) => drain(endsWith(t, link).source), (err) => { t.match(err, { code: /^E/ }) })
    const client = endsWith(t, await dial(port, { ca, cert, key }))
    const server = await accept(t, incoming)
    client.port.send(texts('hello'))
    t.equal((await first(server.source)).toString(), 'hello', 'only the one that has a certificate was accepted')
  })

  t.test(`${name}: a client that does not finish its handshake is dropped`, async (t) => {
    const { port, incoming } = await start(t, { handshakeTimeout: 1000 }) // long enough for an honest one on a busy machine
    const silent = await rawTcp(port)
    await ended(silent.socket)
    const client = endsWith(t, await dial(port, { ca }))
    const server = await accept(t, incoming)
    client.port.send(texts('hello'))
    t.equal((await first(server.source)).toString(), 'hello', 'others are unharmed')
  })

  t.test(`${name}: a client that speaks no TLS is dropped`, async (t) => {
    const { port, incoming } = await start(t)
    const plain = await rawTcp(port)
    plain.socket.write('GET / HTTP/1.1\r\n\r\n')
    await ended(plain.socket)
    endsWith(t, await dial(port, { ca }))
    t.ok(await accept(t, incoming), 'others are unharmed')
  })

  t.test(`${name}: a server that ends the connection during the handshake`, async (t) => {
    const server = createServer((socket) => { socket.end() })
    server.listen(0, host)
    await once(server, 'listening')
    t.teardown(() => { server.close() })
    t.match(await failureOf(dial((server.address() as { port: number }).port, { ca })), { code: /^E/ })
  })

  t.test(`${name}: a server that stays silent`, async (t) => {
    const server = createServer()
    server.listen(0, host)
    await once(server, 'listening')
    t.teardown(() => { server.close() })
    const dialling = failureOf(dial((server.address() as { port: number }).port, { ca, handshakeTimeout: 20 }))
    const [socket] = await once(server, 'connection')
    socket.on('error', () => {})
    t.match(await dialling, { code: /^ERR_(TLS_HANDSHAKE|UPGRADE)_TIMEOUT$/ })
    await ended(socket)
    t.pass('the connection is closed')
  })

  t.test(`${name}: a timeout that cannot be is refused where it is given`, async (t) => {
    for (const handshakeTimeout of [0, -1, 1.5, NaN, Infinity, 2 ** 31]) {
      t.throws(() => listen({ handshakeTimeout }, { host, port: 0 }), { code: 'ERR_OPTION' }, `listen: ${handshakeTimeout}`)
      t.match(await failureOf(dial(1, { handshakeTimeout })), { code: 'ERR_OPTION' }, `dial: ${handshakeTimeout}`)
    }
  })

  t.test(`${name}: a signal that is aborted during the handshake`, async (t) => {
    const server = createServer()
    server.listen(0, host)
    await once(server, 'listening')
    t.teardown(() => { server.close() })
    const controller = new AbortController()
    const dialling = failureOf(dial((server.address() as { port: number }).port, { ca, signal: controller.signal }))
    const [socket] = await once(server, 'connection')
    socket.on('error', () => {})
    const reason = new Error('boom')
    controller.abort(reason)
    t.equal(await dialling, reason)
    await ended(socket)
    t.pass('the connection is closed')
  })
}

t.test('half-close goes through TLS', async (t) => {
  const { port, incoming } = await listening(t, (at) => listenTls({ ...at, cert, key }))
  const client = endsWith(t, await dialTls({ host, port, ca }))
  const server = await accept(t, incoming)
  await client.sink(batches(texts('request')))
  t.equal(await hearText(server.source), 'request')
  const [answer] = await Promise.all([hearText(client.source), server.sink(batches(texts('reply')))])
  t.equal(answer, 'reply')
})

t.test('a link knows its other end', async (t) => {
  const { port, incoming } = await listening(t, (at) => listenTls({ ...at, cert, key }))
  const client = endsWith(t, await dialTls({ host, port, ca }))
  const server = await accept(t, incoming)
  t.same(client.remote, { host, port })
  t.equal(server.remote.host, host)
  t.type(server.remote.port, 'number')
})

t.test('a listener without a usable certificate', async (t) => {
  t.throws(() => listenTls({ host, port: 0, cert: 'no certificate', key }), { code: /^ERR_/ })
  t.throws(() => listenWebSocket({ host, port: 0, tls: { cert, key: 'no key' } }), { code: /^ERR_/ })
})
