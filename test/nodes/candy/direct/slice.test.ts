import t from 'tap'
import { World } from '../../../helpers/candy/simulated-direct.ts'

t.test('two peers behind NATs', async (t) => {
  const world = new World(t)
  await world.stun()
  const alice = await world.join({ name: 'alice', nat: { kind: 'port-restricted-cone' } })
  const bob = await world.join({ name: 'bob', nat: { kind: 'port-restricted-cone' } })
  const first = await world.ping(alice, bob)
  console.log('first', first)
  for (let i = 0; i < 8; i++) {
    await world.clock.pass(500)
    console.log(await world.ping(alice, bob), alice.peer.stats.directPacketsOut)
  }
  console.log(JSON.stringify(alice.peer.stats), JSON.stringify(bob.peer.stats))
  t.ok(alice.peer.stats.directPacketsOut > 0)
})
