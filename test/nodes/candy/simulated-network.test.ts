/** A relay and two peers behind NATs, whole, in a simulated network and in virtual time. */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { CandyPeer, CandyRelay } from '../../../src/nodes/candy/index.ts'
import { readUrl } from '../../../src/net/endpoint.ts'
import { websocketFrames } from '../../../src/transforms/websocket-frames/index.ts'
import { overAccepted } from '../../../src/transports/connection-guard.ts'
import { SimulatedNetwork, type Conditions, type SimulatedHost, type SimulatedNat } from '../../../src/transports/memory/index.ts'
import { VirtualClock } from '../../../src/streams/virtual-clock.ts'
import { userspaceTun, type UserspaceTun } from '../../../src/tun/index.ts'

const PASSWORD = 'a password of the test'
const RELAY = { host: '198.51.100.1', port: 8080 }

interface Member {
  host: SimulatedHost
  peer: CandyPeer
  tun: UserspaceTun
  /** Its events. */
  log: string[]
}

interface World {
  network: SimulatedNetwork
  clock: VirtualClock
  server: SimulatedHost
  nats: SimulatedNat[]
  members: [Member, Member]
}

/** Both peers are online when it settles. */
async function world (t: Test, conditions: Conditions, seed = 1): Promise<World> {
  const clock = new VirtualClock({ date: Date.UTC(2026, 0, 1) })
  const network = new SimulatedNetwork({ seed, clock, trace: 0 })
  const internet = network.subnet('0.0.0.0/0', { delay: 20, jitter: 5, ...conditions })
  const server = network.host({ on: internet, address: RELAY.host, name: 'relay' })
  const relay = new CandyRelay({ password: PASSWORD, dhcp: '10.77.0.0/24', clock })
  const listener = server.transport().listen(RELAY)
  void (async () => {
    for await (const link of listener) void relay.accept(overAccepted(link, websocketFrames({ ...relay.frames, role: 'server' })))
  })()
  const nats: SimulatedNat[] = []
  const join = async (name: string, i: number): Promise<Member> => {
    const home = network.subnet(`192.168.${i}.0/24`, { name })
    nats[i - 1] = network.nat({ inside: home, outside: internet, address: `203.0.113.${i}`, name: `nat of ${name}` })
    const host = network.host({ on: home, address: `192.168.${i}.2`, name })
    const tun = userspaceTun({ clock })
    const peer = new CandyPeer({
      url: `ws://${RELAY.host}:${RELAY.port}/`,
      password: PASSWORD,
      name,
      tun,
      clock,
      dial: async (url, { signal }) => await host.transport().dial({ ...readUrl(url) ?? RELAY, signal, timeout: 10_000 })
    })
    const log: string[] = []
    peer.on('online', () => { log.push('online') }).on('offline', () => { log.push('offline') })
    const online = once(peer, 'online')
    peer.start()
    await clock.until(online)
    return { host, peer, tun, log }
  }
  const members: World['members'] = [await join('alice', 1), await join('bob', 2)]
  t.teardown(async () => {
    const closing = Promise.all([...members.map(({ peer }) => peer.close()), relay.close()])
    listener.close()
    await clock.until(closing)
    for (const { tun } of members) tun.abort(new Error('the test is over'))
  })
  return { network, clock, server, nats, members }
}

const addressOf = ({ peer }: Member): string => (peer.address ?? '').split('/')[0]

/** One ping a second; how many were answered. */
async function pingEachSecond ({ clock, members: [alice, bob] }: World, seconds: number): Promise<number> {
  let answered = 0
  for (let i = 0; i < seconds; i++) {
    void alice.tun.ping(addressOf(bob), { timeout: 900 }).then(() => { answered++ }, () => {})
    await clock.pass(1000)
  }
  return answered
}

t.test('two peers behind NATs reach each other through the relay', async (t) => {
  const { clock, members: [alice, bob] } = await world(t, {})
  const roundTrip = await clock.until(alice.tun.ping(addressOf(bob)))
  t.ok(roundTrip >= 80 && roundTrip < 130, `${roundTrip} ms, as of four ways`)
})

t.test('a network that loses packets delays, and nothing else', async (t) => {
  const all = await world(t, { loss: 0.02, duplicate: 0.01, reorder: 0.01 })
  const answered = await pingEachSecond(all, 60)
  t.ok(answered >= 50, `${answered} of 60`)
  t.same(all.members.map(({ log }) => log), [['online'], ['online']])
})

t.test('5 s without a network: the connection goes on', async (t) => {
  const all = await world(t, { loss: 0.01 })
  const { network, clock, server, members: [alice, bob] } = all
  const heal = network.partition([server])
  await clock.pass(1000)
  const pinging = alice.tun.ping(addressOf(bob), { timeout: 30_000 })
  await clock.pass(4000)
  heal()
  t.ok(await clock.until(pinging) > 4000, 'what was sent meanwhile arrives')
  t.same([alice.log, bob.log], [['online'], ['online']])
})

t.test('a NAT that has forgotten the connection: the peer connects again', async (t) => {
  const all = await world(t, {})
  const { clock, nats, members: [alice, bob] } = all
  nats[0].forget()
  await clock.until(() => alice.log.includes('offline'))
  await clock.until(() => alice.peer.isOnline)
  t.ok(await clock.until(bob.tun.ping(addressOf(alice))) > 0)
  t.same(bob.log, ['online'])
})

t.test('two minutes without a network: the peers connect again', async (t) => {
  const all = await world(t, {})
  const { network, clock, server, members: [alice, bob] } = all
  const heal = network.partition([server])
  await clock.pass(120_000)
  t.same([alice.log[1], bob.log[1]], ['offline', 'offline'])
  heal()
  await clock.until(() => alice.peer.isOnline && bob.peer.isOnline, { within: 120_000 })
  t.ok(await clock.until(alice.tun.ping(addressOf(bob))) > 0)
})

t.test('the same seed, the same minute', async (t) => {
  const runs = []
  for (let i = 0; i < 2; i++) {
    const all = await world(t, { loss: 0.05 }, 7)
    const answered = await pingEachSecond(all, 30)
    runs.push({ answered, counts: { ...all.network.counts }, now: all.clock.now() })
  }
  t.same(runs[0], runs[1])
})
