/** Which packets are taken from which member: none sends in the name of another one, also behind the header of a route. */
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { addr, packet, secret } from '../../../helpers/candy/client.ts'
import { loadSealing } from '../../../../src/crypto/index.ts'
import { formatAddress, parseCidr, sourceOf, type Cidr } from '../../../../src/net/ipv4.ts'
import { AttemptKey } from '../../../../src/nodes/candy/peer/direct/attempt-key.ts'
import { DatagramReceiver, type DatagramReceiverInit } from '../../../../src/nodes/candy/peer/direct/datagram-receiver.ts'
import { DirectSession } from '../../../../src/nodes/candy/peer/direct/direct-session.ts'
import { Outbox, type DirectSocket } from '../../../../src/nodes/candy/peer/direct/outbox.ts'
import { MemberRoutes } from '../../../../src/nodes/candy/peer/direct/member-routes.ts'
import { Members } from '../../../../src/nodes/candy/peer/direct/members.ts'
import type { RemotePeer } from '../../../../src/nodes/candy/peer/direct/remote-peer.ts'
import { newPeerStats, type CandyPeerStats } from '../../../../src/nodes/candy/peer/stats.ts'
import { DATAGRAM_LAYOUT, DatagramKind, SEALED_PACKET } from '../../../../src/nodes/candy/protocol/datagrams.ts'
import { OUTER_LENGTH, writeOuter } from '../../../../src/nodes/candy/protocol/forward.ts'
import { RouteTable } from '../../../../src/nodes/candy/protocol/route-table.ts'

const OWN = parseCidr('10.77.0.1/24') as Cidr
const [MEMBER, OTHER, ABSENT] = ['10.77.0.2', '10.77.0.3', '10.77.0.99']
const BEHIND_MEMBER = '172.16.1.9'
const BEHIND_OTHER = '172.16.2.9'
const UNKNOWN = '8.8.8.8'

const routes = new RouteTable(OWN)
routes.add({ destination: parseCidr('172.16.1.0/24') as Cidr, nexthop: addr(MEMBER) })
routes.add({ destination: parseCidr('172.16.2.0/24') as Cidr, nexthop: addr(OTHER) })

const sealing = await loadSealing()

interface Rig {
  stats: CandyPeerStats
  /** Sources of what came to the interface. */
  delivered: string[]
  /** Destinations of what goes on to other members. */
  carried: number
  /** Sends a packet over the session of MEMBER, behind a header of a route from `outer` where one is given. */
  send (source: string, destination?: string, outer?: string): void
}

/** @param others members besides MEMBER */
function rig (t: Pick<Test, 'teardown'>, { isRelaying = false, others = [], mayCarry = () => false }: Partial<Pick<DatagramReceiverInit, 'isRelaying' | 'mayCarry'>> & { others?: string[] } = {}): Rig {
  const [ours, theirs] = [new AttemptKey(), new AttemptKey()]
  const session = new DirectSession({ sealing, keys: ours.agree({ secret, own: OWN.address, other: addr(MEMBER), publicKey: theirs.publicKey })!, indexIn: 1, indexOut: 2 })
  const sender = new DirectSession({ sealing, keys: theirs.agree({ secret, own: addr(MEMBER), other: OWN.address, publicKey: ours.publicKey })!, indexIn: 2, indexOut: 1 })
  t.teardown(() => { for (const one of [session, sender]) one.close() })
  const members = new Members()
  const peerOf = (address: string): RemotePeer => ({ address: addr(address), state: 'connected', traffic: { packetsIn: 0, bytesIn: 0 }, path: undefined, close () {} }) as unknown as RemotePeer
  const peer = peerOf(MEMBER)
  members.register({ session, peer })
  for (const one of [peer, ...others.map(peerOf)]) members.add(one, false)
  const rig: Rig = {
    stats: newPeerStats(),
    delivered: [],
    carried: 0,
    send (source, destination = formatAddress(OWN.address), outer) {
      const inner = packet(source, destination)
      const at = outer === undefined ? SEALED_PACKET : SEALED_PACKET + OUTER_LENGTH
      const data = new Uint8Array(at + inner.length)
      data.set(inner, at)
      if (outer !== undefined) writeOuter(data, SEALED_PACKET, addr(outer), OWN.address)
      data[DATAGRAM_LAYOUT.text] = DatagramKind.FORWARD
      sender.seal(data)
      receiver.take([{ data, host: '203.0.113.1', port: 1 }], 0)
    }
  }
  const receiver = new DatagramReceiver({
    own: OWN,
    members,
    endpoint: { receive: () => false } as unknown as DatagramReceiverInit['endpoint'],
    cipher: sealing.cipher({ key: new Uint8Array(32), layout: DATAGRAM_LAYOUT }),
    routes: { size: routes.size, nexthopOf: (address) => routes.nexthopOf(address), accepts: () => true },
    stats: rig.stats,
    now: 0,
    isRelaying,
    mayCarry,
    usable: () => undefined,
    onStun () {},
    onDelay () {},
    onRoute () {},
    onTransit () { rig.carried++ },
    deliver (packets) { rig.delivered.push(...packets.map((one) => formatAddress(sourceOf(one)))) }
  })
  return rig
}

t.test('a packet is of the member itself, or of a network behind it', async (t) => {
  for (const [source, isTaken] of [[MEMBER, true], [BEHIND_MEMBER, true], [BEHIND_OTHER, false], [OTHER, false], [ABSENT, false], ['10.77.0.1', false], [UNKNOWN, false]] as const) {
    const { send, delivered, stats } = rig(t, { others: [OTHER] })
    send(source)
    t.same([delivered, stats.drops.source], isTaken ? [[source], 0] : [[], 1], source)
  }
})

t.test('so is one behind the header of a route', async (t) => {
  for (const [source, isTaken] of [[MEMBER, true], [BEHIND_MEMBER, true], [BEHIND_OTHER, false], [OTHER, false], [ABSENT, false], ['10.77.0.1', false], [UNKNOWN, false]] as const) {
    const { send, delivered, stats } = rig(t, { others: [OTHER] })
    send(source, '192.168.9.9', MEMBER)
    t.same([delivered, stats.drops.source], isTaken ? [[source], 0] : [[], 1], source)
  }
  const { send, delivered } = rig(t, { others: [OTHER] })
  send(OTHER, '192.168.9.9', OTHER)
  t.same(delivered, [], 'the outer source is another one')
})

t.test('with routes through members: of the own address never, of others as those routes allow', async (t) => {
  const asked: string[] = []
  for (const isAllowed of [true, false]) {
    const { send, delivered } = rig(t, { isRelaying: true, others: [OTHER], mayCarry: (by, origin) => asked.push(`${formatAddress(by.address)} for ${formatAddress(origin.address)}`) > 0 && isAllowed })
    for (const source of [MEMBER, OTHER, BEHIND_OTHER, ABSENT, '10.77.0.1', UNKNOWN]) send(source)
    t.same(delivered, isAllowed ? [MEMBER, OTHER, BEHIND_OTHER, ABSENT] : [MEMBER, ABSENT])
    send(OTHER, '192.168.9.9', OTHER)
    send(ABSENT, '192.168.9.9', OTHER)
    t.equal(delivered.at(-1), isAllowed ? OTHER : ABSENT, 'behind the header of a route that another member has sent')
    t.equal(delivered.length, isAllowed ? 5 : 2)
  }
  t.same(new Set(asked), new Set([`${MEMBER} for ${OTHER}`]))
})

t.test('the same for packets that go on to another member; a network that is not known here may be known there', async (t) => {
  const relaying = rig(t, { isRelaying: true, others: [OTHER] })
  for (const [source, carried] of [[MEMBER, 1], [OTHER, 1], ['10.77.0.1', 1], [UNKNOWN, 2]] as const) {
    relaying.send(source, ABSENT)
    t.equal(relaying.carried, carried, source)
  }
  const without = rig(t)
  without.send(MEMBER, ABSENT)
  t.same([without.carried, without.stats.drops.destination], [0, 1])
})

t.test('whatever a member sends, what arrives is its own', async (t) => {
  const { send, delivered, stats } = rig(t, { others: [OTHER] })
  const address = fc.oneof(fc.constantFrom(MEMBER, OTHER, ABSENT, BEHIND_MEMBER, BEHIND_OTHER, '10.77.0.1', '0.0.0.0', '255.255.255.255'), fc.integer({ min: 0, max: 0xffffffff }).map(formatAddress))
  let sent = 0
  fc.assert(fc.property(address, fc.option(address, { nil: undefined }), (source, outer) => {
    sent++
    send(source, undefined, outer)
    return delivered.splice(0).every((one) => one === MEMBER || one.startsWith('172.16.1.'))
  }), { numRuns: 2000, seed: 1 })
  const { directPacketsIn, drops } = stats
  t.ok(directPacketsIn > 0 && drops.source > 0)
  t.equal(directPacketsIn + drops.source + drops.malformed, sent)
})

t.test('whom a member may carry packets of', async (t) => {
  const path = (roundTrip: number): RemotePeer['usable'] => ({ roundTrip, endpoint: { host: '203.0.113.9', port: 9, isLocal: false }, size: 1400, seal () {} }) as unknown as RemotePeer['usable']
  const peerOf = (address: string, { roundTrip, isIntroduced = true }: { roundTrip?: number, isIntroduced?: boolean }): RemotePeer => {
    const usable = roundTrip === undefined ? undefined : path(roundTrip)
    return { address: addr(address), state: usable === undefined ? 'init' : 'connected', isIntroduced, usable, isSound: usable !== undefined, path: usable, measured () {} } as unknown as RemotePeer
  }
  const make = (origin: Parameters<typeof peerOf>[1]): { routes: MemberRoutes, by: RemotePeer, origin: RemotePeer, tell: (milliseconds: number) => void } => {
    const members = new Members()
    const [by, from] = [peerOf(MEMBER, { roundTrip: 20 }), peerOf(OTHER, origin)]
    for (const one of [by, from]) members.add(one, false)
    const routes = new MemberRoutes({ own: OWN, cost: 5, members, outbox: new Outbox({ port: { send: (batch: unknown[]) => batch.length, queued: 0, limit: 1 } } as unknown as DirectSocket), transmit () {}, stats: newPeerStats() })
    for (const one of [by, from]) {
      routes.changed(one, 0)
      routes.delay({ source: OWN.address, destination: one.address, time: 0 }, new Uint8Array(17), one, one.path?.roundTrip ?? 0)
    }
    return { routes, by, origin: from, tell: (roundTrip) => { routes.route({ destination: addr(OTHER), next: addr(MEMBER), roundTrip }, by, 100) } }
  }
  for (const [title, init] of [['without a path', {}], ['with an original client', { roundTrip: 40, isIntroduced: false }]] as const) {
    const { routes, by, origin } = make(init)
    t.ok(routes.mayCarry(by, origin), title)
  }
  const { routes, by, origin, tell } = make({ roundTrip: 40 })
  t.notOk(routes.mayCarry(by, origin), 'it has told of no way')
  tell(25)
  t.notOk(routes.mayCarry(by, origin), 'a longer way')
  tell(18)
  t.ok(routes.mayCarry(by, origin), 'a shorter way that is not used here, as it is not shorter by much, but may be there')
  t.equal(routes.nextHop(addr(OTHER)), addr(OTHER))
  tell(5)
  t.equal(routes.nextHop(addr(OTHER)), addr(MEMBER))
  t.ok(routes.mayCarry(by, origin), 'the way that is used here')
  tell(0x7fff_ffff)
  t.notOk(routes.mayCarry(by, origin), 'a way that was withdrawn')
})
