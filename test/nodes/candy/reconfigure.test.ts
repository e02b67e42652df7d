/** Other settings for a relay that runs: who stays, who goes, and what holds from then on. */
import t, { type Test } from 'tap'
import { CandyRelay, type CandyNetworkInit } from '../../../src/nodes/candy/index.ts'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { CloseCode } from '../../../src/transforms/websocket-frames/index.ts'
import { toHex } from '../../helpers/bytes.ts'
import { connect, forward, received, type Connected } from '../../helpers/candy/client.ts'

const BASE: CandyNetworkInit = { password: 'x', dhcp: '10.0.0.0/24' }
const restart = (reason: string): object => ({ code: CloseCode.SERVICE_RESTART, reason })

async function start (t: Test, init: CandyNetworkInit = BASE): Promise<{ relay: CandyRelay, a: Connected, b: Connected }> {
  const relay = new CandyRelay(init)
  t.teardown(() => relay.close())
  const [a, b] = [connect(relay, { secret: new Secret('x') }), connect(relay, { secret: new Secret('x') })]
  await a.login('10.0.0.1')
  await b.login('10.0.0.2')
  return { relay, a, b }
}

async function reach (a: Connected, b: Connected): Promise<boolean> {
  a.inbox.length = b.inbox.length = 0
  a.send(forward('10.0.0.1', '10.0.0.2'))
  return (await received(a, b))[0].length === 1
}

t.test('settings that members do not notice', async (t) => {
  const { relay, a, b } = await start(t)
  const clear = { dhcp: '10.0.0.0/24', sourceCheck: 'strict', takeover: 'same-device', maxPeers: 2, packetRate: 100, byteRate: 10_000 } as const
  for (const init of [{}, clear, { dhcp: '10.0.0.99/24' }, { lenient: true, maxPerSource: 3, pingAfter: 5000, broadcastRate: 5, authFailures: 3, queueTotal: 1 }]) {
    t.same(relay.configure({ ...BASE, ...init }), { added: [], removed: [], ended: 0 }, JSON.stringify(init))
    t.ok(await reach(a, b))
  }
  const next = connect(relay, { secret: new Secret('x') })
  t.equal(await next.join('aaaaaaaaaaaaaaaa'), '10.0.0.3/24', 'addresses in use stay in use')
})

t.test('settings that hold at once', async (t) => {
  const { relay, a, b } = await start(t)
  relay.configure({ ...BASE, broadcast: false })
  a.send(forward('10.0.0.1', '255.255.255.255'))
  t.same(await received(a, b), [[]])
  relay.configure({ ...BASE, isolate: true })
  t.notOk(await reach(a, b))
  relay.configure({ ...BASE, packetRate: 1 })
  t.ok(await reach(a, b))
  t.notOk(await reach(a, b))
  relay.configure({ ...BASE, sourceCheck: 'off' })
  a.send(forward('9.9.9.9', '10.0.0.2'))
  t.equal((await received(a, b))[0].length, 1)
})

t.test('another password or another range ends those who came in with the old one', async (t) => {
  for (const change of [{ password: 'y' }, { dhcp: '10.0.0.0/16' }, { dhcp: '10.0.1.0/24' }, { dhcp: undefined }]) {
    const { relay, a, b } = await start(t)
    t.equal(relay.configure({ ...BASE, ...change }).ended, 2, JSON.stringify(change))
    for (const client of [a, b]) t.same(await client.closed, restart('the network has changed'))
    t.match(relay.stats, { peers: 0 })
  }
  const { relay } = await start(t)
  relay.configure({ ...BASE, password: 'y' })
  const [old, next] = ['x', 'y'].map((password) => connect(relay, { secret: new Secret(password) }))
  t.equal(await next.join('aaaaaaaaaaaaaaaa'), '10.0.0.1/24')
  await old.login('10.0.0.9')
  t.match(await old.closed, { reason: 'wrong password' })
})

t.test('routes that are new are pushed, and routes that are no more end who has them', async (t) => {
  const rule = (device: string, destination: string): string => `${device},${destination},10.0.0.9`
  const [first, second, third] = [rule('10.0.0.0/24', '172.16.0.0/16'), rule('10.0.0.1/32', '172.17.0.0/16'), rule('10.0.0.2/32', '172.18.0.0/16')]
  const { relay, a, b } = await start(t, { ...BASE, sdwan: first })
  a.inbox.length = b.inbox.length = 0
  t.equal(relay.configure({ ...BASE, sdwan: [first, second].join(';') }).ended, 0)
  t.same(await received(a, a, b), [['06010000ac110000ffff00000a000009'], []], 'only the new ones, and only to whom they are for')
  t.equal(relay.configure({ ...BASE, sdwan: [third, first, second].join(';') }).ended, 1, 'one in front of others: the order counts')
  t.same(await b.closed, restart('the routes have changed'))
  t.equal(relay.configure({ ...BASE, sdwan: first }).ended, 1)
  t.same(await a.closed, restart('the routes have changed'))
})

t.test('a member that is too slow to be told comes back', async (t) => {
  const { relay, a, b } = await start(t)
  a.server.port.send = () => 0
  t.equal(relay.configure({ ...BASE, sdwan: '10.0.0.0/24,172.16.0.0/16,10.0.0.9' }).ended, 1)
  t.same(await a.closed, restart('the routes have changed'))
  t.equal((await received(b, b))[0].length, 1)
})

t.test('a gateway that is one no more may not speak for its network', async (t) => {
  const { relay, a, b } = await start(t, { ...BASE, sdwan: '10.9.0.0/24,172.16.0.0/16,10.0.0.1' })
  const routed = forward('172.16.0.5', '10.0.0.2')
  a.send(routed)
  t.same(await received(a, b), [[toHex(routed)]])
  t.equal(relay.configure(BASE).ended, 0, 'the rule was for others')
  a.send(routed)
  t.same(await received(a, b), [[]])
  t.equal(relay.stats.drops.source, 1)
})

t.test('networks come and go', async (t) => {
  const networks = [{ ...BASE, path: '/a' }, { ...BASE, path: '/b' }]
  const relay = new CandyRelay({ networks })
  t.teardown(() => relay.close())
  const [a, b] = ['/a', '/b'].map((path) => connect(relay, { path, secret: new Secret('x') }))
  await a.join('aaaaaaaaaaaaaaaa')
  await b.join('bbbbbbbbbbbbbbbb')
  b.send(forward('10.0.0.1', '10.0.0.1'))
  await b.settled()
  t.same(relay.configure({ networks: [networks[0], { ...BASE, path: '/c' }] }), { added: ['/c'], removed: ['/b'], ended: 1 })
  t.same(await b.closed, restart('the network is no more'))
  t.match(await connect(relay, { path: '/b' }).closed, { reason: 'unknown network' })
  a.send(forward('10.0.0.1', '10.0.0.1'))
  t.equal((await received(a, a))[0].length, 1, 'the others have not noticed')
  t.match(relay.stats, { peers: 1, packetsIn: 2 }, 'what the one that is gone has carried still counts')
  t.same(Object.keys(JSON.parse(JSON.stringify(relay.leases))), ['/a', '/c'])

  t.same(relay.configure(BASE), { added: [''], removed: ['/a', '/c'], ended: 1 }, 'to one without a path')
})

t.test('settings that cannot be change nothing', async (t) => {
  const { relay, a, b } = await start(t)
  for (const init of [{ ...BASE, dhcp: 'x' }, { ...BASE, sdwan: 'x' }, { networks: [] }, { ...BASE, broadcastRate: 0 }, { ...BASE, maxPerSource: 0 }, { networks: [{ ...BASE, path: '/a' }, { ...BASE, path: '/a' }] }]) {
    t.throws(() => relay.configure(init), { code: 'ERR_OPTION' }, JSON.stringify(init))
    t.ok(await reach(a, b))
  }
  t.equal(relay.stats.peers, 2)
})
