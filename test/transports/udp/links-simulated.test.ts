/** Links by address over sockets of a simulated network, where it is known what comes together and what waits. */
import t from 'tap'
import { batches, failureOf, texts } from '../../helpers/ends.ts'
import { consume } from '../../../src/streams/consume.ts'
import { ACCEPT_BACKLOG } from '../../../src/transports/acceptor.ts'
import { SimulatedNetwork, type Conditions, type SimulatedHost } from '../../../src/transports/memory/index.ts'
import { dialUdp } from '../../../src/transports/udp/dial.ts'
import type { UdpLink } from '../../../src/transports/udp/flow.ts'
import { listenUdp, type ListenUdpInit, type UdpListener } from '../../../src/transports/udp/listener.ts'
import type { Datagram } from '../../../src/types.ts'

interface Network {
  network: SimulatedNetwork
  server: SimulatedHost
  client: SimulatedHost
  listener: UdpListener
  accepted: UdpLink[]
}

/** A listener on one host, and another host. */
async function lab (init: Partial<ListenUdpInit> = {}, conditions: Conditions = {}): Promise<Network> {
  const network = new SimulatedNetwork({ seed: 1 })
  const subnet = network.subnet('192.0.2.0/24', conditions)
  const [server, client] = ['192.0.2.1', '192.0.2.2'].map((address) => network.host({ on: subnet, address }))
  const listener = listenUdp({ host: '192.0.2.1', port: 7000, clock: network.clock, bind: (init) => server.bindUdp(init), ...init })
  await listener.port()
  const accepted: UdpLink[] = []
  return { network, server, client, listener, accepted }
}

function accepting ({ listener, accepted }: Network): void {
  void (async () => { for await (const link of listener) accepted.push(link) })()
}

const AT = { host: '192.0.2.1', port: 7000 }

t.test('links of a simulated network are dialled, accepted and end as those of the system', async (t) => {
  const all = await lab()
  accepting(all)
  const { network: { clock }, client, listener } = all
  const link = await dialUdp({ ...AT, clock, idleTimeout: 30_000, bind: (init) => client.bindUdp(init) })
  const heard: string[] = []
  const reading = consume(link, (batch) => { heard.push(...batch.map(String)) })
  link.port.send(texts('one', 'two'))
  await clock.pass(10)
  const [accepted] = all.accepted
  t.equal(accepted.remote.host, '192.0.2.2')
  accepted.port.send(texts('answer'))
  await clock.pass(30_010)
  t.same(heard.map((text) => Buffer.from(text.split(',').map(Number)).toString()), ['answer'])
  await reading
  t.equal(link.signal.aborted, true, 'idle')
  await clock.pass(60_000)
  t.equal(listener.flows, 0)
  listener.close()
})

t.test('many sinks share a slow socket: each waits for room, none loses anything', async (t) => {
  const LINKS = 20
  const EACH = 40
  const all = await lab({ sendLimit: 3000 }, { rate: 10_000_000, queue: 1 << 20 })
  accepting(all)
  const { network: { clock }, client, listener, accepted } = all
  const sockets = await Promise.all(Array.from({ length: LINKS }, () => client.bindUdp({ port: 0 })))
  const received = sockets.map(() => 0)
  for (const [i, socket] of sockets.entries()) {
    consume<Datagram>(socket, (batch) => { received[i] += batch.length }).catch(() => {})
    socket.port.send([{ data: Buffer.from('hello'), ...AT }])
  }
  await clock.pass(100)
  t.equal(accepted.length, LINKS)
  const data = Array.from({ length: EACH / 4 }, () => Array.from({ length: 4 }, () => Buffer.alloc(500)))
  const sinks = Promise.all(accepted.map((link) => link.sink(batches(...data))))
  await clock.until(sinks, { within: 60_000 })
  await clock.pass(1000)
  t.same(received, sockets.map(() => EACH))
  listener.close()
})

t.test('a link whose datagram has come with that of a newcomer keeps its place', async (t) => {
  const all = await lab({ maxFlows: 2 })
  accepting(all)
  const { network: { clock }, client, listener, accepted } = all
  const [a, b, newcomer] = [await client.bindUdp(), await client.bindUdp(), await client.bindUdp()]
  a.port.send([{ data: Buffer.from('a'), ...AT }])
  await clock.pass(100)
  b.port.send([{ data: Buffer.from('b'), ...AT }])
  await clock.pass(5000)
  for (const socket of [a, newcomer]) socket.port.send([{ data: Buffer.from('again'), ...AT }])
  await clock.pass(100)
  t.same(accepted.map(({ remote }) => remote.port), [a, b, newcomer].map(({ local }) => local.port))
  t.same(accepted.map(({ signal }) => signal.aborted), [false, true, false])
  t.match(listener, { evicted: 1, refused: 0, flows: 2 })
  listener.close()
})

t.test('a newcomer that nobody accepts takes the place of none', async (t) => {
  const all = await lab({ maxFlows: ACCEPT_BACKLOG + 1 })
  const { network: { clock }, client, listener } = all
  const links = listener[Symbol.asyncIterator]()
  const first = await client.bindUdp()
  first.port.send([{ data: Buffer.from('first'), ...AT }])
  await clock.pass(100)
  const { value: kept } = await links.next()
  for (let i = 0; i < ACCEPT_BACKLOG; i++) (await client.bindUdp()).port.send([{ data: Buffer.from('x'), ...AT }])
  await clock.pass(5000)
  t.equal(listener.flows, ACCEPT_BACKLOG + 1)
  const late = await client.bindUdp()
  late.port.send([{ data: Buffer.from('late'), ...AT }])
  await clock.pass(100)
  t.match(listener, { evicted: 0, refused: 1, flows: ACCEPT_BACKLOG + 1 })
  t.equal(kept.signal.aborted, false)
  listener.close()
  t.match(await failureOf(kept.sink(batches(texts('x')))), { code: 'ERR_LINK_CLOSED' })
})
