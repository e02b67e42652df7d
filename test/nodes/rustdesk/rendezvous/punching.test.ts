import t, { type Test } from 'tap'
import protobufjs from 'protobufjs/minimal.js'
import { NatType } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { mangleAddress, unmangleAddress } from '../../../../src/nodes/rustdesk/protocol/mangled-address.ts'
import { rendezvous, type RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { LicenceKey } from '../../../../src/nodes/rustdesk/keys/index.ts'
import { KEY, startRendezvous, TcpClient, UdpPeer, WebSocketClient, type Started } from '../../../helpers/rustdesk/rendezvous.ts'
import { until } from '../../../helpers/ends.ts'
import type { ServeRendezvousInit } from '../../../../src/nodes/rustdesk/rendezvous/server.ts'

const ID = '123456789'
const VERSION = '1.4.9'

/** A server with a peer at 127.0.0.2. */
async function withPeer (t: Test, init: Partial<ServeRendezvousInit> = {}): Promise<Started & { peer: UdpPeer }> {
  const started = await startRendezvous(t, init)
  const peer = await UdpPeer.bind(t, started.server, '127.0.0.2')
  await peer.register(ID)
  return { ...started, peer }
}

t.test('a hole in the NAT of the peer (row 7)', async (t) => {
  const { server, peer, verify } = await withPeer(t)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID, nat_type: NatType.asymmetric, token: 'secret', udp_port: 5, force_relay: true, version: VERSION } })
  const { punch_hole: hole } = await peer.next()
  t.same(unmangleAddress(hole?.socket_addr ?? Buffer.alloc(0)), { host: '127.0.0.3', port: client.port })
  t.match(hole, { nat_type: NatType.asymmetric, relay_server: '', udp_port: 0, force_relay: false })
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, relay_server: 'relay.example', nat_type: NatType.unknown, version: VERSION } })
  t.equal(await back.next(), undefined, 'the connection of the peer ends')
  const response = (await client.next())?.punch_hole_response
  t.same(unmangleAddress(response?.socket_addr ?? Buffer.alloc(0)), { host: '127.0.0.2', port: back.port })
  t.ok(verify(response?.pk, ID, KEY))
  t.match(response, { relay_server: 'relay.example', union: 'nat_type', nat_type: NatType.unknown })
  t.match(server.status(), { asked: 1, answered: 1, messages: { tcp: { punch_hole_request: 1, punch_hole_sent: 1 } } })
})

t.test('a peer without a version gets no key out, one of an unknown NAT none of its type', async (t) => {
  const { server, peer } = await withPeer(t)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID } })
  const { punch_hole: hole } = await peer.next()
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, nat_type: 77 as 0 } })
  const response = (await client.next())?.punch_hole_response
  t.same(response?.pk?.length, 0)
  t.equal(response?.union, undefined)
})

t.test('both behind one address (row 8)', async (t) => {
  const { server, peer, verify } = await withPeer(t)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  client.send({ punch_hole_request: { id: ID } })
  const { fetch_local_addr: fetch } = await peer.next()
  const address = unmangleAddress(fetch?.socket_addr ?? Buffer.alloc(0))
  t.same(address, { host: '127.0.0.2', port: client.port })
  const local = Buffer.from('any bytes of the peer')
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ local_addr: { socket_addr: mangleAddress(address, 99), local_addr: local, id: ID, relay_server: 'relay.example', version: VERSION } })
  const response = (await client.next())?.punch_hole_response
  t.match(response, { socket_addr: local, union: 'is_local', is_local: true, relay_server: 'relay.example' })
  t.ok(verify(response?.pk, ID, KEY))
})

t.test('always by a relay (row 9)', async (t) => {
  const { server, peer, verify } = await withPeer(t, { alwaysUseRelay: true, relayServers: ['relay.example'] })
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID, nat_type: NatType.asymmetric } })
  const { punch_hole: hole } = await peer.next()
  t.match(hole, { nat_type: NatType.symmetric, relay_server: 'relay.example' })
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ relay_response: { socket_addr: hole?.socket_addr, uuid: 'a-uuid', relay_server: 'relay.example', id: ID, version: VERSION } })
  const response = (await client.next())?.relay_response
  t.match(response, { uuid: 'a-uuid', relay_server: 'relay.example', union: 'pk', version: VERSION })
  t.equal(response?.socket_addr?.length, 0)
  t.ok(verify(response?.pk, ID, KEY))
})

/** A message with a field of a member that nobody knows yet. */
function withUnknown (message: Uint8Array): Buffer {
  const writer = protobufjs.Writer.create()
  const reader = protobufjs.Reader.create(message)
  const tag = reader.uint32()
  const fields = Buffer.from(reader.bytes())
  return Buffer.from(writer.uint32(tag).bytes(Buffer.concat([fields, Buffer.from('f20705616d6f7265', 'hex')])).finish())
}

t.test('a request for a relay, with fields that are unknown here (row 10)', async (t) => {
  const { server, peer } = await withPeer(t)
  const client = await WebSocketClient.dial(t, server.ports.webSocket, {}, '127.0.0.3')
  client.socket.send(withUnknown(rendezvous.encode({ request_relay: { id: ID, uuid: 'a-uuid', relay_server: 'relay.example', secure: true, token: 'token' } })))
  const { request_relay: request } = await peer.next()
  t.match(request, { id: ID, uuid: 'a-uuid', relay_server: 'relay.example', secure: true, token: 'token' })
  t.ok(peer.raw.at(-1)?.includes(Buffer.from('amore')), 'the unknown field')
  t.equal(unmangleAddress(request?.socket_addr ?? Buffer.alloc(0)).host, '127.0.0.3')
  const back = await WebSocketClient.dial(t, server.ports.webSocket, {}, '127.0.0.2')
  back.socket.send(withUnknown(rendezvous.encode({ relay_response: { socket_addr: request?.socket_addr, version: VERSION } })))
  const answer = await client.next()
  t.equal(answer?.relay_response?.union, undefined)
  t.ok(Buffer.from(rendezvous.encode(answer as RendezvousMessage)).includes(Buffer.from('amore')))
})

t.test('a request for a relay to a peer that is offline is refused', async (t) => {
  const { server } = await startRendezvous(t)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.match((await client.ask({ request_relay: { id: ID, uuid: 'a-uuid' } }))?.relay_response?.refuse_reason, /offline/)
})

t.test('licence keys (rows 15 and 21)', async (t) => {
  const { server, peer } = await withPeer(t, { licence: new LicenceKey('right'), signer: undefined })
  const wrong = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.equal((await wrong.ask({ punch_hole_request: { id: ID, licence_key: 'wrong' } }))?.punch_hole_response?.failure, 3)
  t.equal((await (await TcpClient.dial(t, server.ports.tcp)).ask({ punch_hole_request: { id: 'nobody', licence_key: '' } }))?.punch_hole_response?.failure, 3, 'before anything is looked up')
  const right = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  right.send({ punch_hole_request: { id: ID, licence_key: 'right' } })
  const { punch_hole: hole } = await peer.next()
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, version: VERSION } })
  t.equal((await right.next())?.punch_hole_response?.pk?.length, 0, 'without a private key nothing is signed')
  t.equal(server.status().refusedPunches.key, 2)
})

t.test('one answer for a connection (row 28)', async (t) => {
  const { server, peer } = await withPeer(t)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID } })
  const { punch_hole: hole } = await peer.next()
  client.send({ punch_hole_request: { id: ID } })
  const { punch_hole: again } = await peer.next()
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID } })
  t.ok((await client.next())?.punch_hole_response, 'a client may ask again before its answer')
  const late = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  late.send({ punch_hole_sent: { socket_addr: again?.socket_addr, id: ID } })
  t.equal(await late.next(), undefined)
  client.send({ punch_hole_request: { id: ID } }, { test_nat_request: {} })
  t.ok((await client.next())?.test_nat_response, 'the second request has no answer, what comes after it has')
  t.same(await peer.settled(), [], 'and the peer is not asked')
})

t.test('addresses that are none, and answers that nobody asked for (rows 31 and 33)', async (t) => {
  const { server, peer } = await withPeer(t)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID } })
  const { punch_hole: hole } = await peer.next()
  const addresses = [17, 19, 1000].map((length) => Buffer.alloc(length, 1))
  addresses.push(Buffer.from('ffffffffffffffffffff', 'hex'), Buffer.alloc(0), Buffer.from(mangleAddress({ host: '127.0.0.3', port: client.port }, 5)))
  for (const from of ['127.0.0.2', '127.0.0.66']) {
    for (const [i, address] of addresses.entries()) {
      if (from === '127.0.0.2' && i === addresses.length - 1) continue
      for (const message of [
        { punch_hole_sent: { socket_addr: address, id: ID, version: VERSION } },
        { local_addr: { socket_addr: address, local_addr: address, id: ID } },
        { relay_response: { socket_addr: address, id: ID } }
      ]) {
        const forger = await TcpClient.dial(t, server.ports.tcp, from)
        t.equal(await forger.ask(message), undefined)
      }
    }
  }
  t.equal(server.status().drops.unasked, 33)
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, version: VERSION } })
  t.same(unmangleAddress((await client.next())?.punch_hole_response?.socket_addr ?? Buffer.alloc(0)), { host: '127.0.0.2', port: back.port }, 'the true answer is the first one')
})

t.test('several clients behind one proxy (defect 4)', async (t) => {
  const { server, peer } = await withPeer(t)
  const headers = { 'X-Real-IP': '192.0.2.5' }
  const clients = await Promise.all(Array.from({ length: 5 }, () => WebSocketClient.dial(t, server.ports.webSocket, headers)))
  const holes = []
  for (const client of clients) {
    client.send({ punch_hole_request: { id: ID } })
    holes.push((await peer.next()).punch_hole)
  }
  for (const [i, hole] of [...holes.entries()].reverse()) {
    t.equal(unmangleAddress(hole?.socket_addr ?? Buffer.alloc(0)).host, '192.0.2.5')
    const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
    back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, relay_server: `for ${i}` } })
    t.equal((await clients[i].next())?.punch_hole_response?.relay_server, `for ${i}`)
  }
})

t.test('who is the client of a WebSocket (row 34)', async (t) => {
  const seen = async (headers: Record<string, string>, init: Partial<ServeRendezvousInit> = {}): Promise<string> => {
    const { server, peer } = await withPeer(t, init)
    const client = await WebSocketClient.dial(t, server.ports.webSocket, headers, '127.0.0.3')
    client.send({ punch_hole_request: { id: ID } })
    return unmangleAddress((await peer.next()).punch_hole?.socket_addr ?? Buffer.alloc(0)).host
  }
  t.equal(await seen({}), '127.0.0.3')
  t.equal(await seen({ 'X-Real-IP': '192.0.2.5' }), '192.0.2.5')
  t.equal(await seen({ 'X-Real-IP': '::ffff:192.0.2.5' }), '192.0.2.5')
  t.equal(await seen({ 'X-Real-IP': '2001:db8::5', 'X-Forwarded-For': '192.0.2.6' }), '2001:db8::5')
  t.equal(await seen({ 'X-Forwarded-For': '192.0.2.6' }), '192.0.2.6')
  t.equal(await seen({ 'X-Forwarded-For': '192.0.2.6, 192.0.2.7' }), '127.0.0.3', 'a list')
  t.equal(await seen({ 'X-Real-IP': 'garbage.' }), '127.0.0.3')
  t.equal(await seen({ 'X-Real-IP': '192.0.2.5' }, { trustedProxies: '10.0.0.0/8' }), '127.0.0.3', 'not of a trusted proxy')
  t.equal(await seen({ 'X-Real-IP': '192.0.2.5' }, { trustedProxies: ['127.0.0.3'] }), '192.0.2.5')
})

t.test('the answer of a peer on a client that has gone', async (t) => {
  const { server, peer } = await withPeer(t)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID } })
  const { punch_hole: hole } = await peer.next()
  client.socket.destroy()
  await until(() => server.status().waiting === 0)
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  t.equal(await back.ask({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID } }), undefined)
  t.equal(server.status().drops.unasked, 1)
})

t.test('nothing that comes as a datagram is sent to others (row 32)', async (t) => {
  const { server, peer } = await withPeer(t)
  const victim = await UdpPeer.bind(t, server, '127.0.0.5')
  const target = mangleAddress({ host: '127.0.0.5', port: victim.port }, 1)
  const forger = await UdpPeer.bind(t, server, '127.0.0.66')
  forger.send({ punch_hole_request: { id: ID } })
  forger.send({ punch_hole_sent: { socket_addr: target, id: ID, version: VERSION } })
  forger.send({ local_addr: { socket_addr: target, local_addr: target, id: ID } })
  forger.send({ relay_response: { socket_addr: target, id: ID } })
  forger.send({ request_relay: { id: ID, socket_addr: target } })
  forger.send({ test_nat_request: {} })
  forger.send({ online_request: { id: ID, peers: [ID] } })
  for (const one of [forger, victim, peer]) t.same(await one.settled(), [])
  t.equal(server.status().drops.unserved, 7)
})

t.test('a client has 16 messages sent to a peer at once, over however many connections, and others are not kept from it', async (t) => {
  const { server, peer, clock } = await withPeer(t)
  clock.stop()
  for (let i = 0; i < 10; i++) {
    const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.66')
    client.send(...Array.from({ length: 10 }, () => ({ request_relay: { id: ID, uuid: 'a-uuid' } })))
    await until(() => server.status().messages.tcp.request_relay === 10 * (i + 1))
  }
  t.match(server.status(), { asked: 16, drops: { pushes: 84, queue: 0 } })
  t.equal((await peer.settled()).length, 16)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID, version: VERSION } })
  t.ok((await peer.next()).punch_hole)
})
