import t from 'tap'
import { PeerRegistry } from '../../../../src/nodes/rustdesk/rendezvous/peer-registry.ts'
import type { Peer } from '../../../../src/nodes/rustdesk/rendezvous/peer.ts'
import { MemoryStore } from '../../../helpers/rustdesk/rendezvous.ts'
import { sample } from '../../../helpers/sample.ts'

const stored = (id: string, ip = '192.0.2.1') => ({ id, uuid: Buffer.from('machine'), pk: Buffer.alloc(32), ip })

const LIMITS = { maxPeers: 100, maxPeersPerAddress: 10 }

t.test('a peer of the store, found by several at once', async (t) => {
  const store = new MemoryStore()
  await store.put(stored('123456'))
  const peers = new PeerRegistry(store, LIMITS)
  const [first, second] = await Promise.all([peers.find('123456', 0), peers.find('123456', 0)])
  t.equal(first, second)
  t.equal(store.finds, 1)
  t.equal(peers.find('123456', 0), first, 'from then on without a promise')
  t.equal(await peers.find('654321', 0), undefined)
  t.equal(peers.find('short', 0), undefined, 'no id')
  t.equal(peers.find('x'.repeat(101), 0), undefined)
  t.equal(store.finds, 2)
})

t.test('a fault of the store is not kept', async (t) => {
  const store = new MemoryStore()
  const peers = new PeerRegistry(store, LIMITS)
  store.fault = new Error('no disk')
  await t.rejects(Promise.resolve(peers.find('123456', 0)))
  store.fault = undefined
  t.equal(await peers.find('123456', 0), undefined)
})

t.test('bounded by address, and in total: those that are offline make room', async (t) => {
  const store = new MemoryStore()
  const peers = new PeerRegistry(store, LIMITS)
  for (let i = 0; i < 100; i++) peers.add(stored(`peer-${i}`, `192.0.2.${i % 10}`), 0)
  t.equal(peers.size, 100)
  t.equal(peers.add(stored('one more', '192.0.2.0'), 0), undefined, 'of its address')
  t.ok(peers.add(stored('another', '192.0.2.77'), 0))
  t.equal(peers.size, 100)
  t.equal(peers.evicted, 1)
  for (const peer of { [Symbol.iterator]: () => peers[Symbol.iterator]() }) peer.heard(peer.ip, 1, 0)
  t.equal(peers.add(stored('no room', '192.0.2.78'), 0), undefined, 'all are online')
  await store.put(stored('of the store', '192.0.2.79'))
  t.equal((await peers.find('of the store', 0))?.id, 'of the store', 'it is known for this question')
  t.equal(peers.get('of the store'), undefined)
  t.ok(peers.add(stored('room again', '192.0.2.78'), 30_000))
})

t.test('the count of an address follows its peers', async (t) => {
  const peers = new PeerRegistry(new MemoryStore(), { maxPeers: 100, maxPeersPerAddress: 1 })
  const peer = peers.add(stored('123456', '192.0.2.1'), 0) as Peer
  t.equal(peers.hasRoom('192.0.2.1', 0), false)
  peers.identify(peer, { uuid: Buffer.from('machine'), pk: Buffer.alloc(32), ip: '192.0.2.2' })
  t.equal(peers.hasRoom('192.0.2.1', 0), true)
  t.equal(peers.hasRoom('192.0.2.2', 0), false)
  peers.configure({ maxPeers: 100, maxPeersPerAddress: 2 })
  t.equal(peers.hasRoom('192.0.2.2', 0), true)
})

t.test('memory of a peer', async (t) => {
  const count = sample('peers', { short: 20_000, long: 1_000_000 })
  const peers = new PeerRegistry(new MemoryStore(), { maxPeers: count, maxPeersPerAddress: count })
  const before = process.memoryUsage()
  for (let i = 0; i < count; i++) peers.add({ id: String(100_000_000 + i), uuid: Buffer.from(`machine-${i}-0123456789abcdef0123`), pk: Buffer.alloc(32, i), ip: `10.${i >> 16}.${i >> 8 & 255}.${i & 255}` }, 0)?.heard('10.0.0.1', 1, 0.5)
  const after = process.memoryUsage()
  const each = (after.heapUsed + after.external - before.heapUsed - before.external) / count
  t.comment(`${Math.round(each)} bytes`)
  t.ok(each < 3 * 1024)
  t.equal(peers.size, count)
})
