import { join } from 'node:path'
import t from 'tap'
import { RegisterResult } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { openPeerStore } from '../../../../src/nodes/rustdesk/store/peer-store.ts'
import { newHome } from '../../../helpers/programs/homes.ts'
import { KEY, startRendezvous, TcpClient, UdpPeer } from '../../../helpers/rustdesk/rendezvous.ts'
import { until } from '../../../helpers/ends.ts'
import type { RendezvousInit } from '../../../../src/nodes/rustdesk/protocol/messages.ts'

const ID = '123456789'
const REGISTER_PEER = Buffer.from('320b0a09313233343536373839', 'hex')

const present: RendezvousInit = { register_peer: { id: ID } }

t.test('an unknown id is asked for its key, and is not kept (row 1)', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await peer.askRaw(REGISTER_PEER), '3a021001')
  t.equal(server.status().peers, 0)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID } })
  const answer = await client.next()
  t.equal(answer?.punch_hole_response?.failure, 0)
  t.equal(answer?.punch_hole_response?.socket_addr?.length, 0)
})

t.test('a key is in the store before it is answered, and the peer online (row 2)', async (t) => {
  const { server, store } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  let open = (): void => {}
  store.gate = new Promise((resolve) => { open = resolve })
  peer.send({ register_pk: { id: ID, uuid: Buffer.from('machine'), pk: KEY } })
  await until(() => store.puts === 1)
  t.same(await peer.settled(), [], 'no answer while it is written')
  t.equal(server.status().registering, 1)
  open()
  await peer.next()
  t.equal(peer.raw.at(-1)?.toString('hex'), '820100')
  const row = store.peers.get(ID)
  t.same([row?.ip, Buffer.from(row?.uuid ?? []).toString(), Buffer.from(row?.pk ?? [])], ['127.0.0.2', 'machine', KEY])
  t.equal(server.status().online, 1)
  t.equal(server.status().registering, 0)
})

t.test('a peer that comes again, also by another port (row 3)', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  await peer.register(ID)
  t.equal(await peer.askRaw(REGISTER_PEER), '3a00')
  const moved = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await moved.askRaw(REGISTER_PEER), '3a00')
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID } })
  t.ok((await moved.next()).punch_hole, 'it is asked at the new port')
})

t.test('the same machine with the same key moves (row 5)', async (t) => {
  const { server } = await startRendezvous(t)
  for (const host of ['127.0.0.2', '127.0.0.3', '127.0.0.4']) t.equal(await (await UdpPeer.bind(t, server, host)).register(ID), RegisterResult.ok, host)
  t.match(server.rendezvous.command(`ic ${ID}`), /^1\n\ds \{"127\.0\.0\.3": 1, "127\.0\.0\.4": 1\}\n$/)
})

t.test('a new key is signed from then on (row 6)', async (t) => {
  const { server, store, verify } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  const other = Buffer.alloc(32, 9)
  t.equal(await peer.register(ID), RegisterResult.ok)
  for (const pk of [KEY, other]) {
    t.equal(await peer.register(ID, { pk }), RegisterResult.ok)
    t.same(Buffer.from(store.peers.get(ID)?.pk ?? []), pk)
    const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
    client.send({ punch_hole_request: { id: ID } })
    const { punch_hole: hole } = await peer.next()
    const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
    back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, version: '1.4.9' } })
    t.ok(verify((await client.next())?.punch_hole_response?.pk, ID, pk))
  }
})

t.test('a server that starts again knows its peers from the store (row 16)', async (t) => {
  const before = await startRendezvous(t)
  await (await UdpPeer.bind(t, before.server, '127.0.0.2')).register(ID)
  const { server } = await startRendezvous(t, { store: before.store })
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.equal((await client.ask({ punch_hole_request: { id: ID } }))?.punch_hole_response?.failure, 2, 'offline')
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await peer.register(ID), RegisterResult.ok)
  t.equal(await peer.askRaw(REGISTER_PEER), '3a00')
  t.equal(server.status().online, 1)
  t.equal(before.store.puts, 1, 'nothing has changed')
})

t.test('the same with the database, from which the key is signed', async (t) => {
  const path = join(newHome(), 'db_v2.sqlite3')
  const first = await openPeerStore({ path })
  const before = await startRendezvous(t, { store: first })
  t.equal(await (await UdpPeer.bind(t, before.server, '127.0.0.2')).register(ID), RegisterResult.ok)
  await before.server.close()
  await first.close()
  const store = await openPeerStore({ path })
  t.teardown(() => store.close())
  t.match(await store.find(ID), { uuid: Buffer.from('machine'), pk: KEY, ip: '127.0.0.2' })
  const { server, verify } = await startRendezvous(t, { store })
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.equal((await client.ask({ punch_hole_request: { id: ID } }))?.punch_hole_response?.failure, 2, 'offline')
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await peer.register(ID, { uuid: 'another' }), RegisterResult.uuidMismatch)
  t.equal(await peer.register(ID), RegisterResult.ok)
  const again = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  again.send({ punch_hole_request: { id: ID } })
  const { punch_hole: hole } = await peer.next()
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, version: '1.4.9' } })
  t.ok(verify((await again.next())?.punch_hole_response?.pk, ID, KEY))
})

t.test('30 seconds (row 22)', async (t) => {
  const { server, clock } = await startRendezvous(t)
  clock.stop()
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  await peer.register(ID)
  clock.offset += 29_900
  t.equal(server.status().online, 1)
  const online = await TcpClient.dial(t, server.ports.natTest, '127.0.0.3')
  t.same((await online.ask({ online_request: { id: 'me', peers: [ID] } }))?.online_response?.states, Buffer.from([0x80]))
  clock.offset += 100
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.equal((await client.ask({ punch_hole_request: { id: ID } }))?.punch_hole_response?.failure, 2)
  const offline = await TcpClient.dial(t, server.ports.natTest, '127.0.0.3')
  t.same((await offline.ask({ online_request: { id: 'me', peers: [ID] } }))?.online_response?.states, Buffer.from([0]))
})

t.test('requests that are refused (row 23)', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await peer.register('12345'), RegisterResult.uuidMismatch)
  t.equal(await peer.register('x'.repeat(101)), RegisterResult.uuidMismatch)
  peer.send({ register_pk: { id: ID, uuid: Buffer.alloc(0), pk: KEY } })
  peer.send({ register_pk: { id: ID, uuid: KEY, pk: Buffer.alloc(0) } })
  peer.send({ register_peer: { id: '' } })
  t.same(await peer.settled(), [])
  t.equal(server.status().drops.empty, 3)
  t.equal(await peer.register(ID), RegisterResult.ok)
  t.equal(await peer.register(ID, { uuid: 'another' }), RegisterResult.uuidMismatch)
  const elsewhere = await UdpPeer.bind(t, server, '127.0.0.3')
  t.equal(await elsewhere.register(ID, { pk: Buffer.alloc(32, 9) }), RegisterResult.uuidMismatch, 'address and key')
  t.match(server.status().refusedRegistrations, { no_id: 2, machine: 1, stolen: 1 })
})

t.test('too many registrations (row 24)', async (t) => {
  const { server, clock } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  for (const result of [0, 0, 0, RegisterResult.tooFrequent]) t.equal(await peer.register(ID), result)
  clock.offset += 7100
  t.equal(await peer.register(ID), RegisterResult.ok)
  for (let i = 5; i < 32; i++) await peer.register(`other-${i}`)
  t.equal(await peer.register(ID), RegisterResult.tooFrequent, 'the 33rd call')
  t.equal(server.status().refusedRegistrations.blocked, 1)
  t.equal(await (await UdpPeer.bind(t, server, '127.0.0.3')).register('from elsewhere'), RegisterResult.ok)
  clock.offset += 61_000
  t.equal(await peer.register(ID), RegisterResult.ok)
})

t.test('a store that fails: no OK', async (t) => {
  const { server, store } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  store.fault = new Error('the disk is full')
  t.equal(await peer.register(ID), RegisterResult.serverError)
  t.equal(server.status().peers, 0)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.match((await client.ask({ punch_hole_request: { id: ID } }))?.punch_hole_response?.other_failure, /database/)
  store.fault = undefined
  t.equal(await peer.register(ID), RegisterResult.ok)
  store.fault = new Error('the disk is full')
  t.equal(await peer.register(ID), RegisterResult.ok, 'nothing has changed, so nothing is written')
  t.equal(await peer.register(ID, { pk: Buffer.alloc(32, 9) }), RegisterResult.serverError)
  store.fault = Object.assign(new Error('another one was faster'), { code: 'ERR_PEER_STORE_UUID' })
  t.equal(await (await UdpPeer.bind(t, server, '127.0.0.3')).register('a new one'), RegisterResult.uuidMismatch)
  t.match(server.status().refusedRegistrations, { store: 2, machine: 1 })
})

t.test('registrations of one id go one after the other, and few wait', async (t) => {
  const { server, store } = await startRendezvous(t)
  const [first, second] = await Promise.all(['127.0.0.2', '127.0.0.3'].map((host) => UdpPeer.bind(t, server, host)))
  let open = (): void => {}
  store.gate = new Promise((resolve) => { open = resolve })
  const own = first.register(ID)
  await until(() => store.puts === 1)
  for (let i = 0; i < 6; i++) second.send({ register_pk: { id: ID, uuid: Buffer.from('another'), pk: KEY } })
  await until(() => server.status().drops.busy === 3)
  open()
  t.equal(await own, RegisterResult.ok)
  for (let i = 0; i < 3; i++) t.equal((await second.next()).register_pk_response?.result, RegisterResult.uuidMismatch)
  t.equal(store.puts, 1)
})

t.test('the list of servers, and another version', async (t) => {
  const { server } = await startRendezvous(t, { serial: 3, rendezvousServers: ['a.example', 'b.example:5000'], softwareUrl: 'https://example/rustdesk-1.4.9.exe' })
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.ok((await peer.ask({ register_peer: { id: ID, serial: 2 } })).register_peer_response)
  t.match((await peer.next()).configure_update, { serial: 3, rendezvous_servers: ['a.example', 'b.example:5000'] })
  t.same((await peer.ask({ software_update: { url: '1.4.8' } })).software_update?.url, 'https://example/rustdesk-1.4.9.exe')
  peer.send({ software_update: { url: '1.4.9' } })
  t.same(await peer.settled().then((all) => all.filter(({ configure_update: update }) => update == null)), [])
  peer.send({ configure_update: { serial: 4, rendezvous_servers: ['', 'c.example', 'no host'] } })
  peer.send({ configure_update: { serial: 1, rendezvous_servers: ['d.example'] } })
  peer.send({ register_peer: { id: ID, serial: 3 } })
  for (let message = await peer.next(); message.configure_update?.serial !== 4; message = await peer.next());
  t.pass('the operator on this machine has changed it')
})

t.test('what is longer than its question goes to one address 64 times at once', async (t) => {
  const { server, clock } = await startRendezvous(t, { serial: 3, rendezvousServers: ['a.example'] })
  clock.stop()
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  for (let i = 0; i < 100; i++) {
    peer.send({ register_peer: { id: ID, serial: 2 } })
    await until(() => server.status().messages.udp.register_peer === i + 1)
  }
  t.match(server.status(), { drops: { pushes: 36 } })
  await until(() => peer.raw.length === 164)
  t.equal(peer.raw.filter(({ length }) => length > 4).length, 64)
})

t.test('mapped addresses are those of IPv4', async (t) => {
  const { server } = await startRendezvous(t, { bind: undefined })
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  await peer.register(ID)
  t.equal(await peer.askRaw(REGISTER_PEER), '3a00')
  t.match(server.rendezvous.command('ib 127.0.0.2'), /^1\n0\/\ds 0\/\ds\n$/)
})

t.test('the presence of a peer is not answered for another id', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  await peer.register(ID)
  t.equal((await peer.ask(present)).register_peer_response?.request_pk, false)
  t.equal((await peer.ask({ register_peer: { id: '987654321' } })).register_peer_response?.request_pk, true)
})
