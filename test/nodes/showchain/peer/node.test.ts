/** Nodes find helpers and the kinds of their NATs, in a simulated network (SHOW CHAIN protocol, sections 4.1 and 5.1). */
import t from 'tap'
import { World } from '../../../helpers/showchain/world.ts'
import { sample } from '../../../helpers/sample.ts'
import type { EndpointDependence } from '../../../../src/nat/index.ts'

const FIRST = '192.0.2.1:7700'
const SECOND = '192.0.2.2:7700'
const BEHAVIOURS: EndpointDependence[] = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent']
const KINDS = { 'endpoint-independent': 1, 'address-dependent': 2, 'address-and-port-dependent': 3 } as const

async function twoHelpers (world: World): Promise<void> {
  await world.relay('rsa2056', { bootstrap: [SECOND] })
  await world.relay('h', { bootstrap: [FIRST] })
  await world.clock.pass(10_000)
}

t.test('each mapping and filtering, while datagrams get lost', { timeout: 3_600_000 }, async (t) => {
  const seeds = sample('seeds of each NAT', { short: 2, long: 100 })
  for (const mapping of BEHAVIOURS) {
    for (const filtering of BEHAVIOURS) {
      const expected = mapping === 'endpoint-independent' ? KINDS[filtering] : 4
      const others: unknown[] = []
      for (let seed = 1; seed <= seeds; seed++) {
        const world = new World({ seed, loss: 0.05 })
        await twoHelpers(world)
        const { node } = await world.node('a', { nat: { mapping, filtering } })
        for (let i = 0; i < 40 && !(node.kindReport?.isCertain === true && node.helpers.registered.length === 2); i++) await world.clock.pass(10_000)
        if (node.kind !== expected || node.helpers.registered.length !== 2) others.push({ seed, kind: node.kind, report: node.kindReport })
        await world.close()
      }
      t.same(others, [], `${mapping} mapping, ${filtering} filtering: T${expected}`)
    }
  }
})

t.test('a host without a NAT is T1; one behind a firewall is not', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await twoHelpers(world)
  const open = await world.node('a')
  await world.clock.pass(10_000)
  t.match(open.node, { kind: 1, isLooking: false })
  t.same(open.node.mapped.map(({ host }) => host), [open.host.addresses[0], open.host.addresses[0]])
})

t.test('helpers that do not know each other: the filter of hosts is not tested', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await world.relay('rsa2056')
  await world.relay('h')
  const [full, strict] = [await world.node('a', { nat: { kind: 'full-cone' } }), await world.node('b', { nat: { kind: 'port-restricted-cone' } })]
  await world.clock.pass(20_000)
  t.match(full.node, { kind: 2, kindReport: { isCertain: false, passesOtherHost: undefined, passesOtherPort: true } })
  t.match(strict.node, { kind: 3, kindReport: { isCertain: false, passesOtherHost: undefined, passesOtherPort: false } })
  t.equal(full.node.helpers.registered.length, 2)
})

t.test('one helper alone: unknown; another one that comes later tells it', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await world.relay('rsa2056', { bootstrap: [SECOND] })
  const late = { host: '192.0.2.2', port: 7700 }
  const { node } = await world.node('a', { nat: { kind: 'restricted-cone' }, bootstrap: [...world.bootstrap, late] })
  await world.clock.pass(20_000)
  t.match(node, { kind: undefined, kindReport: undefined })
  t.equal(node.helpers.registered.length, 1)
  await world.relay('h', { bootstrap: [FIRST] })
  await world.clock.pass(180_000)
  t.match(node, { kind: 2, kindReport: { isCertain: true } }, 'by a socket of its own, as the other one has sent to both')
})

t.test('a second helper whose name takes its time: it is not registered with while the filter is tested', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await twoHelpers(world)
  let isSlow = true
  const lookup = async (name: string): Promise<string> => {
    if (name !== 'second.example') return name
    if (isSlow) await new Promise<void>((resolve) => { world.clock.set(12_000, resolve) })
    isSlow = false
    return '192.0.2.2'
  }
  const { node } = await world.node('a', { nat: { kind: 'restricted-cone' }, bootstrap: [world.bootstrap[0], { host: 'second.example', port: 7700 }], lookup })
  await world.clock.until(() => node.kindReport !== undefined)
  t.match(node, { kind: 2, kindReport: { isCertain: true, passesOtherHost: false } })
  await world.clock.pass(5000)
  t.equal(node.helpers.registered.length, 2)
})

t.test('another NAT: the kind is looked for again', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await twoHelpers(world)
  const { node, host } = await world.node('a', { nat: { kind: 'full-cone' } })
  await world.clock.pass(20_000)
  t.equal(node.kind, 1)
  const { network, internet } = world
  const other = network.subnet('192.168.1.0/24', { delay: 1 })
  network.nat({ inside: other, outside: internet, address: '203.0.113.99', kind: 'symmetric' })
  host.leave(host.interfaces[0])
  host.join({ on: other, address: '192.168.1.2' })
  await world.clock.pass(120_000)
  t.match(node, { kind: 4, kindReport: { isCertain: true } })
})

t.test('helpers that die are replaced, and come back', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await twoHelpers(world)
  for (const key of ['e', 'f', 'g'] as const) await world.relay(key)
  const { node } = await world.node('a', { nat: { kind: 'port-restricted-cone' } })
  await world.clock.pass(30_000)
  const registered = (): string[] => node.helpers.registered.map(({ endpoint: { host } }) => host).sort()
  t.same(registered(), ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.4'], 'four at one time')
  await world.relays[0].close()
  await world.clock.pass(60_000)
  t.same(registered(), ['192.0.2.2', '192.0.2.3', '192.0.2.4', '192.0.2.5'], 'the one in reserve')
  await world.relays[1].close()
  world.relays[0] = await world.startRelay(world.relayHosts[0], 'c')
  await world.clock.pass(60_000)
  t.same(registered(), ['192.0.2.1', '192.0.2.3', '192.0.2.4', '192.0.2.5'], 'with another key, after a restart')
})

t.test('a helper that is named twice counts once', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await world.relay('rsa2056')
  const [first] = world.bootstrap
  const lookup = async (name: string): Promise<string> => name === 'again.example' ? first.host : name
  const { node } = await world.node('a', { nat: { kind: 'symmetric' }, bootstrap: [first, first, { host: 'again.example', port: first.port }], lookup })
  await world.clock.pass(60_000)
  for (let i = 0; i < 60; i++) {
    await world.clock.pass(1000)
    if (node.helpers.registered.length !== 1) t.fail('another registration')
  }
  t.match(node.helpers.all, [{ isRegistered: true }, { reason: `the same relay as ${FIRST}` }])
  t.equal(node.helpers.all.length, 2)
  t.equal(node.kind, undefined)
})

t.test('helpers that are not there are asked less and less often, however many they are; then one comes', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  const bootstrap = Array.from({ length: 16 }, (_, i) => ({ host: `192.0.2.${i + 1}`, port: 7700 }))
  const { node } = await world.node('a', { bootstrap })
  await world.clock.pass(600_000)
  const before = world.network.counts.sent
  await world.clock.pass(600_000)
  t.ok(world.network.counts.sent - before < 10 * 100, `${world.network.counts.sent - before} datagrams in ten minutes`)
  await world.relay('h')
  await world.clock.until(() => node.helpers.registered.length === 1, { within: 300_000 })
})

t.test('idle, a node sends keep-alives alone', async (t) => {
  const world = new World()
  t.teardown(() => world.close())
  await twoHelpers(world)
  const { node } = await world.node('a', { nat: { kind: 'port-restricted-cone' } })
  await world.clock.pass(60_000)
  const before = structuredClone(node.stats.sent)
  await world.clock.pass(60_000)
  const sent = Object.fromEntries(Object.entries(node.stats.sent).map(([name, count]) => [name, count - before[name as keyof typeof before]]).filter(([, count]) => count !== 0))
  t.same(sent, { keepAlive: 8 })
})
