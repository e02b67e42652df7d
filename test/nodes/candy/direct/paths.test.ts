/** Peers that find direct paths, in a simulated network. */
import t from 'tap'
import { World } from '../../../helpers/candy/simulated-direct.ts'

t.test('two peers behind NATs: the first packets go through the server, then directly', async (t) => {
  const world = new World(t)
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: { kind: 'port-restricted-cone' } })
  const bob = await world.join({ name: 'bob', nat: { kind: 'port-restricted-cone' } })
  t.equal(await world.ping(alice, bob), 84)
  await world.clock.pass(3000)
  for (let i = 0; i < 3; i++) t.equal(await world.ping(alice, bob), 44)
  for (const { peer } of [alice, bob]) t.match(peer.stats, { directPacketsOut: 3, directPacketsIn: 3, drops: { sealed: 0, replayed: 0, source: 0 } })
})
