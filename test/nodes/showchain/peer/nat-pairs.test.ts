/** All pairs of NAT kinds, on a network that loses and reorders (SHOW CHAIN protocol, section 5.3). */
import t from 'tap'
import { sample } from '../../../helpers/sample.ts'
import { World, type NodeKey, type ProbingEnd, type WorldNode } from '../../../helpers/showchain/world.ts'
import { idKey } from '../../../../src/nodes/showchain/protocol/public-keys.ts'

const NATS = ['full-cone', 'restricted-cone', 'port-restricted-cone', 'symmetric'] as const
const KEYS: ReadonlyArray<readonly [NodeKey, NodeKey]> = [['a', 'b'], ['c', 'd'], ['e', 'f'], ['g', 'h']]

/** The path from R, by row, to T, by column. */
const TABLE = [
  ['direct', 'nat', 'nat', 'nat'],
  ['direct', 'nat', 'nat', 'nat'],
  ['direct', 'nat', 'nat', 'proxy'],
  ['direct', 'nat', 'proxy', 'proxy']
]

/** Steps of a second until a path that is no proxy's has come about, although datagrams get lost: several searches, half a minute and more apart. */
const MOST_STEPS = 600

async function build (seed: number): Promise<{ world: World, requesters: WorldNode[], targets: WorldNode[] }> {
  const world = new World({ seed, loss: 0.05, reorder: 0.05 })
  await world.relay('rsa2056', { bootstrap: ['192.0.2.2:7700'] })
  await world.relay('rsa3072', { bootstrap: ['192.0.2.1:7700'] })
  await world.clock.pass(15_000)
  const [requesters, targets]: [WorldNode[], WorldNode[]] = [[], []]
  for (const [i, kind] of NATS.entries()) {
    requesters.push(await world.node(KEYS[i][0], { nat: { kind } }))
    targets.push(await world.node(KEYS[i][1], { nat: { kind } }))
  }
  for (let i = 0; i < MOST_STEPS && world.nodes.some(({ node: { kindReport } }) => kindReport?.isCertain !== true); i++) await world.clock.pass(1000)
  return { world, requesters, targets }
}

t.test('all 16 pairs take the path that the table names (row 7)', { timeout: 24 * 3_600_000 }, async (t) => {
  const seeds = sample('seeds', { short: 20, long: 1000 })
  const others: unknown[] = []
  for (let seed = 1; seed <= seeds; seed++) {
    const { world, requesters, targets } = await build(seed)
    const kinds = world.nodes.map(({ node }) => node.kind)
    if (String(kinds) !== '1,1,2,2,3,3,4,4') others.push({ seed, kinds })
    const ends: ProbingEnd[][] = requesters.map((from) => targets.map((to) => from.connect(to)))
    const wrong = (): unknown[] => ends.flatMap((row, r) => row.flatMap(({ chosen, kinds }, i) => {
      const onTarget = [...targets[i].accepted.get(idKey(requesters[r].id))?.paths ?? []].map(({ kind }) => kind)
      const isRight = chosen?.kind === TABLE[r][i] && onTarget.includes(chosen.kind)
      return isRight ? [] : [{ seed, pair: `T${r + 1}, T${i + 1}`, expected: TABLE[r][i], chosen: chosen?.kind, kinds, onTarget, history: requesters[r].node.historyOf(targets[i].id).events.map(({ text }) => text) }]
    }))
    for (let i = 0; i < MOST_STEPS && wrong().length > 0; i++) await world.clock.pass(1000)
    await world.clock.pass(20_000)
    for (let i = 0; i < MOST_STEPS && wrong().length > 0; i++) await world.clock.pass(1000) // several probes in a row may get lost just now
    others.push(...wrong())
    await world.close()
  }
  t.same(others, [], `of ${seeds}`)
})
