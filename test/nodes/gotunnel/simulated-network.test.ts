/** A relay, a peer behind a NAT, its service and a user behind another one, whole, in a simulated network and in virtual time. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { batches, bytes, hear } from '../../helpers/ends.ts'
import { GotunnelPeer, GotunnelRelay } from '../../../src/nodes/gotunnel/index.ts'
import { SimulatedNetwork, type Conditions, type SimulatedHost, type SimulatedLink } from '../../../src/transports/memory/index.ts'

const TOKEN = 'a token of the test'
const RELAY = { host: '198.51.100.1', port: 17_000 }
const REMOTE_PORT = 10_022
const SERVICE = { host: '192.168.1.3', port: 22 }

interface World {
  network: SimulatedNetwork
  server: SimulatedHost
  peer: GotunnelPeer
  /** A user connects. */
  use (): Promise<SimulatedLink>
}

/** The service sends back what it gets. The port is online when it settles. */
async function world (t: Test, mode: 'strict' | 'compatible', conditions: Conditions): Promise<World> {
  const network = new SimulatedNetwork({ seed: 5, trace: 0 })
  const { clock } = network
  const internet = network.subnet('0.0.0.0/0', { delay: 20, jitter: 5, ...conditions })
  const home = network.subnet('192.168.1.0/24')
  const office = network.subnet('192.168.2.0/24')
  network.nat({ inside: home, outside: internet, address: '203.0.113.1' })
  network.nat({ inside: office, outside: internet, address: '203.0.113.2' })
  const server = network.host({ on: internet, address: RELAY.host })
  const inside = network.host({ on: home, address: '192.168.1.2' })
  const user = network.host({ on: office, address: '192.168.2.2' })

  const service = network.host({ on: home, address: SERVICE.host }).transport().listen(SERVICE)
  void (async () => { for await (const link of service) link.sink(link.source).catch((err) => { link.abort(err) }) })()

  const transport = server.transport()
  const relay = new GotunnelRelay({ token: TOKEN, clock, listenForUsers: ({ host = '', ...at }) => transport.listen({ host, ...at }) })
  const listener = transport.listen({ ...RELAY, limiter: relay.limiter })
  void (async () => { for await (const link of listener) void relay.accept(link) })()

  const peer = new GotunnelPeer({
    server: `${RELAY.host}:${RELAY.port}`,
    token: TOKEN,
    mode,
    maps: [{ remotePort: REMOTE_PORT, local: SERVICE }],
    clock,
    dial: (to) => inside.transport().dial(to)
  })
  const online = once(peer, 'online')
  peer.start()
  await clock.until(online)
  t.teardown(async () => {
    listener.close()
    service.close()
    await clock.until(Promise.all([peer.close(), relay.close()]))
  })
  return { network, server, peer, use: () => user.transport().dial({ host: RELAY.host, port: REMOTE_PORT }) }
}

/** What comes back is what was sent. */
async function echoes (link: SimulatedLink, size: number, fill: number): Promise<boolean> {
  const [heard] = await Promise.all([hear(link.source), link.sink(batches([bytes(size, fill)]))])
  return Buffer.concat(heard).equals(bytes(size, fill))
}

for (const mode of ['strict', 'compatible'] as const) {
  t.test(`users of a service behind a NAT, through a network that loses packets, ${mode}`, async (t) => {
    const { network: { clock }, use } = await world(t, mode, { loss: 0.02, reorder: 0.01, duplicate: 0.01 })
    const users = Array.from({ length: 10 }, async (_, i) => await echoes(await use(), 5_000 * i, i))
    t.same(await clock.until(Promise.all(users), { within: 300_000 }), users.map(() => true))
  })

  t.test(`5 s without a network: users go on, ${mode}`, async (t) => {
    const { network, server, peer, use } = await world(t, mode, { loss: 0.01 })
    const { clock } = network
    const link = await clock.until(use())
    const echoed = echoes(link, 500_000, 7)
    await clock.pass(1000)
    const heal = network.partition([server])
    await clock.pass(5000)
    heal()
    t.ok(await clock.until(echoed, { within: 300_000 }))
    t.match(peer.status().maps[0], { state: 'online', failures: 0 })
  })
}

t.test('two minutes without a network: the port comes back', async (t) => {
  const { network, server, peer, use } = await world(t, 'strict', {})
  const { clock } = network
  const heal = network.partition([server])
  await clock.pass(120_000)
  t.notOk(peer.isOnline)
  heal()
  await clock.until(() => peer.isOnline, { within: 300_000 })
  t.ok(await clock.until(use().then((link) => echoes(link, 1000, 1))))
})
