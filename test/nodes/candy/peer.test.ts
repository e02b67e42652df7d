/** The peer against stand-ins for the servers that exist, by the numbers of the table of conformance cases (candy protocol, section 7) where they apply. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import t, { type Test } from 'tap'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { CandyPeer, type CandyPeerStats } from '../../../src/nodes/candy/index.ts'
import { MessageType } from '../../../src/nodes/candy/protocol/messages.ts'
import { PeerRoutes } from '../../../src/nodes/candy/peer/routes.ts'
import { PeerSession } from '../../../src/nodes/candy/peer/session.ts'
import { PeerTaps } from '../../../src/nodes/candy/peer/taps.ts'
import { newPeerStats } from '../../../src/nodes/candy/peer/stats.ts'
import { RoutePolicy } from '../../../src/nodes/candy/peer/route-policy.ts'
import { OptionError } from '../../../src/errors.ts'
import { silent } from '../../../src/log.ts'
import { websocketFrames } from '../../../src/transforms/websocket-frames/index.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { newPacket } from '../../../src/tun/device.ts'
import { userspaceTun } from '../../../src/tun/index.ts'
import { hex, toHex } from '../../helpers/bytes.ts'
import { PASSWORD } from '../../helpers/candy/client.ts'
import { turn, until } from '../../helpers/ends.ts'
import { actAsCacao, actAsCandy, BINARY, CLOSE, frame, PING, PONG, scriptedServer, sha256, startPeer, TEXT, timestampNow, udpPacket, type Started, type Visitor } from '../../helpers/candy/scripted-server.ts'
import { vector } from '../../helpers/candy/vectors.ts'
import { ManualClock } from '../../helpers/clock.ts'

const { AUTH, DHCP, FORWARD, VMAC } = MessageType

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1')

/** The answer to DHCP, with anything in the field of the address. */
function reply (field: string, password = PASSWORD): Buffer {
  const time = timestampNow()
  const cidr = Buffer.alloc(32)
  cidr.write(field, 'latin1')
  return Buffer.concat([Buffer.from([DHCP]), time, cidr, sha256(password, time)])
}

const forwardOf = (packet: Uint8Array): Buffer => Buffer.concat([Buffer.from([FORWARD]), packet])

interface Joined extends Started {
  visitor: Visitor
  frames: Array<{ opcode: number, payload: Buffer }>
}

/** A peer that is online at a server like candy, with the address 10.77.0.2. */
async function joined (t: Test, init: Parameters<typeof startPeer>[2] = {}): Promise<Joined> {
  const frames: Joined['frames'] = []
  const server = await scriptedServer(t, {
    serve: (visitor) => actAsCandy(visitor, { password: PASSWORD, offer: '10.77.0.2/24', onFrame: (next) => { frames.push(next) } })
  })
  const started = startPeer(t, server, init)
  await once(started.peer, 'online')
  return { ...started, frames, visitor: await server.next() }
}

/** Waits until everything that the server has sent was handled. */
async function settled ({ visitor, frames }: Joined): Promise<void> {
  const payload = `mark ${frames.length}`
  visitor.socket.write(frame(PING, Buffer.from(payload)))
  await until(() => frames.some((f) => f.opcode === PONG && text(f.payload) === payload))
}

t.test('the handshake with a dynamic address: VMAC, DHCP, AUTH, greeting', async (t) => {
  const server = await scriptedServer(t)
  const { peer, tun } = startPeer(t, server, { url: server.url + 'alice/home?x=1' })
  const events: string[] = []
  peer.on('address', (cidr) => { events.push(`address ${cidr}`) }).on('online', (cidr) => { events.push(`online ${cidr}`) })
  const visitor = await server.next()
  t.match(visitor.path, /^\/alice\/home/, 'the path selects the network')
  const vmac = await visitor.expect(BINARY)
  t.equal(vmac[0], VMAC)
  t.ok(visitor.proven(vmac, PASSWORD))
  t.equal(text(vmac.subarray(1, 17)), '0123456789abcdef')
  const dhcp = await visitor.expect(BINARY)
  t.equal(dhcp[0], DHCP)
  t.ok(visitor.proven(dhcp, PASSWORD))
  t.equal(text(dhcp.subarray(9, 41)), '0.0.0.0/0'.padEnd(32, '\0'))
  t.same(events, [])
  visitor.send(reply('10.77.0.2/24'))
  const auth = await visitor.expect(BINARY)
  t.equal(auth[0], AUTH)
  t.ok(visitor.proven(auth, PASSWORD))
  t.same([...auth.subarray(1, 5)], [10, 77, 0, 2])
  t.match(text(await visitor.expect(PING)), /^candy::(linux|macos|windows|android|unknown)::[^:]+::laptop$/)
  t.same(events, ['address 10.77.0.2/24'])
  t.equal(peer.state, 'connecting')
  visitor.socket.write(frame(PONG, Buffer.alloc(0)))
  await once(peer, 'online')
  t.same(events, ['address 10.77.0.2/24', 'online 10.77.0.2/24'])
  t.match(peer, { state: 'online', address: '10.77.0.2/24' })
  tun.udp().send({ address: '10.77.0.9', port: 9, data: Buffer.from('hi') })
  t.equal(text((await visitor.message(FORWARD)).subarray(29)), 'hi', 'the interface has the address')
})

t.test('a packet from another member says as well that AUTH was accepted', async (t) => {
  const server = await scriptedServer(t)
  const { peer, written } = startPeer(t, server)
  const visitor = await server.next()
  const packet = udpPacket('10.77.0.3', '10.77.0.2', 9, Buffer.from('hello'))
  await visitor.message(VMAC)
  await visitor.message(DHCP)
  visitor.socket.write(Buffer.concat([frame(PONG, Buffer.alloc(0)), frame(PONG, Buffer.alloc(0)), frame(BINARY, forwardOf(packet)), frame(BINARY, reply('10.77.0.2/24'))]))
  await visitor.message(AUTH)
  t.equal(peer.state, 'connecting', 'nothing before AUTH counts')
  visitor.send(forwardOf(packet))
  t.same(await once(peer, 'online'), ['10.77.0.2/24'])
  t.same(written.flat().map(toHex), [toHex(packet), toHex(packet)])
})

t.test('a static address sends no DHCP', async (t) => {
  const server = await scriptedServer(t)
  startPeer(t, server, { address: '10.77.0.9/16', remembered: '10.77.0.8/24' })
  const visitor = await server.next()
  for (const type of [VMAC, AUTH]) {
    const message = await visitor.expect(BINARY)
    t.equal(message[0], type)
    t.ok(visitor.proven(message, PASSWORD))
    if (type === AUTH) t.same([...message.subarray(1, 5)], [10, 77, 0, 9])
  }
  await visitor.expect(PING)
  visitor.send(reply('10.77.0.3/24'), forwardOf(udpPacket('10.77.0.3', '10.77.0.9', 9, Buffer.alloc(1))))
  visitor.socket.write(frame(PING, Buffer.from('x')))
  await visitor.expect(PONG)
  t.equal(server.visitors.length, 1, 'an answer that nobody asked for is ignored')
})

t.test('a remembered address is asked for first, then the one that was given last', async (t) => {
  const wanted: string[] = []
  const offers = ['10.77.0.5/24', '10.77.0.6/24', '10.77.0.6/24']
  const server = await scriptedServer(t, {
    serve: async (visitor) => {
      const served = await actAsCandy(visitor, { password: PASSWORD, offer: offers[wanted.length], onFrame: ({ opcode }) => { if (opcode === PING) visitor.end() } })
      wanted.push(...served.wanted)
    }
  })
  const { peer } = startPeer(t, server, { remembered: '10.77.0.7/24' })
  t.equal(peer.address, '10.77.0.7/24')
  await until(() => wanted.length >= 3)
  t.same(wanted.slice(0, 3), ['10.77.0.7/24', '10.77.0.5/24', '10.77.0.6/24'])
})

t.test('case 15: junk behind the NUL of an answer is not read', async (t) => {
  const server = await scriptedServer(t)
  const { peer } = startPeer(t, server, { remembered: '192.168.202.111/24' })
  const visitor = await server.next()
  await visitor.message(VMAC)
  const request = await visitor.message(DHCP)
  const answer = reply('10.7.0.2/8\x0068.202.111/24\0\0\xff\xff\0junk')
  visitor.send(Buffer.concat([answer, request.subarray(73)]))
  t.same([...(await visitor.message(AUTH)).subarray(1, 5)], [10, 7, 0, 2])
  t.equal(peer.address, '10.7.0.2/8')
})

t.test('an answer that cannot be used is told, and the next attempt may succeed', async (t) => {
  const answers: Array<[Buffer, RegExp]> = [
    [reply('10.77.0.2/24', 'another password'), /the server has another password/],
    [reply('10.77.0.2/24').subarray(0, 72), /DHCP of 72 bytes/],
    [reply('10.77.0.2/33'), /DHCP without an address/],
    [reply('1'.repeat(32)), /no end/],
    [reply('0.0.0.0/0'), /the server gives the address 0\.0\.0\.0\/0, which is not taken: its network is larger than a \/8/],
    [reply('10.0.0.9/7'), /larger than a \/8/],
    [reply('224.0.0.1/24'), /it is in 224\.0\.0\.0\/4/],
    [reply('127.0.0.9/8'), /the server is in its network|it is in 127\.0\.0\.0\/8/],
    [reply('169.254.1.1/16'), /it is in no private network \(taken with routes: private,169\.254\.0\.0\/16\)/],
    [reply('8.8.8.1/24'), /it is in no private network \(taken with routes: private,8\.8\.8\.0\/24\)/],
    [reply('10.77.0.0/24'), /the server gives an address that the interface cannot have: 10\.77\.0\.0\/24/],
    [reply('10.77.0.2/24'), /never/]
  ]
  let attempt = 0
  const server = await scriptedServer(t, {
    serve: async (visitor) => {
      await visitor.message(VMAC)
      await visitor.message(DHCP)
      visitor.send(answers[attempt++][0])
      if (attempt === answers.length) await actAsCandy(visitor, { password: PASSWORD })
      else await visitor.ended
    }
  })
  const { peer, reasons } = startPeer(t, server)
  t.same(await once(peer, 'online'), ['10.77.0.2/24'])
  t.equal(reasons.length, answers.length - 1)
  reasons.forEach((reason, i) => { t.match(reason, answers[i][1]) })
  t.equal(peer.stats.failures, answers.length - 1)
})

t.test('only the first answer counts', async (t) => {
  const all = await joined(t)
  all.visitor.send(reply('10.77.0.99/24'), reply('x'), reply('10.77.0.98/24', 'another password'))
  await settled(all)
  t.equal(all.frames.filter(({ opcode, payload }) => opcode === BINARY && payload[0] === AUTH).length, 1)
  t.match(all.peer, { state: 'online', address: '10.77.0.2/24' })
  t.same(all.reasons, [])
})

t.test('case 6, at the peer: what it does not know is ignored', async (t) => {
  const all = await joined(t)
  const { visitor } = all
  visitor.send(new Uint8Array(0), hex('09'), hex('00'), hex('04'), hex('03'), hex('05'), hex('ff'), hex('ff00000000000000000000000001'))
  visitor.socket.write(frame(TEXT, Buffer.from('text')))
  visitor.socket.write(frame(TEXT, Buffer.alloc(0)))
  await settled(all)
  t.equal(all.peer.state, 'online')
  t.same(all.reasons, [])
  t.same(all.written, [])
})

t.test('case 21: of a packet behind the pseudo header exactly 20 bytes are stripped', async (t) => {
  const all = await joined(t)
  const { bytes, inputs } = vector('forward_ipip_route')
  all.visitor.send(bytes)
  await settled(all)
  t.same(all.written.flat().map(toHex), [inputs.inner_hex])
  t.match(all.peer.stats, { packetsIn: 1, bytesIn: inputs.inner_hex.length / 2 })
})

t.test('case 22: nothing, or garbage, behind the pseudo header is dropped', async (t) => {
  const all = await joined(t)
  const { bytes } = vector('forward_ipip_route')
  const outer = bytes.subarray(0, 21)
  const inner = bytes.subarray(21)
  const longer = Buffer.from(inner)
  longer.writeUInt16BE(inner.length + 1, 2)
  const shorter = Buffer.from(inner)
  shorter.writeUInt16BE(19, 2)
  const bad = [Buffer.alloc(0), hex('45'), inner.subarray(0, 19), inner.subarray(0, inner.length - 1), Buffer.alloc(40), Buffer.alloc(40, 0xff), longer, shorter, outer.subarray(1)]
  all.visitor.send(...bad.map((inside) => Buffer.concat([outer, inside])), hex('01'), forwardOf(Buffer.alloc(19)))
  const good = udpPacket('10.77.0.3', '10.77.0.2', 9, Buffer.from('good'))
  all.visitor.send(forwardOf(good))
  await settled(all)
  t.same(all.written.flat().map(toHex), [toHex(good)], 'nothing else was written to the interface')
  t.match(all.peer.stats, { packetsIn: 1, drops: { malformed: bad.length + 2 } })
  t.equal(all.peer.state, 'online')
})

t.test('real packets of protocol 4 stay what they are, and bytes behind a packet are cut off', async (t) => {
  const all = await joined(t)
  const real = Uint8Array.from(udpPacket('10.77.0.3', '10.77.0.2', 9, Buffer.from(vector('forward_icmp_echo').bytes)))
  real[9] = 4
  const padded = Buffer.concat([real, hex('ffffff')])
  all.visitor.send(forwardOf(real), forwardOf(padded))
  await settled(all)
  t.same(all.written.flat().map(toHex), [toHex(real), toHex(real)])
})

t.test('case 24: a PONG of 1500 bytes does not end the connection', async (t) => {
  const all = await joined(t, { pingInterval: 1 })
  await until(() => all.frames.filter(({ opcode }) => opcode === PING).length > 10)
  all.visitor.socket.write(frame(PONG, Buffer.alloc(1500, 0xff)))
  await settled(all)
  t.equal(all.peer.state, 'online')
  t.same(all.reasons, [])
})

t.test('case 24: a close frame of bare text ends the connection and tells the text', async (t) => {
  const taken = ['10.77.0.2']
  const server = await scriptedServer(t, { serve: (visitor) => actAsCacao(visitor, { password: PASSWORD, offer: '10.77.0.2/24', taken }) })
  const { peer, reasons } = startPeer(t, server)
  t.match(await once(peer, 'offline'), [/ip conflict$/])
  taken.length = 0
  await once(peer, 'online')
  const visitor = server.visitors.at(-1) as Visitor
  reasons.length = 0
  visitor.socket.write(frame(CLOSE, Buffer.from('net close')))
  t.match(await once(peer, 'offline'), [/net close$/])
  await visitor.ended
  await once(peer, 'online')
  ;(server.visitors.at(-1) as Visitor).socket.write(frame(CLOSE, Buffer.from('v')))
  t.match(await once(peer, 'offline'), [/ v$/], 'a single byte is no code either')
})

t.test('what a server says at the end reaches status and log without controls of terminals, and short', async (t) => {
  const lines: object[] = []
  const log = { debug () {}, info () {}, warn (fields: object) { lines.push(fields) }, error () {} }
  const hostile = '\x1b]0;owned\x07\x9b2J\u202egpj.exe\x7f' + 'x'.repeat(60_000)
  const server = await scriptedServer(t, { serve: (visitor) => { visitor.socket.write(frame(CLOSE, Buffer.from(hostile))) } })
  const { peer } = startPeer(t, server, { log })
  const [{ message: reason }] = await once(peer, 'offline') as [Error]
  t.match(reason, /^closed by the other side: 1005 \\x1b]0;owned\\x07\\x9b2J\\u202egpj\.exe\\x7fx{50,90}\.\.\.$/)
  t.equal(peer.status().reason, reason)
  t.match(lines, [{ reason }])
})

t.test('a server that answers DHCP with the very hash of the request', async (t) => {
  const served = { frames: [], address: '', wanted: [] }
  const server = await scriptedServer(t, { serve: (visitor) => actAsCacao(visitor, { password: PASSWORD, offer: '10.77.0.4/24' }, served) })
  const { peer } = startPeer(t, server, { remembered: '10.77.0.9/24' })
  t.same(await once(peer, 'online'), ['10.77.0.4/24'], 'and that gives another address than the one asked for')
  t.match(served, { address: '10.77.0.4', wanted: ['10.77.0.9/24'] })
})

t.test('case 25: pings of the server are answered with their payload', async (t) => {
  const { visitor, frames } = await joined(t)
  const payloads = ['candy::linux::6.1.8::h', 'x', '', 'y'.repeat(125)]
  const pongs = (): Array<{ payload: Buffer }> => frames.filter(({ opcode }) => opcode === PONG)
  for (const [i, payload] of payloads.entries()) {
    visitor.socket.write(frame(PING, Buffer.from(payload)))
    await until(() => pongs().length > i) // of several that come at once only the last is answered
  }
  t.same(pongs().map(({ payload }) => text(payload)), payloads)
})

t.test('case 25: the peer pings, whatever it receives, so that a server with a read limit keeps it', async (t) => {
  let pings = 0
  const server = await scriptedServer(t, {
    serve: (visitor) => actAsCacao(visitor, {
      password: PASSWORD,
      offer: '10.77.0.2/24',
      onFrame ({ opcode, payload }) {
        if (opcode !== PING) return
        pings++
        if (!/^candy::[a-z]+::[^:]+::laptop$/.test(text(payload))) visitor.faults.push(`ping ${text(payload)}`)
        visitor.send(forwardOf(udpPacket('10.77.0.3', '10.77.0.2', 9, Buffer.alloc(100))))
      }
    })
  })
  const { reasons, tun } = startPeer(t, server, { pingInterval: 2 })
  await until(() => pings >= 50)
  t.same(reasons, [])
  t.ok(tun.counters.droppedOut > 40, 'it was receiving all the time')
})

t.test('case 25: a silent server is left, before and after AUTH', async (t) => {
  const server = await scriptedServer(t, {
    serve: async (visitor) => {
      const attempt = server.visitors.length
      if (attempt === 2) visitor.send(reply('10.77.0.2/24'))
      if (attempt < 3) await visitor.ended
      else await actAsCandy(visitor, { password: PASSWORD, offer: '10.77.0.2/24' })
    }
  })
  const { peer, reasons } = startPeer(t, server, { pingInterval: 5, deadAfter: 500 })
  await once(peer, 'online')
  t.same(reasons.slice(0, 2), ['the server has given no address within 0.5 seconds', 'the server has not accepted the connection within 0.5 seconds'])
  t.equal(peer.address, '10.77.0.2/24')
})

interface InMemory {
  clock: ManualClock
  /** Frames from the server, which does nothing by itself. */
  serve (...frames: Buffer[]): void
  /** `address`, `online`, and what has ended the session. */
  events: string[]
  session: PeerSession
  stats: CandyPeerStats
}

/** A session with the default intervals over a connection in memory, dialled at 0 of a clock that only the test moves. */
function inMemory (t: Test, address?: string): InMemory {
  const clock = new ManualClock()
  const [here, there] = memoryPair()
  const events: string[] = []
  void (async () => {
    for await (const batch of there.source) void batch
  })().catch(() => {})
  const tun = userspaceTun()
  const stats = newPeerStats()
  const session = new PeerSession({
    link: websocketFrames({ role: 'client', clock })(here),
    tun,
    routes: new PeerRoutes({ tun, policy: new RoutePolicy('private'), stats, log: silent }),
    secret: new Secret(PASSWORD),
    address,
    vmac: '0123456789abcdef',
    greeting: 'candy::linux::1::laptop',
    clock,
    dialledAt: 0,
    pingInterval: 15_000,
    deadAfter: 30_000,
    stats,
    onAddress () { events.push('address') },
    direct: () => undefined,
    deliver: (packets) => { tun.port.send(packets) },
    tap: new PeerTaps(),
    log: silent,
    onOnline () { events.push('online') }
  })
  const running = session.run().catch((err: Error) => { events.push(err.message) })
  t.teardown(async () => {
    there.abort(new Error('the test is over'))
    await running
    await tun.close()
  })
  return { clock, serve (...frames) { there.port.send(frames) }, events, session, stats }
}

t.test('a server that falls silent is found within 31 seconds, whenever the last ping was', async (t) => {
  const { clock, serve, events } = inMemory(t)
  clock.advance(10_000)
  serve(frame(BINARY, reply('10.77.0.2/24')))
  await until(() => events.includes('address'))
  serve(frame(PONG, Buffer.alloc(0)))
  await until(() => events.includes('online'))
  clock.advance(30_000)
  await turn()
  t.same(events, ['address', 'online'])
  clock.advance(1000)
  await turn()
  t.same(events, ['address', 'online', 'no answer from the server for 30 seconds'])
})

t.test('a server that neither accepts nor refuses is left in time, whatever else it sends', async (t) => {
  for (const [own, why] of [[undefined, 'given no address'], ['10.77.0.2/24', 'not accepted the connection']]) {
    await t.test(why as string, async (t) => {
      const { clock, serve, events } = inMemory(t, own)
      for (let seconds = 0; seconds < 30; seconds += 5) {
        clock.advance(5000)
        serve(frame(PING, Buffer.from('x')), frame(TEXT, Buffer.from('x')), frame(BINARY, hex('06000000')))
        await turn()
      }
      events.length = 0
      clock.advance(1000)
      await turn()
      t.same(events, [`the server has ${why} within 30 seconds`])
    })
  }
})

t.test('a packet after the end of the connection came while there was none, also before that is known', async (t) => {
  const { clock, events, session, stats } = inMemory(t, '10.77.0.2/24')
  const packet = (): Uint8Array => udpPacket('10.77.0.2', '10.77.0.3', 9, new Uint8Array(8))
  session.send([packet()])
  t.match(stats, { packetsOut: 0, drops: { offline: 1 } }, 'before AUTH')
  await until(() => events.includes('address'))
  session.send([packet()])
  t.match(stats, { packetsOut: 1, drops: { offline: 1 } })
  clock.advance(31_000)
  t.same(events, ['address'])
  session.send([packet(), packet()])
  t.match(stats, { packetsOut: 1, drops: { offline: 3, queue: 0 } })
  await until(() => events.length > 1)
  session.send([packet()])
  t.match(stats, { packetsOut: 1, drops: { offline: 4, queue: 0 } })
})

t.test('a frame longer than candy\'s ends nothing: packets go to an interface that can have them', async (t) => {
  const long = udpPacket('10.77.0.3', '10.77.0.2', 9, new Uint8Array(2971))
  const padded = Buffer.concat([udpPacket('10.77.0.3', '10.77.0.2', 9, new Uint8Array(8)), Buffer.alloc(65_499)])
  const routes = Buffer.concat([hex('06ff0000'), Buffer.alloc(255 * 12, 0xff)])
  for (const [mtu, delivered] of [[2999, 2], [2998, 1]]) {
    const all = await joined(t, { mtu })
    all.visitor.send(forwardOf(long), routes, forwardOf(padded))
    await settled(all)
    t.same(all.written.flat().map(({ length }) => length), [2999, 36].slice(-delivered))
    t.match(all.peer.stats, { packetsIn: delivered, failures: 0, drops: { malformed: 2 - delivered } })
    all.visitor.send(Buffer.alloc(65_537))
    t.match(await once(all.peer, 'offline'), [/65536/])
  }
})

t.test('the greeting has no separators in the name and fits into a ping', async (t) => {
  for (const [name, shown] of [['a::b:c', 'a--b-c'], ['x'.repeat(300), 'x'.repeat(63)], ['x'.repeat(62) + '\u00e9', 'x'.repeat(62)], ['\u{1f427}'.repeat(20), '\u{1f427}'.repeat(15)], ['', hostname().slice(0, 63)]]) {
    const server = await scriptedServer(t)
    startPeer(t, server, { name, address: '10.77.0.2/24' })
    const visitor = await server.next()
    await visitor.message(VMAC)
    await visitor.message(AUTH)
    t.match((await visitor.expect(PING)).toString(), new RegExp(`^candy::[a-z]+::[^:]+::${shown}$`))
  }
})

t.test('the greeting tells the system and the version', async (t) => {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string }
  const platform = Object.getOwnPropertyDescriptor(process, 'platform') as PropertyDescriptor
  t.teardown(() => { Object.defineProperty(process, 'platform', platform) })
  for (const [value, os] of [['linux', 'linux'], ['android', 'android'], ['darwin', 'macos'], ['win32', 'windows'], ['freebsd', 'unknown']]) {
    const server = await scriptedServer(t)
    Object.defineProperty(process, 'platform', { ...platform, value })
    startPeer(t, server, { address: '10.77.0.2/24' })
    Object.defineProperty(process, 'platform', platform)
    const visitor = await server.next()
    await visitor.message(VMAC)
    await visitor.message(AUTH)
    t.equal(text(await visitor.expect(PING)), `candy::${os}::tunpipe-${version}::laptop`)
  }
})

t.test('options that cannot work are refused', async (t) => {
  const tun = userspaceTun()
  const init = { url: 'ws://127.0.0.1:1/', password: PASSWORD, tun }
  for (const bad of [
    { url: 'http://127.0.0.1/' },
    { url: '127.0.0.1:80' },
    { url: '' },
    { url: 'ws://127.0.0.1/#fragment' },
    { password: undefined as unknown as string },
    { vmac: 'short' },
    { vmac: '0123456789abcde\u00e9' },
    { vmac: '0123456789abcd\n' },
    { address: '10.77.0.2' },
    { address: '0.0.0.0/0' },
    { address: '224.0.0.1/24' },
    { remembered: '10.77.0.2/33' },
    { pingInterval: 0 },
    { pingInterval: NaN },
    { pingInterval: 2 ** 31 },
    { deadAfter: Infinity },
    { deadAfter: 15_000 },
    { pingInterval: 30_000 },
    { backoff: { first: 0 } },
    { backoff: { longest: Infinity } }
  ]) {
    t.throws(() => new CandyPeer({ ...init, ...bad }), OptionError, JSON.stringify(bad))
  }
  t.equal(new CandyPeer(init).state, 'idle')
})

t.test('packets that are none, or too long, are counted and not sent', async (t) => {
  const all = await joined(t, { mtu: 1500 })
  const { tun, peer, frames } = all
  const bad = [newPacket(20), newPacket(1500), Object.assign(newPacket(60), { 0: 0x60 }), udpPacket('10.77.0.2', '10.77.0.3', 9, new Uint8Array(1472))]
  const good = udpPacket('10.77.0.2', '10.77.0.3', 9, new Uint8Array(1471))
  ;(tun.source as unknown as { pushBatch (batch: Uint8Array[]): void }).pushBatch([...bad, good])
  await until(() => frames.some(({ opcode, payload }) => opcode === BINARY && payload[0] === FORWARD))
  const sent = frames.filter(({ opcode, payload }) => opcode === BINARY && payload[0] === FORWARD)
  t.same(sent.map(({ payload }) => toHex(payload)), [toHex(forwardOf(good))], 'a packet of 1499 bytes makes a message of 1500')
  t.match(peer.stats, { packetsOut: 1, bytesOut: 1499, drops: { malformed: bad.length } })
})
