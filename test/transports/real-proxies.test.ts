/** Listeners behind programs that half the world puts in front of them: nginx and HAProxy. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { ca, cert, key } from '../helpers/certificates.ts'
import { accept, bytes, drain, first, listening, texts, until } from '../helpers/ends.ts'
import { proxyV2 } from '../helpers/proxy-headers.ts'
import { skipWithout, skipWithoutStream, startHaproxy, startNginx } from '../helpers/proxies.ts'
import { ended, readHead, upgradeRequest } from '../helpers/raw-sockets.ts'
import { silent } from '../../src/log.ts'
import { ConnectionLimiter, listenTcp, listenTls, listenWebSocket, type ConnectionInfo, type AcceptedWebSocket, type ListenWebSocketInit } from '../../src/transports/index.ts'
import type { Link } from '../../src/types.ts'

/** Where clients come from. Only 127.0.0.1, from where the proxies come, is trusted. */
const CLIENT = '127.0.0.2'

interface Started {
  port: number
  incoming: AsyncIterator<AcceptedWebSocket>
  warnings: object[]
}

async function start (t: Test, init: Partial<ListenWebSocketInit> = {}): Promise<Started> {
  const warnings: object[] = []
  const log = { ...silent, warn: (fields: object) => { warnings.push(fields) } }
  return { ...await listening(t, (at) => listenWebSocket({ ...at, trustedProxies: ['127.0.0.1'], frames: { maxPayload: 1 << 20 }, log, ...init })), warnings }
}

/** A client of `ws` and the link that the listener has made of it, after data went both ways. */
async function join (t: Test, url: string, incoming: AsyncIterator<AcceptedWebSocket>, headers: Record<string, string> = {}): Promise<{ link: AcceptedWebSocket, client: WebSocket }> {
  const client = new WebSocket(url, { localAddress: CLIENT, ca, headers, perMessageDeflate: false })
  t.teardown(() => { client.terminate() })
  await once(client, 'open')
  const link = await accept(t, incoming)
  for (const size of [1, 1000, 1 << 20]) {
    const sent = bytes(size).map((_, i) => i * 7 + size)
    client.send(sent)
    if (!(await first(link.source)).equals(sent)) throw new Error(`${size} bytes did not arrive as they were sent`)
    const answer = once(client, 'message')
    link.port.send([sent])
    if (!(await answer as [Buffer])[0].equals(sent)) throw new Error(`${size} bytes did not come back as they were sent`)
  }
  return { link, client }
}

t.test('nginx', { skip: skipWithout('nginx') }, async (t) => {
  t.test('HTTP', async (t) => {
    const [plain, secure] = [await start(t), await start(t, { tls: { cert, key } })]
    const settings = 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;'
    const [toPlain, toSecure, withPorts, silentOne] = await startNginx(t, [
      { upstream: plain.port, settings },
      { upstream: secure.port, settings, scheme: 'https' },
      { upstream: plain.port, settings: 'proxy_set_header X-Forwarded-For "$remote_addr:$remote_port";' },
      { upstream: plain.port }
    ])
    t.same((await join(t, `ws://127.0.0.1:${toPlain}/path?x=1`, plain.incoming)).link.remote, { host: CLIENT, port: 0 })
    t.same((await join(t, `ws://127.0.0.1:${toSecure}`, secure.incoming)).link.remote, { host: CLIENT, port: 0 }, 'over TLS')
    const forged = await join(t, `ws://127.0.0.1:${toPlain}`, plain.incoming, { 'X-Forwarded-For': '203.0.113.7, 127.0.0.1' })
    t.equal(forged.link.remote.host, CLIENT, 'what the client had written there is not believed')
    const withPort = await join(t, `ws://127.0.0.1:${withPorts}`, plain.incoming)
    t.equal(withPort.link.remote.host, CLIENT)
    t.ok(withPort.link.remote.port > 0, 'with the port')
    t.equal((await join(t, `ws://127.0.0.1:${silentOne}`, plain.incoming)).link.remote.host, '127.0.0.1', 'a proxy that does not tell')
    t.same([...plain.warnings, ...secure.warnings], [])
  })

  t.test('HTTP: a source that has too many', async (t) => {
    const limiter = new ConnectionLimiter({ maxPerSource: 1 })
    const { port, incoming } = await start(t, { limiter })
    const [front] = await startNginx(t, [{ upstream: port, settings: 'proxy_set_header X-Forwarded-For 192.0.2.1;' }])
    const { client, link } = await join(t, `ws://127.0.0.1:${front}`, incoming)
    void drain(link.source)
    const second = new WebSocket(`ws://127.0.0.1:${front}`)
    const [, response] = await once(second.on('error', () => {}), 'unexpected-response')
    t.equal(response.statusCode, 503, 'it reaches the client')
    response.destroy()
    client.terminate()
    await until(() => limiter.stats.connections === 0)
    t.ok(await join(t, `ws://127.0.0.1:${front}`, incoming))
  })

  t.test('stream: version 1', { skip: skipWithoutStream }, async (t) => {
    const [plain, secure] = [await start(t), await start(t, { tls: { cert, key } })]
    const [toPlain, toSecure] = await startNginx(t, [plain, secure].map(({ port }) => ({ upstream: port, isStream: true, settings: 'proxy_protocol on;' })))
    for (const [url, { incoming }] of [[`ws://127.0.0.1:${toPlain}`, plain], [`wss://127.0.0.1:${toSecure}`, secure]] as const) {
      const { link } = await join(t, url, incoming)
      t.equal(link.remote.host, CLIENT, url)
      t.ok(link.remote.port > 0)
    }
    t.same([...plain.warnings, ...secure.warnings], [])
  })
})

t.test('HAProxy', { skip: skipWithout('haproxy') }, async (t) => {
  t.test('TCP: versions 1 and 2', async (t) => {
    const limiter = new ConnectionLimiter({ maxPerSource: 6 })
    const [plain, secure] = [await start(t, { limiter }), await start(t, { tls: { cert, key }, limiter })]
    const servers = [plain, secure]
    const versions = ['send-proxy', 'send-proxy-v2', 'send-proxy-v2 proxy-v2-options ssl,cert-cn,crc32c,unique-id']
    const fronts = await startHaproxy(t, versions.flatMap((settings) => servers.map(({ port }) => ({ mode: 'tcp' as const, upstream: port, settings }))))
    for (const [i, front] of fronts.entries()) {
      const { incoming } = servers[i % 2]
      const { link } = await join(t, `${i % 2 === 0 ? 'ws' : 'wss'}://127.0.0.1:${front}`, incoming, { 'X-Forwarded-For': '203.0.113.7' })
      const what = `${versions[Math.floor(i / 2)]}, ${i % 2 === 0 ? 'ws' : 'wss'}`
      t.equal(link.remote.host, CLIENT, `${what}: a header of the client is not believed`)
      t.ok(link.remote.port > 0, what)
      t.equal(link.slot?.source, CLIENT, what)
    }
    t.same([...plain.warnings, ...secure.warnings], [])
  })

  t.test('TCP: TCP and TLS listeners', async (t) => {
    const init = { trustedProxies: ['127.0.0.1'] }
    const plain = await listening<Link & ConnectionInfo>(t, (at) => listenTcp({ ...at, ...init }))
    const secure = await listening<Link & ConnectionInfo>(t, (at) => listenTls({ ...at, ...init, cert, key }))
    const [one, two, toSecure] = await startHaproxy(t, [
      { mode: 'tcp', upstream: plain.port, settings: 'send-proxy' },
      { mode: 'tcp', upstream: plain.port, settings: 'send-proxy-v2' },
      { mode: 'tcp', upstream: secure.port, settings: 'send-proxy-v2 ssl verify none' }
    ])
    for (const [port, { incoming }] of [[one, plain], [two, plain], [toSecure, secure]] as const) {
      const client = connect({ port, host: '127.0.0.1', localAddress: CLIENT })
      t.teardown(() => { client.destroy() })
      await once(client, 'connect')
      client.write('hello')
      const link = await accept(t, incoming)
      t.same(link.remote, { host: CLIENT, port: client.localPort })
      t.equal((await first(link.source)).toString(), 'hello')
      link.port.send(texts('welcome'))
      const [answer] = await once(client, 'data')
      t.equal(String(answer), 'welcome')
    }
  })

  t.test('HTTP', async (t) => {
    const { port, incoming, warnings } = await start(t)
    const [forwarding, doubly] = await startHaproxy(t, [
      { mode: 'http', upstream: port, options: 'option forwardfor' },
      { mode: 'http', upstream: port, options: 'option forwardfor', settings: 'send-proxy-v2' }
    ])
    t.same((await join(t, `ws://127.0.0.1:${forwarding}`, incoming)).link.remote, { host: CLIENT, port: 0 })
    const forged = await join(t, `ws://127.0.0.1:${forwarding}`, incoming, { 'X-Forwarded-For': '203.0.113.7' })
    t.same(forged.link.remote, { host: CLIENT, port: 0 }, 'what the client had written there is not believed')
    const both = await join(t, `ws://127.0.0.1:${doubly}`, incoming, { 'X-Forwarded-For': '203.0.113.7' })
    t.equal(both.link.remote.host, CLIENT)
    t.ok(both.link.remote.port > 0, 'the header in front tells more')
    t.same(warnings, [])
  })

  t.test('health checks', async (t) => {
    const limiter = new ConnectionLimiter({ maxPerSource: 1 })
    const { port, incoming, warnings } = await start(t, { limiter })
    const options = 'option httpchk GET /\n  http-check expect status 403'
    const [front] = await startHaproxy(t, [{ mode: 'tcp', upstream: port, options, settings: 'send-proxy-v2 check inter 20ms check-send-proxy' }])
    await until(() => limiter.stats.admitted >= 5)
    t.equal((await join(t, `ws://127.0.0.1:${front}`, incoming)).link.remote.host, CLIENT)
    t.same(warnings, [], 'the proxy speaks for itself, which is nothing to tell of')
    t.equal(limiter.stats.rejected.source, 0)
  })

  t.test('nginx in front of it', { skip: skipWithout('nginx') }, async (t) => {
    const { port, incoming } = await start(t)
    const [inner] = await startHaproxy(t, [{ mode: 'tcp', upstream: port, settings: 'send-proxy-v2' }])
    const [outer] = await startNginx(t, [{ upstream: inner, settings: 'proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;' }])
    t.same((await join(t, `ws://127.0.0.1:${outer}`, incoming, { 'X-Forwarded-For': '203.0.113.7' })).link.remote, { host: CLIENT, port: 0 })
  })

  t.test('a client that says it is a proxy', async (t) => {
    const { port, incoming, warnings } = await start(t)
    const [front] = await startHaproxy(t, [{ mode: 'tcp', upstream: port, settings: 'send-proxy-v2' }])
    const dial = async (to: number): Promise<Socket> => {
      const socket = connect({ port: to, host: '127.0.0.1', localAddress: CLIENT })
      t.teardown(() => { socket.destroy() })
      await once(socket, 'connect')
      return socket
    }
    for (const to of [port, front]) {
      const forged = await dial(to)
      forged.write(Buffer.concat([proxyV2({ host: '203.0.113.7', port: 1 }), Buffer.from(upgradeRequest())]))
      await ended(forged)
      t.pass(`the header is no HTTP, ${to === port ? 'straight' : 'through the proxy'}`)
      const claiming = await dial(to)
      claiming.write(upgradeRequest({ 'X-Forwarded-For': '203.0.113.7' }))
      t.match((await readHead(claiming)).head, /^HTTP\/1\.1 101 /)
      t.same((await accept(t, incoming)).remote, { host: CLIENT, port: claiming.localPort })
    }
    t.same(warnings, [])
  })
})
