import t from 'tap'
import type { RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { startRendezvous, UdpPeer } from '../../../helpers/rustdesk/rendezvous.ts'

const pongs = (messages: RendezvousMessage[]): string[] => messages.flatMap(({ peer_discovery: found }) => found?.cmd === 'pong' ? [found.id ?? ''] : [])
const ping = { peer_discovery: { cmd: 'ping', id: 'peer-0' } }

t.test('peers in the network of the server find each other', async (t) => {
  const { server, clock } = await startRendezvous(t, { mask: '127.1.0.0/16' })
  const peers = await Promise.all(['127.1.0.1', '127.1.0.2', '127.1.0.3', '127.2.0.1'].map((host) => UdpPeer.bind(t, server, host)))
  for (const [i, peer] of peers.entries()) t.equal(await peer.register(`peer-${i}`), 0)
  const [asking, , , outside] = peers
  outside.send(ping)
  t.same(await outside.settled(), [], 'from outside')
  asking.send(ping)
  t.same(pongs(await asking.settled()).sort(), ['peer-1', 'peer-2'], 'neither itself nor those outside')
  asking.send({ peer_discovery: { cmd: 'pong', id: 'peer-9' } })
  t.same(await asking.settled(), [], 'another command')
  clock.offset += 30_000
  await peers[1].ask({ register_peer: { id: 'peer-1' } })
  asking.send(ping)
  t.same(pongs(await asking.settled()), ['peer-1'], 'online ones alone')
})

t.test('bounds: answers, and searches a second', async (t) => {
  const { server, clock } = await startRendezvous(t, { mask: '127.1.0.0/16' })
  clock.stop()
  const hosts = await Promise.all(Array.from({ length: 7 }, (_, i) => UdpPeer.bind(t, server, `127.1.0.${i + 1}`)))
  for (const [h, peer] of hosts.entries()) for (let i = 0; i < 10; i++) t.equal(await peer.register(`peer-${h}-${i}`), 0)
  const [asking] = hosts
  for (let i = 0; i < 4; i++) {
    asking.send(ping)
    t.equal(pongs(await asking.settled()).length, 64)
  }
  asking.send(ping)
  t.same(await asking.settled(), [], 'too many in a row')
  clock.offset += 1000
  asking.send(ping)
  t.equal(pongs(await asking.settled()).length, 64)
})

t.test('no network, and strictOss', async (t) => {
  for (const init of [{}, { mask: '127.1.0.0/16', strictOss: true }]) {
    const { server } = await startRendezvous(t, init)
    const [asking, other] = await Promise.all(['127.1.0.1', '127.1.0.2'].map((host) => UdpPeer.bind(t, server, host)))
    await other.register('peer-1')
    asking.send(ping)
    t.same(await asking.settled(), [])
  }
})
