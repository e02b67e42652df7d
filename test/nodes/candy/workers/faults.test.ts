/** Workers that end, listeners that move, and what cannot be. */
import { once } from 'node:events'
import { MessageChannel, Worker } from 'node:worker_threads'
import t from 'tap'
import { OptionError } from '../../../../src/errors.ts'
import type { WorkerCommand, WorkerEvent, WorkerInit } from '../../../../src/nodes/candy/relay/workers/messages.ts'
import { newRing, RingWriter } from '../../../../src/buffers/shared-ring.ts'
import { FrameEncoder } from '../../../../src/transforms/websocket-frames/index.ts'
import { serveCandy } from '../../../../src/nodes/candy/index.ts'
import { ca, cert, key, second } from '../../../helpers/certificates.ts'
import { PASSWORD } from '../../../helpers/candy/client.ts'
import { bytes, failureOf, until } from '../../../helpers/ends.ts'
import { freePort } from '../../../helpers/free-ports.ts'
import { numbered, numberOf, serve, take } from '../../../helpers/candy/crew.ts'

const BASE = { password: PASSWORD, dhcp: '10.77.0.0/24' }

t.test('a worker that dies is a failure of the relay, and its end waits for nobody', async (t) => {
  const ways = { 'by an exception': (worker: { postMessage (order: unknown): void }) => { worker.postMessage(null) }, 'by itself': async (worker: { terminate (): Promise<number> }) => await worker.terminate() }
  for (const [how, kill] of Object.entries(ways)) {
    const crew = await serve(t)
    const failure = failureOf(crew.server.failed as Promise<never>)
    const [here, there] = await crew.spread()
    void kill(crew.workers[here.worker])
    t.ok(await failure instanceof Error, how)
    t.equal((await here.client.closed).code, 1006)
    await crew.server.close()
    t.equal((await there.client.closed).code, 1000, 'those of the other one are told')
    t.match(crew.server.relay.stats, { connections: 0, peers: 0 })
  }
})

t.test('a worker that begins when another one has written to its ring already', async (t) => {
  const [there, back] = [newRing(), newRing()]
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => { port1.close() })
  const ALL = 1
  new RingWriter(there).write([ALL, 0, 0, 1, 30], new FrameEncoder('server').push([bytes(30)])[0])
  const gate = { maxPerSource: 10, maxHalfOpen: 10, maxConnections: 10 }
  const init: WorkerInit = { index: 1, count: 2, rings: [{ incoming: there, outgoing: back, port: port2 }, undefined], limits: { limiter: gate, unmasked: false, queueTotal: 1e6 }, handshakeTimeout: undefined }
  const worker = new Worker(new URL('../../../../src/nodes/candy/relay/workers/worker.ts', import.meta.url), { workerData: init, transferList: [port2] })
  t.teardown(() => worker.terminate())
  // the order about the sender waits, so that it is looked for as soon as the message is read
  const settings = { range: undefined, sourceCheck: 'strict', broadcast: true, isolate: false, packetRate: undefined, byteRate: undefined, frameRate: undefined, broadcastRate: 100 } as const
  const orders: WorkerCommand[] = [{ type: 'network', network: 0, settings }, { type: 'member', network: 0, id: 0, state: { address: 1, behind: undefined, gateways: new Set(), routes: [] } }, { type: 'no network', network: 0 }]
  for (const command of orders) worker.postMessage(command)
  const [event] = await once(worker, 'message') as [WorkerEvent] // rejects when it dies
  t.equal(event.type, 'counts')
})

t.test('options that cannot be', async (t) => {
  for (const bad of [{ workers: 0 }, { workers: 17 }, { workers: 1.5 }, { trustedProxies: ['nonsense'] }]) {
    t.ok(await failureOf(serveCandy({ listen: 'ws://127.0.0.1:0', workers: 2, ...BASE, ...bad })) instanceof OptionError, JSON.stringify(bad))
  }
})

t.test('it listens elsewhere with another certificate, and connections stay', async (t) => {
  const tls = { cert, key }
  const crew = await serve(t, { listen: 'wss://localhost:0', tls })
  const first = await crew.connect('', { ca })
  await first.login('10.77.0.1')
  await crew.server.configure({ ...BASE, listen: 'wss://localhost:0', tls: { cert: second.cert, key: second.key } })
  for (let i = 0; i < 8; i++) { // each of the workers has it, one may suppose
    t.match(await failureOf(crew.connect('', { ca })), { code: /^UNABLE_TO_/ })
    const next = await crew.connect('', { ca: second.ca })
    await next.login('10.77.0.2')
  }
  t.match(await failureOf(crew.server.configure({ ...BASE, listen: 'wss://localhost:0', tls: { ...tls, ca } })), { code: 'ERR_OPTION' }, 'it has not asked for certificates')
  const port = await freePort()
  const old = crew.server.url
  for (const to of [port, port]) await crew.server.configure({ ...BASE, listen: `wss://localhost:${to}`, tls })
  t.equal(crew.server.url, `wss://localhost:${port}`)
  const moved = await crew.connect('', { ca })
  await moved.login('10.77.0.3')
  first.send(numbered('10.77.0.1', '10.77.0.3', 7))
  t.equal(numberOf((await take(moved, 1))[0]), 7)
  t.notOk(old === crew.server.url)
  // On the port that it has, at another address: what it leaves has to be free before.
  await crew.server.configure({ ...BASE, listen: `wss://0.0.0.0:${port}`, tls })
  t.match(await failureOf(serveCandy({ ...BASE, listen: `wss://127.0.0.1:${port}`, tls, workers: 2 })), { code: 'EADDRINUSE' })
  t.match(await failureOf(serveCandy({ ...BASE, listen: `wss://127.0.0.1:${port}`, tls })), { code: 'EADDRINUSE' })
  first.send(numbered('10.77.0.1', '10.77.0.3', 8))
  t.equal(numberOf((await take(moved, 1))[0]), 8)
})

t.test('limits hold for all workers together', async (t) => {
  const crew = await serve(t, { maxPerSource: 3, trustedProxies: ['127.0.0.1'], maxConnections: 5 })
  const from = (host: string): object => ({ headers: { 'x-forwarded-for': host } })
  const all = []
  for (let i = 1; i <= 3; i++) {
    const client = await crew.connect('', from('192.0.2.1'))
    await client.login(`10.77.0.${i}`)
    all.push(client)
  }
  // The worker itself may have three of them, and answer 503; else the relay closes it.
  const extra = await crew.connect('', from('192.0.2.1')).then(async (client) => await client.closed, (err) => err)
  t.ok([1006, 1013].includes(extra.code) || extra.code === 'ERR_UPGRADE', String(extra.code))
  await until(() => crew.server.relay.stats.refused.source === 1)
  for (let i = 4; i <= 5; i++) all.push(await (await crew.connect('', from('192.0.2.2'))).login(`10.77.0.${i}`))
  const none = await crew.connect('', from('192.0.2.3')).then(async (client) => await client.closed, (err) => err)
  t.ok(none.code !== 1000, String(none.code))
  await until(() => crew.server.relay.stats.refused.limit === 1)
  all[0].link.close()
  await until(() => crew.server.relay.stats.connections === 4)
  // Its worker bounds connections by itself as well, and counts that one until the socket is closed.
  const enter = async (): Promise<boolean> => await crew.connect('', from('192.0.2.1')).then(async (client) => await client.login('10.77.0.1')).then(() => true, () => false)
  while (!await enter());
  t.match(crew.server.relay.stats, { connections: 5, peers: 5 })
})

t.test('silence, and no proof', async (t) => {
  const crew = await serve(t, { authTimeout: 1500, pingAfter: 1000, dropAfter: 4000 })
  const stranger = await crew.connect()
  const { client } = await crew.join('10.77.0.1')
  t.match(await stranger.closed, { reason: 'timeout' })
  await client.settled()
  await until(() => crew.server.relay.stats.halfOpen === 0)
  t.match(crew.server.relay.stats, { connections: 1, refused: { timeout: 1 } })
})
