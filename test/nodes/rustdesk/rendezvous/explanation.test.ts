/** Peers that are online, and why one is reached or not. */
import t from 'tap'
import { rendezvous } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { until } from '../../../helpers/ends.ts'
import { KEY, startRendezvous, TcpClient, UdpPeer } from '../../../helpers/rustdesk/rendezvous.ts'

const ID = '123456789'

t.test('peers that are online are listed, with the way to them', async (t) => {
  const { server, clock } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  await peer.register(ID)
  const connected = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  await connected.ask({ register_pk: { id: 'by-a-connection', uuid: Buffer.from('m'), pk: KEY } })
  t.match(server.status().members, [
    { id: ID, address: `127.0.0.2:${peer.port}`, way: 'udp', online: 0, silent: 0 },
    { id: 'by-a-connection', address: '127.0.0.3', way: 'tcp', online: 0 }
  ])
  clock.offset += 20_000
  await peer.ask({ register_peer: { id: ID } })
  t.match(server.status().members[0], { online: 20, silent: 0 }, 'it was online all the time')
  clock.offset += 60_000
  t.same(server.status().members, [])
  await peer.ask({ register_peer: { id: ID } })
  t.match(server.status().members, [{ id: ID, online: 0 }], 'since it was there again')
})

t.test('the list is bounded', async (t) => {
  const { server } = await startRendezvous(t)
  const service = server.rendezvous.datagrams({ send: (batch) => batch.length, queued: 0, limit: Infinity })
  for (let i = 0; i < 1250; i++) service.receive([{ data: rendezvous.encode({ register_pk: { id: `peer-${i}`, uuid: Buffer.from('m'), pk: KEY } }), host: `192.0.2.${i % 250}`, port: 1 }])
  await until(() => server.status().registering === 0)
  t.equal(server.status().online, 1250)
  t.equal(server.status().members.length, 1000)
})

t.test('a peer from its first registration to the answer that its client gets', async (t) => {
  const { server, clock } = await startRendezvous(t, { allow: [ID, 'other-peer'] })
  t.match(await server.explain(ID), { state: 'unknown', key: '', steps: [] })
  const early = await TcpClient.dial(t, server.ports.tcp, '127.0.0.9')
  await early.ask({ punch_hole_request: { id: ID } })
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  await peer.register(ID)
  await peer.register('not-allowed')
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: ID } })
  const { punch_hole: hole } = await peer.next()
  const back = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  back.send({ punch_hole_sent: { socket_addr: hole?.socket_addr, id: ID, version: '1.4.9' } })
  await client.next()
  const from = `127.0.0.3:${client.port}`
  t.match(await server.explain(ID), {
    state: 'online',
    address: `127.0.0.2:${peer.port}`,
    way: 'udp',
    online: 0,
    key: KEY.toString('base64'),
    steps: [
      { kind: 'unreached', what: 'unknown', address: `127.0.0.9:${early.port}` },
      { kind: 'registered', way: 'udp', address: `127.0.0.2:${peer.port}` },
      { kind: 'asked', what: 'hole', address: from },
      { kind: 'answered', what: 'hole', address: from }
    ]
  })
  t.match(await server.explain('not-allowed'), { state: 'unknown', steps: [{ kind: 'refused', what: 'not_allowed', address: `127.0.0.2:${peer.port}` }] })
  clock.offset += 40_000
  const late = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  await late.ask({ request_relay: { id: ID, uuid: 'u' } })
  const offline = await server.explain(ID)
  t.match(offline, { state: 'offline', way: '', silent: 40 })
  t.match(offline.steps.at(-1), { kind: 'unreached', what: 'offline', address: `127.0.0.3:${late.port}` })
  t.notOk('online' in offline)
  server.configure({ allow: ['other-peer'] })
  t.match(await server.explain(ID), { state: 'not_allowed', address: '127.0.0.2', key: KEY.toString('base64') })
})

t.test('a flood of ids that nobody has leaves the history of peers', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  await peer.register(ID)
  for (let i = 0; i < 1100; i++) {
    const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.9')
    await client.ask({ punch_hole_request: { id: `nobody-${i}` } })
    client.socket.destroy()
  }
  t.match((await server.explain(ID)).steps, [{ kind: 'registered' }])
  t.same((await server.explain('nobody-0')).steps, [], 'the oldest of others is forgotten')
  t.equal((await server.explain('nobody-1099')).steps.length, 1)
})
