/** The rendezvous server on a socket of both families. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { rendezvous, framedMessages, type RendezvousInit, type RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { unmangleAddress } from '../../../../src/nodes/rustdesk/protocol/mangled-address.ts'
import { over } from '../../../../src/layer.ts'
import { streamLink } from '../../../../src/transports/stream-link.ts'
import { KEY, startRendezvous, TcpClient, UdpPeer } from '../../../helpers/rustdesk/rendezvous.ts'

const ID = '123456789'

t.test('a peer by IPv6, a client by IPv6 and one by IPv4', async (t) => {
  const { server } = await startRendezvous(t, { bind: '::' })
  const peer = createSocket('udp6')
  t.teardown(() => { peer.close() })
  const next = async (): Promise<RendezvousMessage> => rendezvous.decode((await once(peer, 'message') as [Buffer])[0])
  const ask = async (message: RendezvousInit): Promise<RendezvousMessage> => {
    peer.send(rendezvous.encode(message), server.ports.udp, '::1')
    return await next()
  }
  t.equal((await ask({ register_pk: { id: ID, uuid: Buffer.from('m'), pk: KEY } })).register_pk_response?.result, 0)
  t.match(server.status().members, [{ id: ID, address: `[::1]:${peer.address().port}`, way: 'udp' }])

  const socket = connect({ host: '::1', port: server.ports.tcp, noDelay: true, allowHalfOpen: true })
  t.teardown(() => { socket.destroy() })
  await once(socket, 'connect')
  const client = over(streamLink(socket), framedMessages)
  const pushed = next()
  client.port.send([{ punch_hole_request: { id: ID } }])
  const { fetch_local_addr: local } = await pushed // both are behind one address
  t.same(unmangleAddress(local?.socket_addr ?? new Uint8Array()), { host: '::1', port: socket.localPort })

  const hole = next()
  const old = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  old.send({ punch_hole_request: { id: ID } })
  t.same(unmangleAddress((await hole).punch_hole?.socket_addr ?? new Uint8Array()), { host: '127.0.0.3', port: old.port }, 'IPv4 as it is')
  const plain = await UdpPeer.bind(t, server, '127.0.0.2')
  await plain.register('an-old-one')
  t.equal(server.status().members[1].address, `127.0.0.2:${plain.port}`)
})
