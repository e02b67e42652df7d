/** A direct path that ends in the middle of traffic, and one that comes back. */
import t from 'tap'
import { World, type Member } from '../../../helpers/candy/simulated-direct.ts'

interface Pinging {
  /** When each of the pings was sent that had no answer, in milliseconds from the start. */
  lost: number[]
  /** Where packets go, as told, with the time. */
  ways: Array<[at: number, way: 'direct' | 'server']>
}

/** Pings every 50 ms, with what happens meanwhile at times from the start. */
async function pinging (world: World, from: Member, to: Member, duration: number, happenings: Array<[at: number, happens: () => void]>): Promise<Pinging> {
  const { clock } = world
  const start = clock.now()
  const result: Pinging = { lost: [], ways: [] }
  from.peer.on('path', (_member, endpoint) => { result.ways.push([Math.round(clock.now() - start), endpoint === undefined ? 'server' : 'direct']) })
  for (const [at, happens] of happenings) clock.set(at, happens)
  for (let at = 0; at < duration; at += 50) {
    from.tun.ping(to.address, { timeout: 1000 }).catch(() => { result.lost.push(at) })
    await clock.pass(50)
  }
  await clock.pass(1500)
  return result
}

async function direct (world: World, kind: 'port-restricted-cone' | 'restricted-cone' = 'port-restricted-cone'): Promise<[Member, Member]> {
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: { kind } })
  const bob = await world.join({ name: 'bob', nat: { kind } })
  await world.ping(alice, bob)
  await world.clock.pass(5000)
  return [alice, bob]
}

t.test('a path that is cut for 6 s: what is sent before it is noticed is lost, and nothing after', async (t) => {
  const world = new World(t)
  const [alice, bob] = await direct(world)
  let heal = (): void => {}
  const { lost, ways } = await pinging(world, alice, bob, 20_000, [
    [5000, () => { heal = world.network.partition([alice.nat!], [bob.nat!]) }],
    [11_000, () => { heal() }]
  ])
  t.ok(lost.length > 0 && lost[0] >= 4900 && (lost.at(-1) as number) <= 7100, `lost from ${lost[0]} to ${lost.at(-1)} ms`)
  t.equal(ways.length, 2)
  t.match(ways, [[Number, 'server'], [Number, 'direct']])
  t.ok(ways[0][0] <= 7000 && ways[1][0] >= 11_000 && ways[1][0] <= 12_000, JSON.stringify(ways))
})

t.test('a path that is cut for a minute is looked for again, and comes back', async (t) => {
  const world = new World(t)
  const [alice, bob] = await direct(world)
  let heal = (): void => {}
  const { lost, ways } = await pinging(world, alice, bob, 150_000, [
    [5000, () => { heal = world.network.partition([alice.nat!], [bob.nat!]) }],
    [65_000, () => { heal() }]
  ])
  t.ok((lost.at(-1) as number) <= 7100, `lost to ${lost.at(-1)} ms`)
  t.match(ways.at(-1), [Number, 'direct'])
  t.ok((ways.at(-1) as [number, string])[0] < 130_000, JSON.stringify(ways))
})

t.test('both NATs forget everything: another path is found', async (t) => {
  const world = new World(t)
  const [alice, bob] = await direct(world)
  const { ways } = await pinging(world, alice, bob, 60_000, [[5000, () => {
    alice.nat?.forget()
    bob.nat?.forget()
  }]])
  t.match(ways.at(-1) ?? [0, 'direct'], [Number, 'direct'], JSON.stringify(ways))
})

t.test('the server is gone: direct paths go on', async (t) => {
  const world = new World(t)
  const [alice, bob] = await direct(world)
  const { lost } = await pinging(world, alice, bob, 100_000, [[5000, () => { world.network.partition([world.server]) }]])
  t.same(lost, [])
  t.not(alice.peer.state, 'online')
})

t.test('a peer that starts anew is found again', async (t) => {
  const world = new World(t)
  const [alice, bob] = await direct(world)
  const [before] = bob.host.addresses
  await world.clock.until(bob.peer.close())
  bob.peer.removeAllListeners()
  t.ok(before !== '')
  const again = await world.join({ name: 'bob again', beside: bob, peer: { address: `${bob.address}/24` } })
  const { ways } = await pinging(world, alice, again, 30_000, [])
  t.match(ways.at(-1), [Number, 'direct'], JSON.stringify(ways))
})
