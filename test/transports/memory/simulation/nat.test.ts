/** What a NAT does besides mapping and filtering: RFC 4787, and Linux. */
import fc from 'fast-check'
import t from 'tap'
import { endpoint, talker, text, told, type Talker } from '../../../helpers/transports/simulation.ts'
import { SimulatedNetwork, type NatInit, type SimulatedNat, type SimulatedNetworkInit } from '../../../../src/transports/memory/index.ts'
import { PortPool } from '../../../../src/transports/memory/simulation/port-pool.ts'
import { Random } from '../../../../src/transports/memory/simulation/random.ts'
import type { Endpoint } from '../../../../src/types.ts'

const OUTSIDE = '203.0.113.7'

interface Lab {
  network: SimulatedNetwork
  nat: SimulatedNat
  /** Inside, on port 5000 of two hosts. */
  alice: Talker
  bob: Talker
  /** Outside, on port 7. */
  server: Talker
  other: Talker
  third: Talker
}

async function lab (init: Partial<NatInit> = {}, options: SimulatedNetworkInit = {}): Promise<Lab> {
  const network = new SimulatedNetwork(options)
  const internet = network.subnet('0.0.0.0/0', { name: 'internet' })
  const home = network.subnet('192.168.1.0/24', { name: 'home' })
  const nat = network.nat({ inside: home, outside: internet, address: OUTSIDE, ...init })
  const [alice, bob] = [network.host({ on: home, address: '192.168.1.2', name: 'alice' }), network.host({ on: home, address: '192.168.1.3', name: 'bob' })]
  const [server, other, third] = await Promise.all(['server', 'other', 'third'].map((name, i) => talker(network.host({ on: internet, address: `198.51.100.${i + 1}`, name }), 7)))
  return { network, nat, alice: await talker(alice, 5000), bob: await talker(bob, 5000), server, other, third }
}

/** The endpoint that somebody inside has for somebody outside. */
const seen = async (network: SimulatedNetwork, from: Talker, to: Talker): Promise<Endpoint> => endpoint(await told(network, from, to))

const at = (port: number): Endpoint => ({ host: OUTSIDE, port })

t.test('hosts inside are seen by the address of the NAT, and answers get to the one that has asked', async (t) => {
  const { network, alice, bob, server } = await lab()
  const [a, b] = [await seen(network, alice, server), await seen(network, bob, server)]
  t.same([a.host, b.host], [OUTSIDE, OUTSIDE])
  t.not(a.port, b.port)
  t.equal(await told(network, server, alice, a), text(server.local))
  t.equal(await told(network, server, bob, b), text(server.local))
  t.equal(await told(network, server, alice, at(a.port === 1024 ? 1025 : 1024)), undefined, 'a port that nobody has')
  t.equal(network.counts.unmapped, 1)
})

t.test('hairpinning: by the endpoints outside, or not at all', async (t) => {
  for (const hairpin of [true, false]) {
    const { network, alice, bob, server } = await lab({ kind: 'full-cone', hairpin })
    const [a, b] = [await seen(network, alice, server), await seen(network, bob, server)]
    t.equal(await told(network, alice, bob, b), hairpin ? text(a) : undefined, 'the source is the one outside (REQ-9 a)')
    t.equal(network.counts.noHairpin, hairpin ? 0 : 1)
    t.equal(await told(network, alice, bob), text(alice.local), 'directly they reach each other anyway')
  }
  const { network, alice, bob, server } = await lab({ kind: 'port-restricted-cone', hairpin: true })
  const [a, b] = [await seen(network, alice, server), await seen(network, bob, server)]
  t.equal(await told(network, alice, bob, b), undefined, 'filters count here, too')
  t.equal(await told(network, bob, alice, a), text(b))
  t.equal(await told(network, alice, bob, b), text(a))
})

t.test('packets from inside keep a mapping, those from outside where they are to', async (t) => {
  for (const inboundRefresh of [false, true]) {
    const { network, nat, alice, server } = await lab({ kind: 'full-cone', timeout: 30_000, inboundRefresh })
    const a = await seen(network, alice, server)
    for (let i = 0; i < 3; i++) {
      await network.clock.pass(20_000)
      t.same(await seen(network, alice, server), a)
    }
    await network.clock.pass(20_000)
    t.equal(await told(network, server, alice, a), text(server.local))
    await network.clock.pass(20_000)
    t.equal(await told(network, server, alice, a), inboundRefresh ? text(server.local) : undefined)
    await network.clock.pass(30_000)
    t.equal(await told(network, server, alice, a), undefined)
    t.equal(nat.mappings('udp'), 0)
  }
})

t.test('a mapping ends at its time, neither before nor after', async (t) => {
  for (const [ms, isThere] of [[29_999, true], [30_000, false], [30_001, false]] as const) {
    const { network, alice, server } = await lab({ kind: 'full-cone', timeout: 30_000 })
    const a = await seen(network, alice, server)
    await network.clock.pass(ms - 500) // all ways to the NAT take the same time
    t.equal(await told(network, server, alice, a) !== undefined, isThere, `${ms} ms`)
  }
})

t.test('when there are no ports left a packet is dropped, and nobody loses a mapping', async (t) => {
  for (const portAssignment of ['random', 'sequential'] as const) {
    const { network, nat, alice, bob, server, other } = await lab({ kind: 'symmetric', ports: [2000, 2002], portAssignment })
    const there = [await seen(network, alice, server), await seen(network, alice, other), await seen(network, bob, server)]
    t.same(there.map(({ port }) => port).sort(), [2000, 2001, 2002])
    t.equal(await told(network, bob, other), undefined)
    t.equal(network.counts.portsExhausted, 1)
    t.equal(nat.mappings('udp'), 3)
    for (const [who, from, endpoint] of [[alice, server, there[0]], [alice, other, there[1]], [bob, server, there[2]]] as const) t.equal(await told(network, from, who, endpoint), text(from.local))
    await network.clock.pass(120_000)
    t.ok(await told(network, bob, other), 'time makes room')
    t.equal(nat.mappings('udp'), 1)
  }
})

t.test('a port is preserved where it is free', async (t) => {
  const { network, alice, bob, server, other } = await lab({ kind: 'symmetric', portPreservation: true, ports: [1024, 6000] })
  t.equal((await seen(network, alice, server)).port, 5000)
  t.not((await seen(network, bob, server)).port, 5000)
  t.not((await seen(network, alice, other)).port, 5000, 'no two mappings have one port')
  const low = await lab({ portPreservation: true, ports: [6000, 7000] })
  t.ok((await seen(low.network, low.alice, low.server)).port >= 6000, 'only ports of the NAT')
})

t.test('ports are given in order, or at random by the seed', async (t) => {
  const ports = async (portAssignment: 'random' | 'sequential', seed: number): Promise<number[]> => {
    const { network, alice, bob, server, other } = await lab({ kind: 'symmetric', portAssignment }, { seed })
    return [await seen(network, alice, server), await seen(network, alice, other), await seen(network, bob, server)].map(({ port }) => port)
  }
  t.same(await ports('sequential', 1), [1024, 1025, 1026])
  t.same(await ports('random', 1), await ports('random', 1))
  t.not((await ports('random', 1)).join(), (await ports('random', 2)).join())
})

// test/e2e/simulated-nat.test.ts compares more of it with Linux itself.
t.test('as Linux: who sends to the source of an unsolicited packet gets another port, for others as well', async (t) => {
  for (const remapsAfterUnsolicited of [true, false]) {
    const { network, alice, server, other } = await lab({ portPreservation: true, remapsAfterUnsolicited })
    other.say(at(5000)) // before anybody inside has sent anything
    await network.clock.pass(100)
    t.same(alice.heard, [])
    const forOther = await seen(network, alice, other)
    t.equal(forOther.port !== 5000, remapsAfterUnsolicited)
    t.same(await seen(network, alice, server), forOther)
    t.equal(await told(network, other, alice, forOther), text(other.local))
    t.equal(await told(network, server, alice, at(5000)), remapsAfterUnsolicited ? undefined : text(server.local))
    t.equal(await told(network, other, alice, at(5000)), remapsAfterUnsolicited ? undefined : text(other.local))
  }
})

t.test('as Linux: who has a mapping already keeps it for those whom it has sent to', async (t) => {
  const { network, nat, alice, server, other, third } = await lab({ portPreservation: true, remapsAfterUnsolicited: true })
  t.same(await seen(network, alice, server), at(5000))
  t.equal(await told(network, other, alice, at(5000)), undefined)
  const forOther = await seen(network, alice, other)
  t.not(forOther.port, 5000)
  t.same(await seen(network, alice, third), forOther, 'new ones get the newest mapping')
  t.same(await seen(network, alice, server), at(5000))
  t.equal(nat.mappings('udp'), 2)
  t.equal(await told(network, server, alice, at(5000)), text(server.local))
  t.equal(await told(network, other, alice, at(5000)), undefined)
  t.equal(await told(network, other, alice, forOther), text(other.local))
  t.equal(await told(network, server, alice, forOther), undefined)
})

t.test('as Linux: not when the packet was long ago', async (t) => {
  for (const [ms, isRemapped] of [[29_000, true], [30_500, false]] as const) {
    const { network, alice, other } = await lab({ portPreservation: true, remapsAfterUnsolicited: true })
    t.equal(await told(network, other, alice, at(5000)), undefined)
    await network.clock.pass(ms - 500)
    t.equal((await seen(network, alice, other)).port !== 5000, isRemapped)
  }
})

t.test('as Linux: who was first to send keeps the port, so of two peers behind such NATs the second one is remapped', async (t) => {
  const { network, alice, server, other } = await lab({ portPreservation: true, remapsAfterUnsolicited: true })
  t.equal((await seen(network, alice, other)).port, 5000)
  t.equal(await told(network, other, alice, at(5000)), text(other.local))
  t.equal((await seen(network, alice, other)).port, 5000)
  t.equal((await seen(network, alice, server)).port, 5000)
})

t.test('a NAT behind a NAT', async (t) => {
  const network = new SimulatedNetwork()
  const internet = network.subnet('0.0.0.0/0')
  const carrier = network.subnet('100.64.0.0/10')
  const home = network.subnet('192.168.1.0/24')
  network.nat({ inside: carrier, outside: internet, address: OUTSIDE, name: 'carrier NAT' })
  network.nat({ inside: home, outside: carrier, address: '100.64.0.2', kind: 'full-cone' })
  const [alice, neighbour, server] = await Promise.all([
    talker(network.host({ on: home, address: '192.168.1.2' })), talker(network.host({ on: carrier, address: '100.64.0.3' })), talker(network.host({ on: internet, address: '198.51.100.1' }))
  ])
  const outer = await seen(network, alice, server)
  t.equal(outer.host, OUTSIDE)
  t.equal(await told(network, server, alice, outer), text(server.local))
  const inner = await seen(network, alice, neighbour)
  t.equal(inner.host, '100.64.0.2')
  t.equal(await told(network, neighbour, alice, inner), text(neighbour.local))
})

t.test('errors of ICMP find the socket that they are about, through the NAT and out of it', async (t) => {
  for (const kind of ['full-cone', 'symmetric'] as const) {
    const { network, alice, bob, server } = await lab({ kind })
    await seen(network, alice, server)
    await seen(network, bob, server)
    server.socket.close()
    alice.say(server.local)
    await network.clock.pass(500)
    t.same([alice.socket.errors.unreachable, bob.socket.errors.unreachable], [1, 0])
    alice.say({ host: '198.51.100.99', port: 7 })
    await network.clock.pass(500)
    t.equal(alice.socket.errors.unreachable, 2, 'no such host')
  }
})

t.test('who sends to a closed port inside hears of it', async (t) => {
  const { network, alice, server } = await lab({ kind: 'full-cone' })
  const a = await seen(network, alice, server)
  alice.socket.close()
  server.say(a)
  await network.clock.pass(500)
  t.equal(server.socket.errors.unreachable, 1)
})

t.test('who sends to a closed port inside hears of it, also when nothing was sent to him', async (t) => {
  for (const mapping of ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] as const) {
    const { network, alice, server, other, third } = await lab({ mapping, filtering: 'endpoint-independent' })
    const [forServer, forThird] = [await seen(network, alice, server), await seen(network, alice, third)]
    t.equal(await told(network, other, alice, forServer), text(other.local))
    alice.socket.close()
    for (const endpoint of [forServer, forThird]) other.say(endpoint)
    await network.clock.pass(500)
    t.same(other.socket.errors.unreachable, 2, mapping)
    const toldOf = [...network.trace].filter(({ what, where, error }) => what === 'delivered' && where === 'other' && error !== undefined).map(({ error }) => error?.of)
    t.same(toldOf, [forServer, forThird], 'by the endpoints that he knows')
  }
})

t.test('errors from behind two NATs name the endpoint outside of both', async (t) => {
  const network = new SimulatedNetwork()
  const [internet, carrier, home] = [network.subnet('0.0.0.0/0'), network.subnet('100.64.0.0/10'), network.subnet('192.168.1.0/24')]
  const open = { mapping: 'address-and-port-dependent', filtering: 'endpoint-independent' } as const
  network.nat({ inside: carrier, outside: internet, address: OUTSIDE, ...open })
  network.nat({ inside: home, outside: carrier, address: '100.64.0.2', ...open })
  const alice = await talker(network.host({ on: home, address: '192.168.1.2' }))
  const [server, other] = [await talker(network.host({ on: internet, address: '198.51.100.1' })), await talker(network.host({ on: internet, address: '198.51.100.2', name: 'other' }))]
  const outer = await seen(network, alice, server)
  alice.socket.close()
  other.say(outer)
  await network.clock.pass(500)
  t.equal(other.socket.errors.unreachable, 1)
  t.match([...network.trace].at(-1), { what: 'delivered', where: 'other', error: { kind: 'portUnreachable', of: outer } })
})

t.test('a packet that is too large for the way back in is told to its sender, by hairpinning as well', async (t) => {
  for (const [bobInit, homeInit] of [[{ down: { mtu: 1000 } }, {}], [{}, { mtu: 1000 }]] as const) {
    const network = new SimulatedNetwork()
    const [internet, home] = [network.subnet('0.0.0.0/0'), network.subnet('192.168.1.0/24', homeInit)]
    network.nat({ inside: home, outside: internet, address: OUTSIDE, kind: 'full-cone', hairpin: true })
    const alice = await talker(network.host({ on: home, address: '192.168.1.2', name: 'alice', up: { mtu: 1500 } }))
    const bob = await talker(network.host({ on: home, address: '192.168.1.3', ...bobInit }))
    const server = await talker(network.host({ on: internet, address: '198.51.100.1' }))
    const b = await seen(network, bob, server)
    alice.say(b, 'x'.repeat(1200))
    await network.clock.pass(500)
    t.same([alice.socket.errors.tooLarge, bob.heard.length], [1, 0])
    t.match([...network.trace].at(-1), { what: 'delivered', where: 'alice', error: { kind: 'tooLarge', mtu: 1000, of: b } })
  }
})

t.test('as Linux: when no port is left, who has one keeps on using it for others', async (t) => {
  const { network, alice, bob, server, other, third } = await lab({ portPreservation: true, remapsAfterUnsolicited: true, ports: [5000, 5001] })
  t.same(await seen(network, alice, server), at(5000))
  t.equal(await told(network, other, alice, at(5000)), undefined)
  t.same(await seen(network, alice, other), at(5001), 'remapped')
  t.equal(await told(network, third, alice, at(5001)), undefined)
  t.same(await seen(network, alice, third), at(5000), 'an older one of its own')
  t.equal(await told(network, bob, server), undefined)
  t.equal(network.counts.portsExhausted, 1)
})

t.test('property: ports as a list of free ones has it, also when nearly all are in use', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 100 }), fc.boolean(), fc.boolean(), fc.array(fc.nat(200), { maxLength: 300 }), (count, isRandom, portPreservation, steps) => {
    const pool = new PortPool({ address: OUTSIDE, first: 1000, last: 999 + count, portPreservation, random: isRandom ? new Random(count) : undefined })
    const used = new Set<number>()
    for (const step of steps) {
      const port = 950 + step
      if (step % 3 === 0 && used.delete(port)) {
        pool.release(at(port))
        continue
      }
      const outside = pool.allocate({ host: '192.168.1.2', port }, (outside) => !used.has(outside.port))
      if (used.size === count) {
        if (outside !== undefined) return false
        continue
      }
      if (outside === undefined || outside.port < 1000 || outside.port >= 1000 + count || used.has(outside.port)) return false
      if (portPreservation && port >= 1000 && port < 1000 + count && !used.has(port) && outside.port !== port) return false
      used.add(outside.port)
    }
    return true
  }), { numRuns: 300 })
})

t.test('the last free port is found by a few looks at the table', async (t) => {
  const pool = new PortPool({ address: OUTSIDE, first: 1024, last: 65_535, portPreservation: false, random: new Random(1) })
  let looks = 0
  const used = new Set<number>()
  for (let i = 1024; i <= 65_535; i++) used.add(pool.allocate({ host: '192.168.1.2', port: 1 }, () => { looks++; return true })?.port ?? 0)
  t.equal(used.size, 65_536 - 1024)
  t.equal(looks, 65_536 - 1024)
  t.equal(pool.allocate({ host: '192.168.1.2', port: 1 }, () => true), undefined)
})

t.test('mappings that are over do not count, also when no packet comes', async (t) => {
  const { network, nat, alice, server } = await lab({ timeout: 30_000 })
  await seen(network, alice, server)
  t.equal(nat.mappings('udp'), 1)
  await network.clock.pass(30_000)
  t.equal(nat.mappings('udp'), 0)
})

t.test('an error about nothing that was sent does not pass', async (t) => {
  const { network, alice, bob, server, other } = await lab({ kind: 'port-restricted-cone' })
  const a = await seen(network, alice, server)
  other.say(a)
  await network.clock.pass(500)
  t.equal(other.socket.errors.unreachable, 0, 'filtered in silence')
  t.same([alice.socket.errors.unreachable, bob.socket.errors.unreachable], [0, 0])
})

t.test('a restart of the NAT', async (t) => {
  const { network, nat, alice, server } = await lab()
  const a = await seen(network, alice, server)
  nat.forget()
  t.equal(nat.mappings('udp'), 0)
  t.equal(await told(network, server, alice, a), undefined)
  t.not((await seen(network, alice, server)).port, a.port)
})

t.test('the table is bounded, whoever fills it', async (t) => {
  const { network, nat, alice, bob, server, other } = await lab({ kind: 'port-restricted-cone', maxEntries: 10, remapsAfterUnsolicited: true })
  const a = await seen(network, alice, server)
  for (let port = 1; port <= 100; port++) alice.say({ host: '198.51.100.2', port })
  await network.clock.pass(500)
  t.equal(network.counts.tableFull, 91)
  t.equal(await told(network, bob, other), undefined, 'nor is there room for another one')
  for (let port = 1; port <= 100; port++) other.say(at(port))
  await network.clock.pass(500)
  t.equal(nat.mappings('udp'), 1)
  t.equal(await told(network, server, alice, a), text(server.local), 'who is there stays')
})

t.test('what cannot work is refused', async (t) => {
  const network = new SimulatedNetwork()
  const [outside, inside] = [network.subnet('0.0.0.0/0'), network.subnet('192.168.1.0/24')]
  const good: NatInit = { inside, outside, address: OUTSIDE }
  const bad = (init: object): void => { t.throws(() => network.nat({ ...good, ...init } as NatInit), { code: 'ERR_OPTION' }, JSON.stringify(init, (_key, value) => value === inside || value === outside ? undefined : value)) }
  for (const kind of ['cone', 'toString', 5]) bad({ kind })
  for (const mapping of ['open', 1]) bad({ mapping })
  bad({ filtering: 'none' })
  for (const timeout of [0, -1, 1.5, Infinity, '5']) for (const name of ['timeout', 'tcpTimeout', 'unsolicitedTimeout']) bad({ [name]: timeout })
  for (const ports of [[0, 5], [5, 4], [1, 65_536], [1], [1.5, 2]]) bad({ ports })
  bad({ portAssignment: 'best' })
  bad({ maxEntries: 0 })
  for (const address of ['here', '2001:db8::1', '1.2.3', '', 5]) bad({ address })
  bad({ up: { loss: 2 } })
  network.nat(good) // what was refused has left nothing behind
  bad({ inside: outside })
  bad({ inside: network.subnet('10.0.0.0/8') }) // the address is in use
  bad({ address: '203.0.113.8' }) // the inside has a gateway
})

t.test('UDP and TCP have mappings and times of their own', async (t) => {
  const network = new SimulatedNetwork()
  const [internet, home] = [network.subnet('0.0.0.0/0'), network.subnet('192.168.1.0/24')]
  const nat = network.nat({ inside: home, outside: internet, address: OUTSIDE, kind: 'full-cone', ports: [5000, 5000], timeout: 30_000, tcpTimeout: 60_000 })
  const [inside, outside] = [network.host({ on: home, address: '192.168.1.2' }), network.host({ on: internet, address: '198.51.100.1' })]
  const [alice, server] = [await talker(inside, 5000), await talker(outside, 7)]
  const came: string[] = []
  const [here, there] = [inside, outside].map((host) => host.attach('tcp', (stack) => ({
    receive ({ protocol, source, payload }) {
      came.push(`${stack.name} ${protocol} ${text(source)} ${String(payload)}`)
      return source.port !== 9
    },
    fail ({ protocol }, { kind, of }) { came.push(`${stack.name} ${protocol} ${kind} ${text(of)}`) },
    say: (source: Endpoint, destination: Endpoint, payload: string) => { stack.send({ protocol: 'tcp', source, destination, bytes: 10, payload }) }
  })))
  here.say(alice.local, server.local, 'hello')
  await network.clock.pass(500)
  t.same(came.splice(0), [`host-2 tcp ${OUTSIDE}:5000 hello`])
  t.same([nat.mappings('tcp'), nat.mappings('udp')], [1, 0])
  t.equal((await seen(network, alice, server)).port, 5000, 'the same port, for the other protocol')
  await network.clock.pass(30_000)
  t.equal(await told(network, server, alice, at(5000)), undefined)
  there.say(server.local, at(5000), 'answer')
  await network.clock.pass(500)
  t.same(came.splice(0), ['host-1 tcp 198.51.100.1:7 answer'])
  there.say({ host: '198.51.100.1', port: 9 }, at(5000), 'refused')
  await network.clock.pass(500)
  t.same(came.splice(0), ['host-1 tcp 198.51.100.1:9 refused', `host-2 tcp portUnreachable ${OUTSIDE}:5000`])
  await network.clock.pass(60_000)
  there.say(server.local, at(5000), 'late')
  await network.clock.pass(500)
  t.same(came, [])
})
