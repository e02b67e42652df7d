import { connect } from 'node:net'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Registry } from 'prom-client'
import t, { type Test } from 'tap'
import { serveMetrics, type Health, type MetricsServer } from '../../../src/cli/process/metrics.ts'
import { ServiceMetrics } from '../../../src/cli/process/stats-metrics.ts'

interface Fixture {
  server: MetricsServer
  stats: { peers: number, packetsIn: number, drops: Record<string, number> }
  state: { health: Health }
}

async function serve (t: Test): Promise<Fixture> {
  const stats = { peers: 1, packetsIn: 2, drops: { source: 3, queue: 0 } as Record<string, number>, note: 'no number' }
  const state = { health: 'ok' as Health }
  const server = await serveMetrics({
    host: '127.0.0.1',
    port: 0,
    health: () => state.health
  })
  server.metrics.stats('tunpipe_candy', () => [{ labels: {}, stats }], ['peers'])
  let closed: Promise<void> | undefined
  const close = async (): Promise<void> => {
    closed ??= server.close()
    await closed
  }
  t.teardown(close)
  return { server: { ...server, close }, stats, state }
}

t.test('/metrics reads the numbers when it is asked', async (t) => {
  const { server, stats } = await serve(t)
  t.match(server.url, /^http:\/\/127\.0\.0\.1:[1-9]\d*$/)
  const response = await fetch(`${server.url}/metrics`)
  t.equal(response.status, 200)
  t.match(response.headers.get('content-type'), /^text\/plain; version=0\.0\.4/)
  const first = await response.text()
  t.match(first, /^tunpipe_candy_peers 1$/m)
  t.match(first, /^tunpipe_candy_packets_in_total 2$/m)
  t.match(first, /^tunpipe_candy_drops_total\{reason="source"\} 3$/m)
  t.match(first, /^# TYPE tunpipe_candy_peers gauge$/m)
  t.match(first, /^# TYPE tunpipe_candy_drops_total counter$/m)
  t.match(first, /^process_resident_memory_bytes /m)
  t.notMatch(first, /note/)

  Object.assign(stats, { peers: 0, packetsIn: 10, drops: { source: 4, queue: 5 } })
  const second = await (await fetch(`${server.url}/metrics?x=1`)).text()
  t.match(second, /^tunpipe_candy_peers 0$/m)
  t.match(second, /^tunpipe_candy_packets_in_total 10$/m)
  t.match(second, /^tunpipe_candy_drops_total\{reason="queue"\} 5$/m)
})

t.test('labels', async (t) => {
  const registry = new Registry()
  const networks: Array<[string, number]> = [['/a', 1], ['', 2]]
  let reads = 0
  new ServiceMetrics(registry).stats('x', () => {
    reads++
    return [{ labels: {}, stats: { connections: 7, refused: { path: 1 } } }, ...networks.map(([network, peers]) => ({ labels: { network }, stats: { peers, packetsIn: peers, refused: { path: 2, clock: peers } } }))]
  }, ['connections', 'peers'])
  await new Promise((resolve) => { setImmediate(resolve) })
  reads = 0
  const text = await registry.metrics()
  t.equal(reads, 1, 'once for all of them')
  for (const line of ['x_connections 7', 'x_peers{network="/a"} 1', 'x_peers 2', 'x_packets_in_total{network="/a"} 1', 'x_refused_total{reason="path"} 3', 'x_refused_total{network="/a",reason="path"} 2', 'x_refused_total{network="/a",reason="clock"} 1']) {
    t.ok(text.split('\n').includes(line), `${line} in ${text}`)
  }
  networks[0] = ['/b', 5]
  await new Promise((resolve) => { setImmediate(resolve) })
  const later = await registry.metrics()
  t.match(later, /^x_peers\{network="\/b"\} 5$/m)
  t.notMatch(later, /\/a/, 'a network that is gone is gone here as well')
})

t.test('/healthz', async (t) => {
  const { server, state } = await serve(t)
  const ask = async (): Promise<[number, string]> => {
    const response = await fetch(`${server.url}/healthz`)
    return [response.status, await response.text()]
  }
  t.same(await ask(), [200, 'ok\n'])
  state.health = 'offline'
  t.same(await ask(), [503, 'offline\n'])
  state.health = 'draining'
  t.same(await ask(), [503, 'draining\n'])
})

t.test('anything else', async (t) => {
  const { server } = await serve(t)
  t.equal((await fetch(`${server.url}/`)).status, 404)
  t.equal((await fetch(`${server.url}/metrics/x`)).status, 404)
  const post = await fetch(`${server.url}/metrics`, { method: 'POST', body: 'x' })
  t.equal(post.status, 405)
  t.equal(post.headers.get('allow'), 'GET, HEAD')
  const head = await fetch(`${server.url}/healthz`, { method: 'HEAD' })
  t.equal(head.status, 200)
  t.equal(head.headers.get('content-length'), '3')
  t.equal(await head.text(), '')
})

t.test('a request that is too large', async (t) => {
  const { server } = await serve(t)
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.end(`GET /metrics HTTP/1.1\r\nhost: x\r\nx: ${'x'.repeat(10_000)}\r\n\r\n`)
  t.match(await text(socket), /^HTTP\/1\.1 431 /)
})

t.test('closing does not wait for those who keep the connection', async (t) => {
  const { server } = await serve(t)
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1')
  socket.on('error', () => {}) // it may be a reset
  await once(socket, 'connect')
  await server.close()
  await once(socket, 'close')
})

t.test('an address in use', async (t) => {
  const { server } = await serve(t)
  const port = Number(new URL(server.url).port)
  await t.rejects(serveMetrics({ host: '127.0.0.1', port, health: () => 'ok' }), {
    code: 'EADDRINUSE',
    message: `cannot serve metrics on 127.0.0.1:${port}: address already in use`
  })
})
