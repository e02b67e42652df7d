/** Direct paths to members with the original client, which know nothing of ours: case 27 of the protocol's test cases. */
import t, { type Test } from 'tap'
import { joinOriginal, type OriginalInit, type OriginalMember } from '../../../helpers/candy/simulated-original.ts'
import { World, type Member, type MemberInit } from '../../../helpers/candy/simulated-direct.ts'
import type { Conditions } from '../../../../src/transports/memory/index.ts'

const ORIGINAL = '10.77.0.50'
const CONE = { kind: 'port-restricted-cone' } as const

interface Pair {
  world: World
  ours: Member
  original: OriginalMember
}

async function pair (t: Test, { ours = {}, original = {}, ...init }: { ours?: Partial<MemberInit>, original?: Partial<OriginalInit> } & Conditions & ConstructorParameters<typeof World>[1] = {}): Promise<Pair> {
  const world = new World(t, init)
  await world.stun()
  const member = await world.join({ name: 'ours', nat: CONE, ...ours })
  return { world, ours: member, original: await joinOriginal(world, { name: 'original', nat: CONE, address: ORIGINAL, ...original }) }
}

/** Whether a ping of ours is answered. */
const isAnswered = async ({ world, ours }: Pair): Promise<boolean> => await world.clock.until(ours.tun.ping(ORIGINAL, { timeout: 1000 }).then(() => true, () => false))

/** Pings of both sides, a second apart; the sequence numbers of the original's pings begin here. */
async function exchange (pair: Pair, rounds: number, first = 1): Promise<{ ours: number, original: Array<string | undefined> }> {
  const { world, ours, original } = pair
  let answered = 0
  for (let i = 0; i < rounds; i++) {
    original.echo(ours.address, first + i)
    if (await isAnswered(pair)) answered++
    await world.clock.pass(1000)
  }
  return { ours: answered, original: Array.from({ length: rounds }, (_, i) => original.replies.get(first + i)) }
}

for (const [who, trigger] of [
  ['our packet', async (pair: Pair) => { await isAnswered(pair) }],
  ['a packet of the original', async ({ original, ours }: Pair) => { original.echo(ours.address, 1) }],
  ['DISCOVERY of the original', async ({ original }: Pair) => { original.discover() }]
] as const) {
  t.test(`case 27: ${who} begins`, async (t) => {
    const both = await pair(t)
    const { world, ours, original } = both
    const ways: unknown[] = []
    ours.peer.on('path', (member, endpoint) => { ways.push([member, endpoint === undefined ? 'server' : 'direct']) })
    await trigger(both)
    await world.clock.pass(5000)
    t.equal(original.stateOf(ours.address), 'CONNECTED')
    t.same(ways, [[ORIGINAL, 'direct']])
    const { directPacketsIn, directPacketsOut } = ours.peer.stats
    t.same(await exchange(both, 10, 100), { ours: 10, original: Array(10).fill('udp') })
    const { stats } = ours.peer
    t.same([stats.directPacketsIn - directPacketsIn, stats.directPacketsOut - directPacketsOut], [20, 20], 'all of them over UDP')
    t.same(original.faults, [])
    t.match(stats.drops, { sealed: 0, source: 0, malformed: 0, message: 0 })
  })
}

t.test('discovery of ours begins', async (t) => {
  const { world, ours, original } = await pair(t, { ours: { peer: { discovery: 20 } } })
  await world.clock.pass(26_000)
  t.equal(original.stateOf(ours.address), 'CONNECTED')
  t.same(original.faults, [])
})

t.test('a path lasts: an hour without packets', async (t) => {
  const both = await pair(t)
  await isAnswered(both)
  await both.world.clock.pass(5000)
  const ways: unknown[] = []
  both.ours.peer.on('path', (...way) => { ways.push(way) })
  await both.world.clock.pass(3_600_000)
  t.same(ways, [])
  t.equal(both.original.stateOf(both.ours.address), 'CONNECTED')
  t.same(both.original.faults, [])
})

/** Pings of ours every 100 ms for 20 s from a time at which something happens; when packets went to the server, and which pings had no answer. */
async function whenSilent ({ world, ours }: Pair): Promise<{ fellBack: number, lost: number[] }> {
  const start = world.clock.now()
  let fellBack = Infinity
  ours.peer.once('path', (_member, endpoint) => { if (endpoint === undefined) fellBack = world.clock.now() - start })
  const lost: number[] = []
  for (let at = 0; at < 20_000; at += 100) {
    ours.tun.ping(ORIGINAL, { timeout: 1500 }).catch(() => { lost.push(at) })
    await world.clock.pass(100)
  }
  await world.clock.pass(1500)
  return { fellBack, lost }
}

t.test('case 27: nothing passes any more: packets go through the server within 4 s, and none is lost after', async (t) => {
  const both = await pair(t)
  const { world, ours, original } = both
  await isAnswered(both)
  await world.clock.pass(5000)
  world.network.partition([ours.nat!], [original.nat!])
  const { fellBack, lost } = await whenSilent(both)
  t.ok(fellBack <= 4000, `after ${fellBack} ms`)
  t.ok(lost.length > 0)
  t.same(lost.filter((at) => at > 4000), [])
  t.same(original.faults, [])
})

t.test('case 27: a member that hears and says nothing: what it is sent comes through the server within 4 s', async (t) => {
  const both = await pair(t)
  const { world, original } = both
  await isAnswered(both)
  await world.clock.pass(5000)
  original.isMute = true
  original.packets.length = 0
  const start = world.clock.now()
  const { fellBack } = await whenSilent(both)
  t.ok(fellBack <= 4000, `after ${fellBack} ms`)
  const requests = original.packets.filter(({ packet }) => packet[20] === 8)
  t.equal(requests.length, 200, 'each of them once')
  t.same(requests.filter(({ at, way }) => way === 'udp' && at > start + 4000), [])
  t.same(original.faults, [])
})

t.test('a member that starts anew is reached at once, and directly again', async (t) => {
  const both = await pair(t)
  const { world, ours, original } = both
  await isAnswered(both)
  await world.clock.pass(5000)
  original.stop()
  await world.clock.pass(1000)
  await original.start()
  await world.clock.pass(4000)
  t.ok(await isAnswered(both), 'through the server')
  await world.clock.pass(6000)
  t.equal(original.stateOf(ours.address), 'CONNECTED')
  t.same(await exchange(both, 5, 500), { ours: 5, original: Array(5).fill('udp') })
  t.same(original.faults, [])
})

t.test('our peer starts anew', async (t) => {
  const both = await pair(t)
  const { world, ours } = both
  await isAnswered(both)
  await world.clock.pass(5000)
  await world.clock.until(ours.peer.close())
  const again = await world.join({ name: 'again', beside: ours, peer: { address: `${ours.address}/24` } })
  const pairAgain = { ...both, ours: again }
  for (let i = 0; i < 15; i++) {
    await isAnswered(pairAgain)
    await world.clock.pass(1000)
  }
  t.same(await exchange(pairAgain, 5, 500), { ours: 5, original: Array(5).fill('udp') })
  t.same(both.original.faults, [])
})

t.test('routed packets over the direct path, both ways', async (t) => {
  const both = await pair(t, {
    relay: { sdwan: `10.77.0.0/24,172.16.0.0/16,${ORIGINAL};10.77.0.0/24,172.17.0.0/16,10.77.0.1` },
    ours: { peer: { address: '10.77.0.1/24' } }
  })
  const { world, ours, original } = both
  await isAnswered(both)
  await world.clock.pass(5000)
  t.equal(original.stateOf(ours.address), 'CONNECTED')

  await t.resolves(world.clock.until(ours.tun.ping('172.16.3.4', { timeout: 1000 })), 'a machine behind the original answers')
  const { way, isRouted, packet } = original.packets.at(-1)!
  t.same([way, isRouted, packet.subarray(12, 20).join('.')], ['udp', true, '10.77.0.1.172.16.3.4'])

  const seen: Array<[string, string]> = []
  ours.peer.tap((packets, direction) => { for (const bytes of packets) seen.push([direction, bytes.subarray(12, 20).join('.')]) })
  const before = ours.peer.stats
  original.echo('172.17.5.6', 1)
  await world.clock.pass(1000)
  t.same(seen, [['in', `${ORIGINAL}.172.17.5.6`]], 'a packet for a machine behind ours')
  t.equal(ours.peer.stats.directPacketsIn, before.directPacketsIn + 1)
  t.same(original.faults, [])
})

t.test('in one network: at the endpoints there', async (t) => {
  const world = new World(t)
  await world.stun()
  const ours = await world.join({ name: 'ours', nat: CONE })
  const original = await joinOriginal(world, { name: 'original', beside: ours, address: ORIGINAL })
  const both = { world, ours, original }
  await isAnswered(both)
  await world.clock.pass(6000)
  t.match(original.remotes.get(ours.address), { state: 'CONNECTED', used: { host: ours.host.addresses[0] } })
  t.equal(await world.ping(ours, { ...ours, address: ORIGINAL }), 2)
  t.same(original.faults, [])
})

t.test('DELAY of the original comes back to it', async (t) => {
  const { world, ours, original } = await pair(t, { ours: { peer: { route: 5 } }, original: { cost: 5 } })
  original.discover()
  await world.clock.pass(66_000)
  t.equal(original.remotes.get(ours.address)?.roundTrip, 44)
  t.same(original.faults, [])
})
