/** What members, and those who pretend to be one, can do to the paths of others. */
import t, { type Test } from 'tap'
import { addr } from '../../../helpers/candy/client.ts'
import { joinOriginal, type OriginalMember } from '../../../helpers/candy/simulated-original.ts'
import { World, type Member } from '../../../helpers/candy/simulated-direct.ts'
import { loadSealing } from '../../../../src/crypto/index.ts'
import { silent } from '../../../../src/log.ts'
import { parseCidr, type Cidr } from '../../../../src/net/ipv4.ts'
import { DirectPaths, type DirectPathsInit } from '../../../../src/nodes/candy/peer/direct/direct-paths.ts'
import { Members } from '../../../../src/nodes/candy/peer/direct/members.ts'
import type { DirectState, RemotePeer } from '../../../../src/nodes/candy/peer/direct/remote-peer.ts'
import { OwnEndpoint } from '../../../../src/nodes/candy/peer/direct/own-endpoint.ts'
import { StunServers } from '../../../../src/nodes/candy/peer/direct/stun-servers.ts'
import { newPeerStats } from '../../../../src/nodes/candy/peer/stats.ts'
import { Secret } from '../../../../src/nodes/candy/protocol/hashes.ts'
import { encodeConn, encodeDiscovery, MessageType } from '../../../../src/nodes/candy/protocol/messages.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'

const [ORIGINAL, LIAR] = ['10.77.0.50', '10.77.0.51']

/** Ours, at port 7000 of a public address, and an original client that has a direct path to it. */
async function pair (t: Test): Promise<{ world: World, ours: Member, original: OriginalMember }> {
  const world = new World(t)
  await world.stun()
  const ours = await world.join({ name: 'ours', peer: { port: 7000 } })
  return { world, ours, original: await joinOriginal(world, { name: 'original', address: ORIGINAL }) }
}

t.test('a member that says it is where another one is does not stop its packets', async (t) => {
  const { world, ours, original } = await pair(t)
  const liar = await joinOriginal(world, { name: 'liar', address: LIAR })
  const lie = (): void => { liar.say(encodeConn({ source: addr(LIAR), destination: addr(ours.address), address: addr(original.host.addresses[0]), port: original.socket.local.port })) }
  liar.discover(ours.address)
  await world.clock.pass(100)
  lie()
  await world.clock.pass(500)
  original.discover(ours.address)
  await world.clock.pass(5000)
  t.equal(original.stateOf(ours.address), 'CONNECTED')
  const { directPacketsIn, drops } = ours.peer.stats
  for (let i = 0; i < 100; i++) {
    if (i % 20 === 0) lie()
    original.echo(ours.address, i)
    await world.clock.pass(100)
  }
  t.same([ours.peer.stats.directPacketsIn - directPacketsIn, drops.source], [100, 0])
})

t.test('garbage of anybody ends no path to an original client, and prevents none', async (t) => {
  const { world, ours, original } = await pair(t)
  original.discover(ours.address)
  await world.clock.pass(5000)
  const ways: boolean[] = []
  ours.peer.on('path', (_member, endpoint) => { ways.push(endpoint !== undefined) })
  const socket = await world.network.host({ on: world.internet, address: '203.0.113.250', name: 'anybody' }).bindUdp({ port: 1234 })
  const flood = async (seconds: number): Promise<void> => {
    for (let i = 0; i < 200 * seconds; i++) {
      socket.port.send(Array.from({ length: 100 }, () => ({ data: Buffer.alloc(29, 7), host: ours.host.addresses[0], port: 7000 })))
      await world.clock.pass(5)
    }
  }
  await flood(5)
  t.ok(ours.peer.stats.drops.flood > 50_000)
  t.same([original.stateOf(ours.address), ways], ['CONNECTED', []])
  const late = await joinOriginal(world, { name: 'late', address: LIAR })
  late.discover(ours.address)
  await flood(4)
  t.same([late.stateOf(ours.address), ways], ['CONNECTED', [true]], 'a new one meanwhile')
})

interface Flooded {
  clock: VirtualClock
  paths: DirectPaths
  /** Messages to the server, by type. */
  said: Map<number, number>
}

async function flooded (t: Test): Promise<Flooded> {
  const clock = new VirtualClock()
  const said = new Map<number, number>()
  const socket = { source: { async * [Symbol.asyncIterator] () { await new Promise(() => {}) } }, local: { host: '0.0.0.0', port: 5 }, port: { send: (batch: unknown[]) => batch.length, queued: 0, limit: 1 }, close () {} } as unknown as DirectPathsInit['socket']
  const paths = new DirectPaths({
    own: parseCidr('10.77.0.1/16') as Cidr,
    secret: new Secret('x'),
    sealing: await loadSealing(),
    socket,
    endpoint: new OwnEndpoint({
      servers: new StunServers({ named: [], log: silent }),
      tries: 1,
      port: socket.local.port,
      interfaces: () => ({ eth0: [{ address: '192.0.2.7', netmask: '255.255.255.0', family: 'IPv4', mac: '00:00:00:00:00:00', internal: false, cidr: '192.0.2.7/24' }] }),
      map () {},
      mapping: () => ({ state: 'off' })
    }),
    mtu: 1400,
    cost: 0,
    discovery: 0,
    routes: { size: 0, nexthopOf: () => 0, accepts: () => true },
    clock,
    isOnline: () => true,
    log: { debug () {}, info () {}, warn () {} } as unknown as DirectPathsInit['log'],
    stats: newPeerStats(),
    tap: { isOn: false, show () {} },
    toServer: (message) => said.set(message[0], (said.get(message[0]) ?? 0) + 1).size > 0,
    deliver () {},
    onPath () {}
  })
  paths.run().catch(() => {})
  t.teardown(() => { paths.close() })
  return { clock, paths, said }
}

t.test('forged sources cost little, and keep no member out', async (t) => {
  const { clock, paths, said } = await flooded(t)
  const conns = (): number => said.get(MessageType.CONN) ?? 0
  const forged = addr('10.77.1.0')
  for (let i = 0; i < 5000; i++) paths.noticed(forged + i, 0, 100)
  t.equal(conns(), 32)
  let answered = 0
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 1000; i++) paths.noticed(forged + (second * 1000 + i) % 20_000, 0, 100)
    await clock.pass(1000)
    const before = conns()
    const source = addr('10.77.0.2') + second
    const [destination, address] = [addr('10.77.0.1'), addr('203.0.113.1')]
    if (second % 2 === 0) paths.conn(encodeConn({ source, destination, address, port: 7 }))
    else paths.discovery(encodeDiscovery({ source, destination }))
    if (conns() > before) answered++
  }
  t.equal(answered, 60)
  t.ok(conns() < 32 + 60 * 11 + answered, `${conns()} messages`)
  t.ok(paths.status().length <= 64 + 60)
})

t.test('room for members', async (t) => {
  const states = new Map<number, DirectState>()
  const closed: number[] = []
  const peerOf = (address: number): RemotePeer => ({ address, get state () { return states.get(address) ?? 'preparing' }, close () { closed.push(address) } }) as unknown as RemotePeer
  const members = new Members()
  const take = (address: number, isNoticed: boolean): boolean => {
    const hasRoom = members.makeRoom(isNoticed)
    if (hasRoom) members.add(peerOf(address), isNoticed)
    return hasRoom
  }
  for (let i = 0; i < 64; i++) t.ok(take(i, true))
  t.notOk(take(64, true), 'all of the share look for a path')
  states.set(7, 'failed')
  t.ok(take(64, true))
  t.same(closed, [7])
  t.equal(members.get(7), undefined)
  members.confirm(members.get(8) as RemotePeer)
  t.ok(take(65, true), 'one has sent a message of its own')

  for (let address = 1000; members.size < 1024; address++) t.ok(take(address, false))
  t.same(closed, [7])
  for (let i = 0; i < 64; i++) t.ok(take(5000 + i, false), 'in the place of one that was only noticed')
  t.equal(closed.length, 65)
  t.ok(closed.every((address) => address !== 8 && address < 1000))
  t.notOk(take(6000, false), 'all have a path or look for one')
  t.notOk(take(6000, true))
  states.set(1000, 'waiting')
  t.notOk(take(6000, true), 'the place of a member')
  t.ok(take(6000, false))
  t.equal(closed.at(-1), 1000)
})

t.test('where datagrams come from', async (t) => {
  const members = new Members()
  const [one, other] = [1, 2].map((address) => ({ address, state: 'connected', close () {} }) as unknown as RemotePeer)
  const at = (port: number): { host: string, port: number } => ({ host: '203.0.113.1', port })
  t.equal(members.seenAt(at(1)), undefined)
  t.notOk(members.isExpected('203.0.113.1'))
  members.see(at(1), one)
  members.see(at(2), other)
  for (const port of [1, 2, 2, 1, 3]) t.equal(members.seenAt(at(port)), [undefined, one, other][port])
  members.forgetSources(one)
  t.equal(members.seenAt(at(1)), undefined)
  t.equal(members.seenAt(at(2)), other, 'the other one has not changed')
  t.ok(members.isExpected('203.0.113.1'), 'it may come again')
  members.see(at(2), one)
  t.equal(members.seenAt(at(2)), one, 'the newest counts')
  for (let port = 0; port < 5000; port++) members.see(at(port), one)
  t.equal(members.seenAt(at(2)), undefined, 'a bounded number')
  members.clear()
  t.equal(members.seenAt(at(4999)), undefined)
})
