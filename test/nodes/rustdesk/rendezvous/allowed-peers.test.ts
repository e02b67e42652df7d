/** The list of peers that may register. */
import t from 'tap'
import { AllowedPeers, readAllowedPeer } from '../../../../src/nodes/rustdesk/rendezvous/allowed-peers.ts'
import { PunchFailure, RegisterResult } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { until } from '../../../helpers/ends.ts'
import { KEY, startRendezvous, TcpClient, UdpPeer, type Started } from '../../../helpers/rustdesk/rendezvous.ts'

const ID = '123456789'
const OTHER = '987654321'
const OTHER_KEY = Buffer.alloc(32, 9)

t.test('items: ids, and keys in base64 with their padding or without', async (t) => {
  const text = KEY.toString('base64')
  t.equal(readAllowedPeer(text), text)
  t.equal(readAllowedPeer(text.replace('=', '')), text)
  t.equal(readAllowedPeer(ID), ID)
  t.equal(readAllowedPeer('office-pc'), 'office-pc')
  for (const none of ['', 'short', 'x'.repeat(101), 'two words', 'a\nb-c-d-e']) t.equal(readAllowedPeer(none), undefined, JSON.stringify(none))
  const list = new AllowedPeers([ID, text])
  t.equal(list.has({ id: ID, pk: OTHER_KEY }), true, 'by its id')
  t.equal(list.has({ id: OTHER, pk: KEY }), true, 'by its key')
  t.equal(list.has({ id: OTHER, pk: OTHER_KEY }), false)
  t.equal(list.has({ id: text, pk: OTHER_KEY }), false, 'an id with the text of a key is not that key')
})

const punched = async (t: Parameters<typeof TcpClient.dial>[0], { server }: Started, id: string): Promise<number | null | undefined> => {
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.9')
  return (await client.ask({ punch_hole_request: { id } }))?.punch_hole_response?.failure
}

t.test('others get an answer that makes no client come again with another id, and leave no trace', async (t) => {
  const started = await startRendezvous(t, { allow: [ID] })
  const { server, store } = started
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await peer.register(OTHER), RegisterResult.notDeployed)
  t.equal(await peer.register(ID), RegisterResult.ok)
  t.same([...store.peers.keys()], [ID])
  t.match(server.status(), { peers: 1, online: 1, counted: 1, refusedRegistrations: { not_allowed: 1 } })
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  t.equal((await client.ask({ register_pk: { id: OTHER, uuid: Buffer.from('m'), pk: KEY } }))?.register_pk_response?.result, RegisterResult.notDeployed)
  t.equal(await client.next(), undefined, 'and its connection ends')
})

t.test('other settings hold at once: a peer that is not allowed any more is unknown, by whatever way it came', async (t) => {
  const started = await startRendezvous(t)
  const { server } = started
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await peer.register(ID), RegisterResult.ok)
  const connected = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.equal((await connected.ask({ register_pk: { id: OTHER, uuid: Buffer.from('m'), pk: OTHER_KEY } }))?.register_pk_response?.result, RegisterResult.ok)
  server.configure({ allow: ['another-id'] })
  t.equal(await connected.next(), undefined, 'its connection has ended')
  t.match(server.status(), { peers: 0, online: 0, connected: 0 })
  for (const id of [ID, OTHER]) t.equal(await punched(t, started, id), PunchFailure.idNotExist, 'also where the store has it')
  const asking = await TcpClient.dial(t, server.ports.natTest, '127.0.0.9')
  t.same([...(await asking.ask({ online_request: { id: 'me', peers: [ID, OTHER] } }))?.online_response?.states ?? []], [0])
  t.equal((await peer.ask({ register_peer: { id: ID } })).register_peer_response?.request_pk, true, 'it is asked for its key,')
  t.equal(await peer.register(ID), RegisterResult.notDeployed, 'which is refused')
  server.configure({ allow: [KEY.toString('base64')] })
  t.equal(await peer.register(ID), RegisterResult.ok, 'allowed again, by its key')
})

t.test('a registration that is written while the list changes', async (t) => {
  const { server, store } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  let open = (): void => {}
  store.gate = new Promise((resolve) => { open = resolve })
  const registered = peer.register(ID)
  await until(() => store.puts === 1)
  server.configure({ allow: [OTHER] })
  open()
  t.equal(await registered, RegisterResult.notDeployed)
  t.equal(server.status().peers, 0)
})
