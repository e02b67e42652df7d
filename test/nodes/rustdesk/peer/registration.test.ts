/** How a peer takes what claims to be of its server: datagrams are not authentic (RustDesk protocol, section 6.2). */
import t, { type Test } from 'tap'
import { PORT, World } from '../../../helpers/rustdesk/world.ts'
import type { RustdeskPeer } from '../../../../src/nodes/rustdesk/peer/peer.ts'
import { RegisterResult } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { rendezvous, type RendezvousInit, type RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { consume } from '../../../../src/streams/consume.ts'
import type { UdpSocket } from '../../../../src/transports/udp/socket.ts'

const ID = '123456789'
const OK: RendezvousInit = { register_pk_response: { result: RegisterResult.ok } }

interface Served {
  world: World
  peer: RustdeskPeer
  /** What the peer has sent. */
  seen: RendezvousMessage[]
  /** As the server, to where the peer has sent from. */
  send (...messages: RendezvousInit[]): void
}

/** A peer whose server answers as it is told. */
async function served (t: Test, answer: (message: RendezvousMessage) => RendezvousInit | undefined): Promise<Served> {
  const world = await World.open(t)
  await world.stop()
  const socket: UdpSocket = await world.server.bindUdp({ host: '::', port: PORT })
  const seen: RendezvousMessage[] = []
  let from = { host: '', port: 0 }
  const send = (...messages: RendezvousInit[]): void => { socket.port.send(messages.map((message) => ({ data: rendezvous.encode(message), ...from }))) }
  consume(socket, (batch) => {
    for (const { data, host, port } of batch) {
      from = { host, port }
      const message = rendezvous.decode(Uint8Array.from(data))
      seen.push(message)
      const answered = answer(message)
      if (answered !== undefined) send(answered)
    }
  }).catch(() => {})
  const peer = await world.echo(t, world.host('none'), { id: ID })
  return { world, peer, seen, send }
}

const usual = ({ union }: RendezvousMessage): RendezvousInit => union === 'register_pk' ? OK : { register_peer_response: { request_pk: false } }

t.test('results that nobody has asked for', async (t) => {
  const { world, peer, send } = await served(t, usual)
  let failed: unknown
  peer.once('failed', (err) => { failed = err })
  await world.clock.until(() => peer.isOnline)
  for (const result of [RegisterResult.uuidMismatch, RegisterResult.notSupport, RegisterResult.invalidIdFormat, RegisterResult.tooFrequent]) send({ register_pk_response: { result } })
  await world.clock.pass(20_000)
  t.equal(failed, undefined)
  t.ok(peer.isOnline)
})

t.test('a server that wants the key again and again gets it once for each answer', async (t) => {
  const { world, peer, seen, send } = await served(t, usual)
  await world.clock.until(() => peer.isOnline)
  const before = seen.length
  send(...Array.from({ length: 200 }, () => ({ register_peer_response: { request_pk: true } })))
  await world.clock.pass(2000)
  t.equal(seen.length - before, 1)
  t.ok(peer.isOnline)
})

t.test('a server that answers a key with the wish for a key', async (t) => {
  const { world, seen } = await served(t, () => ({ register_peer_response: { request_pk: true } }))
  await world.clock.pass(10_000)
  t.ok(seen.length <= 5, `${seen.length} datagrams`)
})

t.test('closed while the name of the server is looked up', async (t) => {
  const world = await World.open(t)
  let fail = (): void => {}
  const peer = await world.echo(t, world.host('none'), { id: ID, lookup: async () => await new Promise((_resolve, reject) => { fail = () => { reject(new Error('no name')) } }) })
  let isTold = false
  peer.on('unregistered', () => { isTold = true })
  await peer.close()
  fail()
  await world.clock.pass(10_000)
  t.notOk(isTold)
})
