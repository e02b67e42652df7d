/**
 * What the existing programs do wrong, by the numbers of the protocol's list (section 6), and that ours does better. Where a case
 * of the table of conformance cases (section 7) says the same, the test is there:
 *
 * - 1, sources are not checked: case 9
 * - 3, time stamps are not enforced, and replay works: case 4, and `admission.test.ts`
 * - 4 and 5, confusion, and what follows AUTH: cases 2 and 19
 * - 8, addresses in use, of the network and of broadcasts are given: case 12
 * - 9, any address may be taken: case 18
 * - 10, AUTH twice: case 17
 * - 11, prefixes over 32, fields without an end: case 14
 * - 12, long pongs, no idle time-out: cases 24 and 25
 * - 14, ROUTE is read beyond its end: case 20; certificates are not verified: `peer-life.test.ts`
 */
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { CandyRelay, type CandyRelayInit } from '../../../src/nodes/candy/index.ts'
import { decodeDhcp, encodeAuth, encodeDhcp } from '../../../src/nodes/candy/protocol/handshake.ts'
import { encodeConn, encodeGeneral } from '../../../src/nodes/candy/protocol/messages.ts'
import { hex } from '../../helpers/bytes.ts'
import { addr, connect, forward, PASSWORD, received, seconds, secret } from '../../helpers/candy/client.ts'
import { actAsCandy, frame, PING, PONG, scriptedServer, startPeer } from '../../helpers/candy/scripted-server.ts'

function start (t: Test, init: Partial<CandyRelayInit> = {}): CandyRelay {
  const relay = new CandyRelay({ password: PASSWORD, dhcp: '192.168.202.0/24', ...init })
  t.teardown(() => relay.close())
  return relay
}

t.test('defect 2: the hash of DHCP covers no address, so a peer takes none that cannot be, and asks again', async (t) => {
  const server = await scriptedServer(t)
  const { peer, reasons } = startPeer(t, server)
  const visitor = await server.next()
  await visitor.message(4)
  const request = Buffer.from(await visitor.message(2))
  for (const [i, byte] of Buffer.from('255.255.255.255/32\0').entries()) request[9 + i] = byte // the hash is still right
  visitor.send(request)
  await once(peer, 'offline')
  t.match(reasons, [/the server gives the address 255\.255\.255\.255\/32, which is not taken/])
  await (await server.next()).message(4)
})

t.test('defect 6: a peer takes no GENERAL for what it is not', async (t) => {
  const frames: Array<{ opcode: number, payload: Buffer }> = []
  const server = await scriptedServer(t, { serve: (visitor) => actAsCandy(visitor, { password: PASSWORD, offer: '10.77.0.2/24', onFrame: (next) => { frames.push(next) } }) })
  const { peer, reasons, written } = startPeer(t, server)
  await once(peer, 'online')
  const visitor = await server.next()
  for (const subtype of [0, 1, 255]) visitor.send(encodeGeneral({ subtype, extra: 0, source: addr('10.77.0.3'), destination: addr('10.77.0.2'), data: hex('c0a801320001') }))
  visitor.socket.write(frame(PING, Buffer.from('mark')))
  while (!frames.some(({ opcode, payload }) => opcode === PONG && payload.toString() === 'mark')) await new Promise((resolve) => { setImmediate(resolve) })
  t.same([reasons, written], [[], []])
})

t.test('defect 7: a device is known by its vmac when it comes back, at DHCP and at AUTH', async (t) => {
  const relay = start(t, { takeover: 'same-device' })
  const first = connect(relay)
  t.equal(await first.join('aaaaaaaaaaaaaaaa', '192.168.202.9/24'), '192.168.202.9/24')
  const thief = connect(relay)
  thief.vmac('bbbbbbbbbbbbbbbb')
  await thief.login('192.168.202.9')
  t.match(await thief.closed, { reason: 'address in use by another device' })
  const back = connect(relay)
  back.vmac('aaaaaaaaaaaaaaaa')
  await back.login('192.168.202.9')
  t.match(await first.closed, { reason: /newer connection/ })
  back.link.close()
  await back.closed
  await back.served
  t.equal(await connect(relay).join('aaaaaaaaaaaaaaaa'), '192.168.202.9/24', 'asked for anything, it gets its own')
})

t.test('defect 12: whoever is refused is told why', async (t) => {
  const relay = start(t)
  for (const [message, reason] of [
    [encodeAuth({ secret, address: addr('192.168.202.1'), timestamp: 1000 }), 'clock differs by more than 300 seconds'],
    [forward('192.168.202.1', '192.168.202.2'), 'not authenticated'],
    [encodeAuth({ secret, address: addr('192.168.202.0'), timestamp: seconds() }), 'address not allowed']
  ] as const) {
    const client = connect(relay)
    client.send(message)
    t.match(await client.closed, { code: 1008, reason })
  }
})

t.test('defect 13: settings that cannot be are an error, and not a relay that serves half of them', async (t) => {
  for (const init of [{ sdwan: '192.168.202.0/24,172.16.0.0/16' }, { sdwan: '192.168.202.0/24,172.16.0.0/16,nonsense' }, { sdwan: '192.168.202.1/24,172.16.0.0/16,192.168.202.1' }, { sdwan: ';' }, { dhcp: '192.168.202.0' }]) {
    t.throws(() => new CandyRelay({ password: PASSWORD, ...init }), { code: 'ERR_OPTION' }, JSON.stringify(init))
  }
})

t.test('defect 15: what makes cacao stumble', async (t) => {
  const relay = new CandyRelay({ networks: [{ path: '/a', password: PASSWORD, dhcp: '10.0.0.0/24' }, { path: '/b', password: PASSWORD, dhcp: '10.0.0.0/24' }] })
  t.teardown(() => relay.close())
  const [a, b] = [connect(relay, { path: '/a' }), connect(relay, { path: '/b' })]
  await a.join('aaaaaaaaaaaaaaaa')
  await b.join('bbbbbbbbbbbbbbbb')
  a.send(new Uint8Array(0))
  a.send(forward('10.0.0.1', '10.0.0.1'))
  t.equal((await received(a, a))[0].length, 1, 'an empty frame is nothing')
  const early = connect(relay, { path: '/a' })
  early.send(encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: seconds() }))
  t.equal(decodeDhcp(await early.next()).cidr.prefix, 24, 'DHCP before VMAC is answered')
  const endless = encodeDhcp({ secret, cidr: { address: 0, prefix: 0 }, timestamp: seconds() })
  endless.fill(0x31, 9, 41)
  early.send(endless)
  t.match(await early.closed, { reason: 'malformed message' })
  const nobody = connect(relay, { path: '/a' })
  nobody.send(encodeConn({ source: 0, destination: addr('10.0.0.1'), address: 1, port: 1 }))
  t.match(await nobody.closed, { reason: 'not authenticated' }, 'CONN of 0.0.0.0 before AUTH')
  for (const sdwan of ['10.0.0.0/24,::ffff:172.18.0.0/112,10.0.0.1', '10.0.0.0/24,::ffff:172.18.0.0/16,10.0.0.1', '::/0,172.18.0.0/16,10.0.0.1']) {
    t.throws(() => relay.configure({ networks: [{ path: '/a', password: PASSWORD, dhcp: '10.0.0.0/24', sdwan }, { path: '/b', password: PASSWORD, dhcp: '10.0.0.0/24' }] }), { code: 'ERR_OPTION' }, sdwan)
  }
  for (const client of [a, b]) {
    client.send(forward('10.0.0.1', '10.0.0.1'))
    t.equal((await received(client, client))[0].length, 1, 'nobody else is harmed')
  }
})
