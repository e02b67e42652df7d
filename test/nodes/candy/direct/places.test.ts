/** Where two peers may be: behind one NAT, without one, and without help by STUN. */
import t from 'tap'
import { World, type Member, type Place } from '../../../helpers/candy/simulated-direct.ts'
import type { Endpoint } from '../../../../src/types.ts'

const CONE = { kind: 'port-restricted-cone' } as const

interface Case {
  name: string
  alice?: Omit<Place, 'name'>
  /** Default: the same as of the other one. */
  bob?: Omit<Place, 'name'> | 'beside'
  /** Default: one that answers. */
  stun?: 'none' | 'silent'
  /** Milliseconds of a ping in the end. */
  roundTrip: number
  /** Where alice sends. */
  host: (bob: Member) => string
}

const own = ({ host }: Member): string => host.addresses[0]

const CASES: Case[] = [
  { name: 'behind one NAT without hairpinning', alice: { nat: { ...CONE, hairpin: false } }, bob: 'beside', roundTrip: 2, host: own },
  { name: 'behind one NAT with hairpinning', alice: { nat: { ...CONE, hairpin: true } }, bob: 'beside', roundTrip: 2, host: own },
  { name: 'behind one NAT, without a server of STUN', alice: { nat: CONE }, bob: 'beside', stun: 'none', roundTrip: 2, host: own },
  { name: 'behind one NAT, with a server of STUN that never answers', alice: { nat: CONE }, bob: 'beside', stun: 'silent', roundTrip: 2, host: own },
  { name: 'without NAT', roundTrip: 40, host: own },
  { name: 'without NAT, and without a server of STUN', stun: 'none', roundTrip: 40, host: own },
  { name: 'without NAT, with a server of STUN that never answers', stun: 'silent', roundTrip: 40, host: own },
  { name: 'one behind a NAT, the other one without', alice: { nat: CONE }, bob: {}, roundTrip: 42, host: own },
  { name: 'one behind a NAT, the other one without, and without a server of STUN', alice: { nat: CONE }, bob: {}, stun: 'none', roundTrip: 42, host: own },
  { name: 'one behind a symmetric NAT, the other one without', alice: { nat: { kind: 'symmetric' } }, bob: {}, roundTrip: 42, host: own }
]

for (const { name, alice: at = {}, bob: beside = at, stun, roundTrip, host } of CASES) {
  t.test(name, async (t) => {
    const world = new World(t)
    if (stun === undefined) await world.stun()
    const peer = stun === 'none' ? { stun: ['none'] } : {}
    const alice = await world.join({ name: 'alice', peer, ...at })
    const bob = await world.join({ name: 'bob', peer, ...(beside === 'beside' ? { beside: alice } : beside) })
    const paths: Array<Endpoint | undefined> = []
    alice.peer.on('path', (_member, endpoint) => { paths.push(endpoint) })
    t.ok(await world.ping(alice, bob) !== undefined)
    await world.clock.pass(15_000)
    t.equal(paths.at(-1)?.host, host(bob))
    for (let i = 0; i < 5; i++) t.equal(await world.ping(alice, bob), roundTrip)
    t.match(alice.peer.stats, { directPacketsIn: 5, directPacketsOut: 5 })
  })
}
