/** Two peers behind each pair of NAT kinds, on a network that loses and reorders. */
import t from 'tap'
import { World, type Member } from '../../../helpers/candy/simulated-direct.ts'
import { sample } from '../../../helpers/sample.ts'
import { NAT_KINDS, type NatKind } from '../../../../src/transports/memory/index.ts'

const kinds = Object.keys(NAT_KINDS) as NatKind[]

/** Neither end of such a pair can tell the other one the port that its NAT will use. */
const isImpossible = (one: NatKind, other: NatKind): boolean => one === 'symmetric' && (other === 'symmetric' || other === 'port-restricted-cone')

const seeds = sample('seeds for each pair of NAT kinds', { short: 3, long: 1000 })

/** Rounds of a ping and half a second: an attempt lasts 10 s, and all that it asks a server of STUN may get lost. */
const ROUNDS = { direct: 150, relayed: 40 }

/** Whether packets go directly in the end, each way. */
async function ways (world: World, one: Member, other: Member, rounds: number): Promise<boolean[]> {
  const isDirect = [false, false]
  for (const [i, { peer }] of [one, other].entries()) peer.on('path', (_member, endpoint) => { isDirect[i] = endpoint !== undefined })
  for (let i = 0; i < rounds && !isDirect.every((is) => is); i++) {
    await world.ping(one, other, 900)
    await world.clock.pass(500)
  }
  await world.clock.pass(5000)
  return isDirect
}

for (const one of kinds) {
  for (const other of kinds) {
    const expected = !isImpossible(one, other) && !isImpossible(other, one)
    t.test(`${one} and ${other}: ${expected ? 'direct' : 'through the server'}`, { timeout: 3_600_000 }, async (t) => {
      const others = []
      for (let seed = 1; seed <= seeds; seed++) {
        const teardowns: Array<() => Promise<void>> = []
        const world = new World({ teardown: (fn: () => Promise<void>) => { teardowns.push(fn) } }, { seed, loss: 0.1, reorder: 0.1 })
        await world.stun()
        const alice = await world.join({ name: 'alice', nat: { kind: one } })
        const bob = await world.join({ name: 'bob', nat: { kind: other } })
        const found = await ways(world, alice, bob, expected ? ROUNDS.direct : ROUNDS.relayed)
        if (found.some((is) => is !== expected)) others.push({ seed, found })
        for (const end of teardowns) await end()
      }
      t.same(others, [], `of ${seeds}`)
    })
  }
}
