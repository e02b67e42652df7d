/** The routes that a server pushes, from the message to the interface and to the packets; candy protocol, sections 1.9 and 1.10. */
import { EventEmitter, once } from 'node:events'
import t, { type Test } from 'tap'
import { CandyPeer, serveCandy, type CandyPeerInit } from '../../../src/nodes/candy/index.ts'
import { MessageType } from '../../../src/nodes/candy/protocol/messages.ts'
import { decodeRoute, encodeRoutes } from '../../../src/nodes/candy/protocol/routes.ts'
import { newPacket, TunError } from '../../../src/tun/device.ts'
import { userspaceTun, type UserspaceTun } from '../../../src/tun/userspace.ts'
import { hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { PASSWORD } from '../../helpers/candy/client.ts'
import { turn, until } from '../../helpers/ends.ts'
import { actAsCandy, BINARY, frame, PING, PONG, scriptedServer, startPeer, udpPacket, type Frame, type ScriptedServer, type Started, type Visitor } from '../../helpers/candy/scripted-server.ts'
import { address, cidr, vector } from '../../helpers/candy/vectors.ts'

const ROUNDS = mutations()

const ADDRESS = '10.77.0.3/24'
const GATEWAY = '10.77.0.2'

/** ROUTE messages of routes such as `172.16.0.0/16`, to one gateway unless they name another. */
const routes = (...texts: string[]): Buffer[] => encodeRoutes(texts.map((text) => {
  const [destination, nexthop = GATEWAY] = text.split(' ')
  return { destination: cidr(destination), nexthop: address(nexthop) }
})).map((message) => Buffer.from(message))

const inFrames = (messages: Uint8Array[]): Buffer => Buffer.concat(messages.map((message) => frame(BINARY, message)))

interface Line {
  fields: any
  message: string
}

interface Routed extends Started {
  server: ScriptedServer
  /** Each set of routes that the interface was told, as `destination gateway`. */
  sets: string[][]
  warnings: Line[]
  frames: Frame[]
}

interface RoutedInit extends Partial<CandyPeerInit> {
  mtu?: number
  /** What the server does when the AUTH of its nth client has come, counted from 0; its pong follows. */
  onAuth?: (visitor: Visitor, n: number) => void
  /** Why the interface refuses a route. */
  refuse?: (destination: string) => string | undefined
}

/** An interface that remembers each set of routes that it was told. */
function recorder ({ refuse, mtu }: Pick<RoutedInit, 'refuse' | 'mtu'> = {}): Pick<Routed, 'tun' | 'sets'> {
  const sets: string[][] = []
  const tun = userspaceTun({ mtu })
  const { setRoutes } = tun
  tun.setRoutes = async (routes) => {
    sets.push(routes.map(({ destination, gateway }) => `${destination} ${gateway}`))
    await setRoutes.call(tun, routes)
    return routes.flatMap((route) => {
      const why = refuse?.(route.destination)
      return why === undefined ? [] : [{ route, reason: new TunError('ERR_TUN_SYSTEM', why) }]
    })
  }
  return { tun, sets }
}

/** A peer at a server like candy. */
async function routed (t: Test, { onAuth, refuse, mtu, ...init }: RoutedInit = {}): Promise<Routed> {
  const frames: Frame[] = []
  const warnings: Line[] = []
  const { tun, sets } = recorder({ refuse, mtu })
  const server = await scriptedServer(t, {
    serve: (visitor) => actAsCandy(visitor, {
      password: PASSWORD,
      onFrame: (next) => { frames.push(next) },
      onAuth: () => { onAuth?.(visitor, server.visitors.indexOf(visitor)) }
    })
  })
  const log = { debug () {}, info () {}, error () {}, warn: (fields: object, message: string) => { warnings.push({ fields, message }) } }
  const started = startPeer(t, server, { address: ADDRESS, log, ...init, tun })
  return { ...started, server, sets, warnings, frames }
}

/** The same, when it is online. */
async function online (t: Test, init?: RoutedInit): Promise<Routed & { visitor: Visitor }> {
  const all = await routed(t, init)
  await once(all.peer, 'online')
  return { ...all, visitor: all.server.visitors[0] }
}

/** Waits until everything that the server has sent was handled. */
async function settled ({ frames }: Routed, visitor: Visitor): Promise<void> {
  const payload = `mark ${frames.length}`
  visitor.socket.write(frame(PING, Buffer.from(payload)))
  await until(() => frames.some((next) => next.opcode === PONG && next.payload.toString() === payload))
}

/** Packets of the interface, as if programs had sent them; then what the server got, without the type byte. */
async function sent ({ tun, frames, peer }: Routed, packets: Uint8Array[]): Promise<string[]> {
  const { packetsOut, drops: { malformed } } = peer.stats
  const before = frames.length
  push(tun, packets)
  await until(() => peer.stats.packetsOut + peer.stats.drops.malformed === packetsOut + malformed + packets.length)
  const forwards = (): Frame[] => frames.slice(before).filter(({ opcode, payload }) => opcode === BINARY && payload[0] === MessageType.FORWARD)
  await until(() => forwards().length === peer.stats.packetsOut - packetsOut)
  return forwards().map(({ payload }) => toHex(payload.subarray(1)))
}

const push = (tun: UserspaceTun, packets: Uint8Array[]): void => { (tun.source as unknown as { pushBatch (batch: Uint8Array[]): void }).pushBatch(packets) }

const udp = (destination: string, size = 8): Uint8Array => udpPacket('10.77.0.3', destination, 9, new Uint8Array(size))

/** The outer header that leads to a member. */
const outer = (nexthop: string, own = '0a4d0003'): string => `0000000000000000000400${'00'}${own}${toHex(Uint8Array.from(nexthop.split('.').map(Number)))}`

const told = ({ warnings }: Routed, message: string): any[] => warnings.filter((line) => line.message === message).map(({ fields }) => fields)

t.test('routes that come before the pong are with the interface when the peer is online', async (t) => {
  const all = await routed(t, { onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16', '192.168.5.0/24 10.77.0.9')) } })
  const setsThen = once(all.peer, 'online').then(() => all.sets.length)
  t.equal(await setsThen, 1)
  await turn()
  t.same(all.sets, [['172.16.0.0/16 10.77.0.2', '192.168.5.0/24 10.77.0.9']])
  t.equal(all.peer.stats.routes, 2)
  t.same(all.warnings, [])
})

t.test('what comes behind an outer header is taken for the networks that routes lead to through this peer', async (t) => {
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16 10.77.0.3', '172.17.0.0/16')) } })
  const { peer, visitor, warnings } = all
  const arriving = (destination: string): Uint8Array => Buffer.from(`01${outer('10.77.0.3', '0a4d0002')}${toHex(udp(destination))}`, 'hex')
  visitor.send(...['172.16.0.5', '10.77.0.3', '172.17.0.5', '8.8.8.8', '255.255.255.255', '127.0.0.1'].map(arriving))
  await settled(all, visitor)
  t.match(peer.stats, { packetsIn: 2, drops: { destination: 4, malformed: 0 } })
  t.match(told(all, 'a packet for a network that no route leads to through this peer'), [{ destination: '172.17.0.5', expected: '172.16.0.0/16' }])
  t.equal(warnings.length, 1, 'told once')
})

t.test('also in one read with the pong, and in several messages', async (t) => {
  const server = await scriptedServer(t)
  const { tun, sets } = recorder()
  const { peer } = startPeer(t, server, { tun, address: ADDRESS })
  const visitor = await server.next()
  await visitor.message(MessageType.VMAC)
  await visitor.message(MessageType.AUTH)
  visitor.socket.write(Buffer.concat([inFrames(routes('172.16.0.0/16')), inFrames(routes('172.17.0.0/16')), frame(PONG, Buffer.alloc(0)), inFrames(routes('172.18.0.0/16'))]))
  await once(peer, 'online')
  t.same(sets.map(({ length }) => length), [3], 'the interface is told once')
})

t.test('routes that come later are added at once, in one go for each read', async (t) => {
  const all = await online(t)
  t.same(all.sets, [[]])
  all.visitor.socket.write(Buffer.concat([inFrames(routes('172.16.0.0/16')), inFrames(routes('172.17.0.0/16'))]))
  await settled(all, all.visitor)
  t.same(all.sets.slice(1), [['172.16.0.0/16 10.77.0.2', '172.17.0.0/16 10.77.0.2']])
  all.visitor.send(...routes('172.18.0.0/16 10.77.0.9'))
  await settled(all, all.visitor)
  t.same(all.sets.slice(2), [['172.16.0.0/16 10.77.0.2', '172.17.0.0/16 10.77.0.2', '172.18.0.0/16 10.77.0.9']])
  t.equal(all.peer.stats.routes, 3)
  all.visitor.send(...routes('172.18.0.0/16 10.77.0.8', '172.16.0.0/16'), hex('06000000'))
  await settled(all, all.visitor)
  t.equal(all.sets.length, 3, 'and what is there already changes nothing')
  t.equal(all.peer.stats.routes, 3)
})

t.test('a packet from another member before the pong: online at once, the routes follow with the pong', async (t) => {
  const server = await scriptedServer(t)
  const { tun, sets } = recorder()
  const { peer } = startPeer(t, server, { tun, address: ADDRESS })
  const visitor = await server.next()
  await visitor.message(MessageType.VMAC)
  await visitor.message(MessageType.AUTH)
  visitor.send(Buffer.concat([Buffer.from([MessageType.FORWARD]), udpPacket('10.77.0.9', '10.77.0.3', 9, new Uint8Array(1))]))
  await once(peer, 'online')
  visitor.send(...routes('172.16.0.0/16'))
  visitor.socket.write(frame(PING, Buffer.from('x')))
  await until(() => peer.stats.packetsIn > 0)
  t.same(sets, [], 'the server may still be about to push')
  visitor.socket.write(frame(PONG, Buffer.alloc(0)))
  await until(() => sets.length > 0)
  t.same(sets, [['172.16.0.0/16 10.77.0.2']])
})

t.test('routes before AUTH are nobody\'s', async (t) => {
  const server = await scriptedServer(t)
  const { tun, sets } = recorder()
  const { peer } = startPeer(t, server, { tun })
  const visitor = await server.next()
  await visitor.message(MessageType.VMAC)
  const request = await visitor.message(MessageType.DHCP)
  request.write('10.77.0.3/24\0', 9, 'latin1') // nothing that is hashed
  visitor.send(...routes('172.16.0.0/16'), request)
  await visitor.message(MessageType.AUTH)
  visitor.socket.write(frame(PONG, Buffer.alloc(0)))
  await once(peer, 'online')
  t.same(sets, [[]])
})

t.test('case 20: entries whose next hop is the peer itself are skipped', async (t) => {
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16 10.77.0.3', '172.16.0.0/16 10.77.0.9', '172.17.0.0/16 10.77.0.3')) } })
  t.same(all.sets, [['172.16.0.0/16 10.77.0.9']], 'and do not hide others')
  t.same(await sent(all, [udp('172.16.0.5'), udp('172.17.0.5')]), [outer('10.77.0.9') + toHex(udp('172.16.0.5')), toHex(udp('172.17.0.5'))])
  t.same(all.warnings, [])
})

t.test('case 20: a malformed message is dropped as a whole and counted, and the connection lives', async (t) => {
  const bad = [
    hex('06'),
    hex('060000'),
    hex('06ff0000'),
    hex('06020000 ac100000ffff0000c0a8ca01'), // more entries than there are
    hex('06020000 ac100000ffff0000c0a8ca01 ac110000ffff0000c0a8ca'),
    hex('06020000 ac100000ffff00000a4d0002 ac110000ff00ff000a4d0002') // a mask with holes, behind a good one
  ]
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...bad, ...routes('172.18.0.0/16')) } })
  all.visitor.send(...bad)
  await settled(all, all.visitor)
  t.same(all.sets, [['172.18.0.0/16 10.77.0.2']])
  t.match(all.peer.stats, { routes: 1, drops: { route: 2 * bad.length, malformed: 0 } })
  t.equal(told(all, 'malformed ROUTE dropped').length, 1, 'told once')
  t.equal(all.warnings.length, 1)
  t.equal(all.peer.state, 'online')
  t.same(all.reasons, [])
})

t.test('case 21: a packet to a pushed route, byte for byte', async (t) => {
  const { bytes, inputs } = vector('forward_ipip_route')
  const all = await online(t, {
    address: `${inputs.own}/24`,
    onAuth: (visitor) => { visitor.send(...routes(`172.17.0.0/16 ${inputs.nexthop}`)) }
  })
  const inner = hex(inputs.inner_hex)
  const packet = newPacket(inner.length)
  packet.set(inner)
  t.same(await sent(all, [packet]), [toHex(bytes.subarray(1))])
  t.match(all.peer.stats, { packetsOut: 1, bytesOut: inner.length }, 'counted without the header')
  const whole = all.frames.filter(({ opcode, payload }) => opcode === BINARY && payload[0] === MessageType.FORWARD)
  t.same(whole.map(({ payload }) => toHex(payload)), [toHex(bytes)])
})

t.test('the outer header is written into the headroom: no packet is copied for it', async (t) => {
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16')) } })
  const packet = udp('172.16.0.5')
  const plain = udp('10.77.0.9')
  await sent(all, [packet, plain])
  t.equal(toHex(new Uint8Array(packet.buffer, packet.byteOffset - 21, 21)), '01' + outer(GATEWAY))
  t.equal(toHex(new Uint8Array(plain.buffer, plain.byteOffset - 21, 21)), '00'.repeat(20) + '01')
})

t.test('a packet to a route has room for its header, or is dropped', async (t) => {
  const all = await online(t, { mtu: 1500, onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16')) } })
  const [longest, tooLong, plain] = [udp('172.16.0.5', 1451), udp('172.16.0.5', 1452), udp('10.77.0.9', 1452)]
  t.same((await sent(all, [longest, tooLong, plain])).map(({ length }) => length / 2), [1499, 1480])
  t.match(all.peer.stats, { packetsOut: 2, drops: { malformed: 1 } })
})

t.test('a default route swallows nothing between members', async (t) => {
  const all = await online(t, { routes: 'all', onAuth: (visitor) => { visitor.send(...routes('0.0.0.0/0')) } })
  t.same(all.sets, [['0.0.0.0/0 10.77.0.2']])
  const plain = ['10.77.0.9', '10.77.0.2', '10.77.0.255', '255.255.255.255', '224.0.0.251'].map((destination) => udp(destination))
  t.same(await sent(all, plain), plain.map(toHex))
  t.same(await sent(all, [udp('8.8.8.8')]), [outer(GATEWAY) + toHex(udp('8.8.8.8'))])
})

t.test('a route that is not taken is told once in a connection, with the option that takes it', async (t) => {
  const pushed = routes('8.8.8.0/24', '172.16.0.0/16', '127.0.0.0/8', '0.0.0.0/0', '172.17.0.0/16 255.255.255.255', '10.77.0.128/25')
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...pushed, ...pushed) } })
  const refusals = [
    { route: '8.8.8.0/24 via 10.77.0.2', reason: 'it is no private network', takenBy: 'routes: private,8.8.8.0/24' },
    { route: '127.0.0.0/8 via 10.77.0.2', reason: '127.0.0.0/8 is never routed' },
    { route: '0.0.0.0/0 via 10.77.0.2', reason: 'it is a default route', takenBy: 'routes: all' },
    { route: '172.17.0.0/16 via 255.255.255.255', reason: 'its next hop 255.255.255.255 is no host' },
    { route: '10.77.0.128/25 via 10.77.0.2', reason: 'it is in our own network 10.77.0.0/24' }
  ]
  t.strictSame(told(all, 'route not taken'), refusals)
  t.same(all.sets, [['172.16.0.0/16 10.77.0.2']])
  t.same(await sent(all, [udp('8.8.8.8')]), [toHex(udp('8.8.8.8'))], 'nor is it used')
  const back = once(all.peer, 'online')
  all.visitor.end()
  await back
  t.equal(told(all, 'route not taken').length, 2 * refusals.length, 'and again in the next one')
  t.equal(all.peer.stats.drops.route, 0)
})

t.test('other choices of routes', async (t) => {
  const pushed = routes('8.8.8.0/24', '172.16.0.0/16', '192.168.1.0/24')
  for (const [option, taken] of [
    ['none', []],
    ['all', ['8.8.8.0/24', '172.16.0.0/16', '192.168.1.0/24']],
    ['8.0.0.0/8,192.168.0.0/16', ['8.8.8.0/24', '192.168.1.0/24']],
    ['private,8.8.8.0/24', ['8.8.8.0/24', '172.16.0.0/16', '192.168.1.0/24']]
  ] as const) {
    const all = await online(t, { routes: option, onAuth: (visitor) => { visitor.send(...pushed) } })
    t.same(all.sets, [taken.map((destination) => `${destination} 10.77.0.2`)], option)
    t.equal(told(all, 'route not taken').length, 3 - taken.length)
  }
})

t.test('the log is bounded, whatever a server pushes', async (t) => {
  const many = Array.from({ length: 500 }, (_, i) => `8.${i >> 8}.${i & 255}.0/24`)
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...routes(...many), hex('06')) } })
  all.visitor.send(...routes(...many))
  await settled(all, all.visitor)
  t.equal(all.warnings.length, 21)
  t.equal(all.warnings.at(-1)?.message, 'more about routes is not logged')
  t.match(all.peer.stats, { routes: 0, drops: { route: 1 } })
})

t.test('1024 routes are taken, and that there are more is told once', async (t) => {
  const many = Array.from({ length: 1030 }, (_, i) => `172.${16 + (i >> 8)}.${i & 255}.0/24`)
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...routes(...many), ...routes('192.168.1.0/24', '172.16.0.0/24')) } })
  t.equal(all.sets.length, 1)
  t.same(all.sets[0], many.slice(0, 1024).map((destination) => `${destination} 10.77.0.2`))
  t.same(all.warnings, [{ fields: { limit: 1024 }, message: 'more routes than are taken' }])
  t.equal(all.peer.stats.routes, 1024)
  const [first, last, over] = [udp('172.16.0.1'), udp('172.19.255.1'), udp('172.20.0.1')]
  t.same(await sent(all, [first, last, over]), [outer(GATEWAY) + toHex(first), outer(GATEWAY) + toHex(last), toHex(over)])
})

t.test('a lost connection: the routes stay until the next server has said its own', async (t) => {
  const pushed = [['172.16.0.0/16', '172.17.0.0/16'], ['172.17.0.0/16', '172.18.0.0/16 10.77.0.9'], []]
  const clock = new EventEmitter()
  const all = await online(t, {
    onAuth: (visitor, n) => {
      visitor.send(...routes(...pushed[n]))
      clock.emit('auth')
    },
    backoff: { first: 200, longest: 200 }
  })
  t.same(all.sets, [['172.16.0.0/16 10.77.0.2', '172.17.0.0/16 10.77.0.2']])
  for (const [n, expected] of [[1, ['172.17.0.0/16 10.77.0.2', '172.18.0.0/16 10.77.0.9']], [2, []]] as const) {
    const offline = once(all.peer, 'offline')
    const [auth, back] = [once(clock, 'auth'), once(all.peer, 'online')]
    all.server.visitors[n - 1].socket.resetAndDestroy()
    await offline
    const { offline: lost } = all.peer.stats.drops
    push(all.tun, [udp('172.17.0.5'), udp('172.17.0.6')])
    await until(() => all.peer.stats.drops.offline === lost + 2)
    t.equal(all.sets.length, n, 'offline: they are not touched')
    t.equal(all.peer.stats.routes, pushed[n - 1].length)
    await auth
    await back
    t.equal(all.sets.length, n + 1, 'told once')
    t.same(all.sets.at(-1), expected)
    await until(() => all.peer.stats.routes === expected.length)
  }
  t.same(await sent(all, [udp('172.17.0.5')]), [toHex(udp('172.17.0.5'))], 'routes of a connection that is over lead nowhere')
  t.equal(all.peer.stats.failures, 2)
})

t.test('a route that the system refuses is told once, and does not count', async (t) => {
  const all = await online(t, {
    refuse: (destination) => destination === '172.17.0.0/16' ? 'RTM_NEWROUTE 172.17.0.0/16: ENETUNREACH' : undefined,
    onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16', '172.17.0.0/16')) }
  })
  all.visitor.send(...routes('172.18.0.0/16'))
  await settled(all, all.visitor)
  t.strictSame(all.warnings, [{ fields: { route: '172.17.0.0/16 via 10.77.0.2', reason: 'RTM_NEWROUTE 172.17.0.0/16: ENETUNREACH' }, message: 'route refused by the system' }])
  t.equal(all.peer.stats.routes, 2)
})

t.test('an interface that cannot set routes at all is told, and the peer goes on', async (t) => {
  const all = await routed(t, { onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16')) } })
  all.tun.setRoutes = async () => { throw new TunError('ERR_TUN_PERMISSION', 'RTM_NEWROUTE candy: no permission') }
  await once(all.peer, 'online')
  await settled(all, all.server.visitors[0])
  t.strictSame(all.warnings, [{ fields: { reason: 'RTM_NEWROUTE candy: no permission' }, message: 'routes not set' }])
  t.match(all.peer, { state: 'online', stats: { routes: 0 } })
  t.same(await sent(all, [udp('172.16.0.5')]), [outer(GATEWAY) + toHex(udp('172.16.0.5'))])
})

t.test('close leaves no routes on the interface', async (t) => {
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16')) } })
  const closing = all.peer.close()
  await all.server.stop()
  await closing
  t.same(all.sets, [['172.16.0.0/16 10.77.0.2'], []])
  t.equal(all.peer.stats.routes, 0)
})

t.test('close, while there is no connection and before there ever was one', async (t) => {
  const all = await online(t, { backoff: { first: 1e9, longest: 1e9 }, onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16')) } })
  const offline = once(all.peer, 'offline')
  await all.server.stop()
  await offline
  await all.peer.close()
  t.same(all.sets, [['172.16.0.0/16 10.77.0.2'], []])

  const { tun, sets } = recorder()
  const peer = new CandyPeer({ url: 'ws://127.0.0.1:1/', password: PASSWORD, tun, backoff: { first: 1e9, longest: 1e9 } })
  peer.start()
  await once(peer, 'offline')
  await peer.close()
  t.same(sets, [], 'an interface that has got no routes is left alone')
})

t.test('routes go with an interface that fails', async (t) => {
  const all = await online(t, { onAuth: (visitor) => { visitor.send(...routes('172.16.0.0/16')) } })
  await until(() => all.peer.stats.routes === 1)
  const failed = once(all.peer, 'failed')
  await all.tun.close()
  await failed
  await all.server.stop()
  await all.peer.close()
  t.equal(all.peer.stats.routes, 0)
  t.same(all.warnings, [])
})

t.test('an MTU that leaves no room for the outer header is told once, and only with routes', async (t) => {
  for (const [mtu, lines] of [[1430, 0], [1431, 1]]) {
    const all = await online(t, { mtu, onAuth: (visitor, n) => { if (n > 0) visitor.send(...routes('172.16.0.0/16', '172.17.0.0/16')) } })
    t.same(all.warnings.filter(({ fields }) => 'mtu' in fields), [])
    for (let n = 1; n < 3; n++) {
      const back = once(all.peer, 'online')
      all.server.visitors[n - 1].end()
      await back
    }
    const warnings = told(all, 'the MTU is too large for routes')
    t.equal(warnings.length, lines)
    if (lines > 0) t.match(warnings, [{ mtu: 1431, atMost: 1430, reason: /20 bytes longer .* 1430 .* 1479/ }])
  }
})

t.test('options that cannot be', async (t) => {
  for (const option of ['', 'some', '10.1.2.3/16']) t.throws(() => new CandyPeer({ url: 'ws://127.0.0.1:1/', password: PASSWORD, tun: userspaceTun(), routes: option }), { code: 'ERR_OPTION' })
})

t.test('every truncation and many mutations of ROUTE: dropped or taken, and nothing else happens', async (t) => {
  const [sample] = routes('172.16.0.0/16', '192.168.7.0/24 10.77.0.9', '8.8.8.8/32', '10.0.0.0/8 10.77.0.4')
  const all = await online(t, { routes: 'all' })
  const below = random(21)
  const messages = [...Array.from({ length: sample.length }, (_, length) => sample.subarray(0, length)), ...Array.from({ length: Math.ceil(ROUNDS / 10) }, () => mutate(sample, below))]
    .filter((message) => message[0] === MessageType.ROUTE)
  let bad = 0
  for (const message of messages) {
    try {
      decodeRoute(message)
    } catch {
      bad++
    }
  }
  for (let at = 0; at < messages.length; at += 1000) {
    all.visitor.send(...messages.slice(at, at + 1000))
    await settled(all, all.visitor)
  }
  t.ok(bad > messages.length / 10 && bad < messages.length, `${bad} of ${messages.length}`)
  t.equal(all.peer.stats.drops.route, bad)
  t.equal(all.peer.state, 'online')
  t.same(all.reasons, [])
  t.ok(all.warnings.length <= 21)
  t.ok(all.peer.stats.routes > 4 && all.peer.stats.routes <= 1024)
  t.same(await sent(all, [udp('10.77.0.9')]), [toHex(udp('10.77.0.9'))])
})

t.test('a network behind a gateway, all of it in one process', async (t) => {
  const relay = await serveCandy({ listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24', sdwan: '10.77.0.0/24,172.16.0.0/16,10.77.0.2' })
  t.teardown(() => relay.close())
  const client = startPeer(t, { url: relay.url }, { address: ADDRESS })
  const gateway = startPeer(t, { url: relay.url }, { address: `${GATEWAY}/24` })
  await Promise.all([once(client.peer, 'online'), once(gateway.peer, 'online')])
  t.match([client.peer.stats, gateway.peer.stats], [{ routes: 1 }, { routes: 0 }])

  const socket = client.tun.udp(7)
  socket.send({ address: '172.16.0.5', port: 7, data: Buffer.from('question') })
  await until(() => gateway.written.length > 0)
  const [question] = gateway.written.flat()
  t.equal(toHex(question.subarray(12, 20)), '0a4d0003ac100005', 'the packet, without the outer header')
  push(gateway.tun, [udpPacket('172.16.0.5', '10.77.0.3', 7, Buffer.from('answer'))])
  const { value } = await socket[Symbol.asyncIterator]().next()
  t.match(value, [{ address: '172.16.0.5', data: Buffer.from('answer') }], 'the source of the answer is what the rule allows')
  t.match(relay.relay.stats.drops, { source: 0, destination: 0 })
  await Promise.all([client.peer.close(), gateway.peer.close()])
})
