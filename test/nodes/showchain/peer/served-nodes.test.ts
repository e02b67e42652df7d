/** Nodes that connect to a peer: how many, by where they come from (SHOW CHAIN protocol, section 3.1). */
import { createHash } from 'node:crypto'
import t from 'tap'
import { identity } from '../../../helpers/showchain/keys.ts'
import { loadSealing } from '../../../../src/crypto/index.ts'
import { Indexes } from '../../../../src/nodes/showchain/peer/indexes.ts'
import type { Allowed } from '../../../../src/nodes/showchain/peer/options.ts'
import { ServedNodes } from '../../../../src/nodes/showchain/peer/served-nodes.ts'
import { readPeer } from '../../../../src/nodes/showchain/peer/settings.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'

const sealing = await loadSealing()
const to = { host: '127.0.0.1', port: 22 }

const id = (number: number): Uint8Array => createHash('sha256').update(String(number)).digest()
const ids = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => id(i))
const at = (host: string, port = 4000) => ({ host, port })

function table (allow: Allowed, maxNodesPerSource?: number): ServedNodes {
  const settings = readPeer({ identity: identity('a'), bootstrap: [at('192.0.2.1')], to, allow, ...(maxNodesPerSource !== undefined && { maxNodesPerSource }), clock: new VirtualClock(), threads: false })
  const nodes = new ServedNodes({ settings, sealing, indexes: new Indexes(), onSession: () => {}, onQuiet: () => {} })
  t.teardown(() => { nodes.close() })
  return nodes
}

/** How many of the ids find room. */
const served = (nodes: ServedNodes, of: Uint8Array[], host: (i: number) => string, isProxy = false): number => of.filter((one, i) => nodes.userOf(one, at(host(i), 1000 + i), isProxy) !== undefined).length

t.test('any: nodes of one address do not take the room of others', async (t) => {
  const nodes = table('any')
  t.equal(served(nodes, ids(1024), () => '203.0.113.1'), 32)
  t.ok(nodes.userOf(id(0), at('203.0.113.1', 9), false), 'one that is there')
  t.ok(nodes.userOf(id(2000), at('203.0.113.2'), false), 'of another address')
})

t.test('any: networks of one IPv6 site', async (t) => {
  const nodes = table('any', 2)
  t.equal(served(nodes, ids(20), () => '2001:db8:1:1::5'), 2)
  t.equal(served(nodes, ids(40).slice(20), (i) => `2001:db8:1:${i + 2}::5`), 6)
  t.ok(nodes.userOf(id(2000), at('2001:db8:2::5'), false))
})

t.test('any: all by one proxy, whose addresses are not known, are four times as many', async (t) => {
  const nodes = table('any', 4)
  t.equal(served(nodes, ids(100), () => '192.0.2.1', true), 16)
  t.ok(nodes.userOf(id(2000), at('192.0.2.2', 7700), true), 'by another proxy')
  t.ok(nodes.userOf(id(2001), at('192.0.2.1', 7700), false), 'a node of the same address')
})

t.test('any: a node that has come by a proxy counts for its own address once that is known, where there is room', async (t) => {
  const nodes = table('any', 1)
  for (const one of ids(4)) t.ok(nodes.userOf(one, at('192.0.2.1'), true))
  t.notOk(nodes.userOf(id(4), at('192.0.2.1'), true))
  t.ok(nodes.userOf(id(0), at('203.0.113.1'), false))
  t.ok(nodes.userOf(id(4), at('192.0.2.1'), true), 'the room that it has left')
  t.ok(nodes.userOf(id(1), at('203.0.113.1'), false), 'it is served in any case')
  t.notOk(nodes.userOf(id(5), at('192.0.2.1'), true))
  t.notOk(nodes.userOf(id(5), at('203.0.113.1'), false))
})

t.test('those of a list always find room', async (t) => {
  const listed = ids(1100)
  const nodes = table(listed)
  t.equal(served(nodes, listed, () => '203.0.113.1'), 1100)
  t.notOk(nodes.userOf(id(1100), at('203.0.113.2'), false), 'who is not in it')
})

t.test('any: in total', async (t) => {
  const nodes = table('any')
  t.equal(served(nodes, ids(1100), (i) => `203.0.${i >> 4}.1`), 1024)
})

t.test('whoever goes leaves room', async (t) => {
  const nodes = table('any', 1)
  const pair = nodes.userOf(id(0), at('203.0.113.1'), false)
  t.notOk(nodes.userOf(id(1), at('203.0.113.1'), false))
  nodes.endIfGone(pair)
  t.ok(nodes.userOf(id(1), at('203.0.113.1'), false))
  nodes.configure({ to, allow: [id(2)], maxNodesPerSource: 1 })
  t.ok(nodes.userOf(id(2), at('203.0.113.1'), false), 'only it may connect now')
  nodes.configure({ to, allow: 'any', maxNodesPerSource: 2 })
  t.ok(nodes.userOf(id(3), at('203.0.113.1'), false), 'a larger limit')
  t.notOk(nodes.userOf(id(4), at('203.0.113.1'), false))
})
