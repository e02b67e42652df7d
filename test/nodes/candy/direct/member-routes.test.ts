/** Measured paths, and routes through other members: case 28 of the protocol's test cases. */
import t, { type Test } from 'tap'
import { address } from '../../../helpers/candy/vectors.ts'
import { delay, keyOf, Kind, seal } from '../../../helpers/candy/direct.ts'
import { joinOriginal, type OriginalMember } from '../../../helpers/candy/simulated-original.ts'
import { PASSWORD, World, type Member } from '../../../helpers/candy/simulated-direct.ts'
import type { TappedSocket } from '../../../helpers/candy/tapped-socket.ts'
import type { Endpoint } from '../../../../src/types.ts'

const CONE = { kind: 'port-restricted-cone' } as const
const WITHDRAWN = 0x7fff_ffff

const [FIRST, SECOND, NOBODY] = ['10.77.0.50', '10.77.0.51', '10.77.0.99']

function route (destination: string, next: string, rtt: number): Buffer {
  const text = Buffer.alloc(13)
  text[0] = Kind.ROUTE
  text.writeUInt32BE(address(destination), 1)
  text.writeUInt32BE(address(next), 5)
  text.writeInt32BE(rtt, 9)
  return text
}

interface Trio {
  world: World
  ours: Member
  originals: OriginalMember[]
  /** Of ours. */
  socket: TappedSocket
}

/** Ours, and members with the original client that it has direct paths to. */
async function trio (t: Test, { cost = 5, count = 2 } = {}): Promise<Trio> {
  const world = new World(t)
  await world.stun()
  const ours = await world.join({ name: 'ours', nat: CONE, peer: { route: cost }, isTapped: true })
  const originals: OriginalMember[] = []
  for (const [i, address] of [FIRST, SECOND].slice(0, count).entries()) {
    const original = await joinOriginal(world, { name: `original ${i + 1}`, nat: CONE, address, cost: 5 })
    original.discover(ours.address)
    originals.push(original)
  }
  await world.clock.pass(8000)
  for (const original of originals) t.equal(original.stateOf(ours.address), 'CONNECTED')
  return { world, ours, originals, socket: ours.socket! }
}

const endpointOf = (original: OriginalMember, member: Member): Endpoint => original.remotes.get(member.address)!.used!

t.test('case 28: DELAY comes back byte for byte', async (t) => {
  for (const cost of [5, 0]) {
    const { world, ours, originals: [original] } = await trio(t, { cost, count: 1 })
    const sent = [0, 1, 123_456_789, 2 ** 53 - 1, 2 ** 53 + 2, -1].map((time) => delay(FIRST, ours.address, time))
    for (const text of sent) original.tell(ours.address, text, endpointOf(original, ours))
    original.tell(ours.address, delay(SECOND, ours.address, 7), endpointOf(original, ours)) // in the name of another one
    original.tell(ours.address, delay(FIRST, SECOND, 7), endpointOf(original, ours)) // to another one
    original.plaintexts.length = 0
    await world.clock.pass(500)
    const echoes = original.plaintexts.filter(({ text }) => text[0] === Kind.DELAY).map(({ text }) => text.toString('hex'))
    t.same(echoes, cost === 0 ? [] : sent.map((text) => text.toString('hex')), `cost ${cost}`)
    t.same(original.faults, [])
  }
})

t.test('case 28: a path of more than a second is withdrawn', async (t) => {
  const { world, originals: [first, second] } = await trio(t)
  await world.clock.pass(10_000)
  t.match(second.advertised.findLast(({ destination }) => destination === FIRST), { rtt: 44 + 5 })
  first.nat!.setConditions({ up: { delay: 490 }, down: { delay: 490 } })
  await world.clock.pass(130_000)
  t.match(second.advertised.findLast(({ destination }) => destination === FIRST), { rtt: WITHDRAWN })
  t.same([...first.faults, ...second.faults], [])
})

t.test('case 28: a route whose round trip becomes more than a second is withdrawn', async (t) => {
  const { world, ours, originals: [first, second] } = await trio(t)
  await world.clock.pass(10_000)
  const told = (): number | undefined => second.advertised.findLast(({ destination }) => destination === NOBODY)?.rtt
  for (const [rtt, expected] of [[10, 10 + 44 + 5], [20, 20 + 44 + 5], [1001, WITHDRAWN]]) {
    first.tell(ours.address, route(NOBODY, FIRST, rtt), endpointOf(first, ours))
    await world.clock.pass(3000)
    t.equal(told(), expected, `${rtt} ms`)
  }
})

t.test('case 28: ROUTE of one that is no neighbour is rejected', async (t) => {
  const { world, ours, originals: [first, second], socket } = await trio(t)
  await world.clock.pass(10_000)
  const { drops } = ours.peer.stats
  first.tell(ours.address, route(NOBODY, SECOND, 1), endpointOf(first, ours)) // in the name of another neighbour
  first.tell(ours.address, route(NOBODY, '10.77.0.70', 1), endpointOf(first, ours))
  first.tell(ours.address, route(ours.address, FIRST, 1), endpointOf(first, ours)) // to ourselves
  first.tell(ours.address, route('192.0.2.1', FIRST, 1), endpointOf(first, ours)) // outside of the network
  await world.clock.pass(500)
  t.equal(ours.peer.stats.drops.memberRoute, drops.memberRoute + 4)

  const { source } = ours.peer.stats.drops
  socket.inject({ data: seal(keyOf(PASSWORD, ours.address), route(NOBODY, FIRST, 1)), host: '203.0.113.200', port: 5000 })
  t.equal(ours.peer.stats.drops.source, source + 1, 'of one who knows the password, and has no path')
  await world.clock.pass(5000)
  t.notOk(second.advertised.some(({ destination }) => destination === NOBODY))
})

interface Three {
  world: World
  a: Member
  b: Member
  c: Member
}

async function three (t: Test): Promise<Three> {
  const world = new World(t)
  await world.stun()
  const join = async (name: string): Promise<Member> => await world.join({ name, nat: CONE, peer: { route: 5 } })
  return { world, a: await join('a'), b: await join('b'), c: await join('c') }
}

t.test('case 28: A reaches C through B while their own path is cut, and directly again', async (t) => {
  const { world, a, b, c } = await three(t)
  for (const [one, other] of [[a, b], [b, c], [a, c]] as const) await world.ping(one, other)
  await world.clock.pass(15_000)
  t.equal(await world.ping(a, c), 44)
  t.equal(b.peer.stats.carried, 0)

  const heal = world.network.partition([a.nat!], [c.nat!])
  await world.clock.pass(100_000) // B tells its route again once a minute
  const before = b.peer.stats.carried
  for (let i = 0; i < 10; i++) t.equal(await world.ping(a, c), 88)
  t.equal(b.peer.stats.carried - before, 20, 'B carries requests and answers')

  heal()
  for (let i = 0; i < 90; i++) {
    await world.ping(a, c)
    await world.clock.pass(1000)
  }
  const after = b.peer.stats.carried
  for (let i = 0; i < 10; i++) t.equal(await world.ping(a, c), 44)
  t.equal(b.peer.stats.carried, after)
})

t.test('case 28: links fail and come back in turn: all packets together are carried less often than their TTL allows, and routes settle', async (t) => {
  const { world, a, b, c } = await three(t)
  const members = [a, b, c]
  const links = [[a, b], [b, c], [a, c]] as const
  let sent = 0
  for (let round = 0; round < 12; round++) {
    const heal = world.network.partition([links[round % 3][0].nat!], [links[round % 3][1].nat!])
    for (let i = 0; i < 20; i++) {
      for (const from of members) {
        for (const to of members) {
          if (from === to) continue
          sent += 2
          from.tun.ping(to.address, { timeout: 1000 }).catch(() => {})
        }
      }
      await world.clock.pass(500)
    }
    heal()
  }
  const carried = members.reduce((sum, { peer }) => sum + peer.stats.carried, 0)
  t.ok(carried <= sent, `${carried} of ${sent}`)
  t.same(members.map(({ peer }) => peer.stats.drops.hops), [0, 0, 0])
  await world.clock.pass(70_000)
  for (const [one, other] of links) t.equal(await world.ping(one, other), 44)
})

t.test('case 28: a loop that a member makes: a packet is carried no more often than its TTL says', async (t) => {
  const world = new World(t)
  await world.stun()
  const [a, b] = [await world.join({ name: 'a', nat: CONE, peer: { route: 5 } }), await world.join({ name: 'b', nat: CONE, peer: { route: 5 } })]
  const liar = await joinOriginal(world, { name: 'liar', nat: CONE, address: FIRST, cost: 5 })
  await world.ping(a, b)
  liar.discover()
  await world.clock.pass(20_000)
  for (const { address } of [a, b]) t.equal(liar.stateOf(address), 'CONNECTED')
  liar.nextHops.set(NOBODY, b.address) // what A sends to the liar goes to B, and B has the route that A tells it
  liar.tell(a.address, route(NOBODY, FIRST, 1), endpointOf(liar, a))
  await world.clock.pass(5000)

  liar.plaintexts.length = 0
  await world.clock.until(a.tun.ping(NOBODY, { timeout: 10_000 }).catch(() => {}))
  t.equal(liar.plaintexts.filter(({ text }) => text[0] === Kind.FORWARD).length, 1)
  t.equal(b.peer.stats.drops.source, 1, 'A has a path of its own to B')

  liar.plaintexts.length = 0
  liar.echo(NOBODY, 1)
  await world.clock.pass(30_000)
  const passed = liar.plaintexts.filter(({ text }) => text[0] === Kind.FORWARD).length
  t.ok(passed > 20 && passed <= 64, `${passed} times`)
  t.equal(a.peer.stats.drops.hops + b.peer.stats.drops.hops, 1)
})
