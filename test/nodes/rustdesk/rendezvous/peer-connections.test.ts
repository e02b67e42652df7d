import t, { type Test } from 'tap'
import { PunchFailure, RegisterResult } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { framedMessages, type RendezvousInit, type RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { over } from '../../../../src/layer.ts'
import { memoryPair } from '../../../../src/transports/memory/pair.ts'
import { until } from '../../../helpers/ends.ts'
import { KEY, startRendezvous, TcpClient, UdpPeer, WebSocketClient, type Started } from '../../../helpers/rustdesk/rendezvous.ts'

const ID = 'peer-12345'
const register = { register_pk: { id: ID, uuid: Buffer.from('machine'), pk: KEY } }

interface Wire {
  send (message: RendezvousInit): void
  next (): Promise<RendezvousMessage | undefined>
  close (): void
}

type Dial = (t: Test, started: Started) => Promise<Wire>

const ways: Record<string, Dial> = {
  TCP: async (t, { server }) => {
    const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
    return { send: (message) => { client.send(message) }, next: () => client.next(), close: () => { client.socket.end() } }
  },
  WebSocket: async (t, { server }) => {
    const client = await WebSocketClient.dial(t, server.ports.webSocket, { 'X-Real-IP': '192.0.2.9' })
    return { send: (message) => { client.send(message) }, next: () => client.next(), close: () => { client.socket.close() } }
  }
}

const isOnline = async (t: Test, { server }: Started): Promise<boolean> => {
  const client = await TcpClient.dial(t, server.ports.tcp)
  const answer = await client.ask({ online_request: { id: 'me', peers: [ID] } })
  return answer?.online_response?.states?.[0] === 0x80
}

for (const [name, dial] of Object.entries(ways)) {
  t.test(`a peer that registers by ${name} hears on that connection (row 19)`, async (t) => {
    const started = await startRendezvous(t)
    const { server, store, clock } = started
    const peer = await dial(t, started)
    peer.send(register)
    t.match((await peer.next())?.register_pk_response, { result: RegisterResult.ok, keep_alive: 60 })
    t.equal(store.peers.size, 1)
    t.ok(await isOnline(t, started))

    const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
    client.send({ punch_hole_request: { id: ID, nat_type: 1 } })
    const hole = (await peer.next())?.punch_hole
    t.equal(hole?.nat_type, 1)
    const back = await dial(t, started)
    back.send({ relay_response: { socket_addr: hole?.socket_addr, id: ID, uuid: 'a-uuid', relay_server: 'relay.example', version: '1.4.9' } })
    t.match((await client.next())?.relay_response, { uuid: 'a-uuid', relay_server: 'relay.example' })

    clock.offset += 29_000
    peer.send({})
    clock.offset += 15_000
    server.rendezvous.tick(clock.now())
    t.equal((await peer.next())?.union, undefined, 'a sign of life')
    t.ok(await isOnline(t, started), 'that of the peer counts')

    peer.close()
    const refusal = async (): Promise<number | null | undefined> => {
      const asking = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
      return (await asking.ask({ punch_hole_request: { id: ID } }))?.punch_hole_response?.failure
    }
    await until(() => server.status().connected === 0)
    t.equal(await refusal(), PunchFailure.offline, 'there is no way to it any more')
    t.ok(await isOnline(t, started), 'and yet it may come back')
    clock.offset += 30_000
    t.notOk(await isOnline(t, started), 'offline 30 s after it was heard')
  })
}

t.test('another connection, and a datagram that proves whose it is, take the place of a connection', async (t) => {
  const started = await startRendezvous(t)
  const { server, clock } = started
  const first = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  t.ok((await first.ask(register))?.register_pk_response)
  const second = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  t.ok((await second.ask(register))?.register_pk_response)
  const ask = async (): Promise<void> => { (await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')).send({ punch_hole_request: { id: ID } }) }
  await ask()
  t.ok((await second.next())?.punch_hole)
  first.socket.destroy()
  await until(() => server.rendezvous.limiter.stats.connections === 2)
  await ask()
  t.ok((await second.next())?.punch_hole, 'that the first one has closed does not matter')
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  t.same((await peer.ask({ register_peer: { id: ID } })).register_peer_response?.request_pk, true, 'anyone behind its address could say that')
  await ask()
  t.ok((await second.next())?.punch_hole)
  t.equal(await peer.register(ID), RegisterResult.ok)
  await ask()
  t.ok((await peer.next()).punch_hole)
  clock.offset += 40_000
  second.send({})
  second.send({ online_request: { id: 'me', peers: [ID] } })
  t.same([...(await second.next())?.online_response?.states ?? []], [0], 'the connection says nothing about it any more')
})

t.test('what clients have sent to a peer that does not read is bounded', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  await peer.ask(register)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ request_relay: { id: ID, uuid: 'x'.repeat(9000) } }, { request_relay: { id: ID, uuid: 'x'.repeat(8000) } })
  t.equal((await peer.next())?.request_relay?.uuid?.length, 8000, 'the longer one is dropped')
  t.match(server.status(), { asked: 1, drops: { queue: 1 } })
})

t.test('a peer by WebSocket counts for the sender, not for the address that a header claims, unless that is a proxy beside the server', async (t) => {
  const { server: { rendezvous } } = await startRendezvous(t)
  const register = async (sender: string, id: string): Promise<number | null | undefined> => {
    const [near, far] = memoryPair().map((link) => over(link, framedMessages))
    const slot = rendezvous.limiter.admit(sender, () => {})
    void rendezvous.accept(Object.assign(near, { remote: { host: '192.0.2.9', port: 0 }, slot }), 'websocket')
    far.port.send([{ register_pk: { id, uuid: Buffer.from('machine'), pk: KEY } }])
    const { value } = await far.source[Symbol.asyncIterator]().next()
    return value?.[0].register_pk_response?.result
  }
  for (let i = 0; i < 32; i++) t.equal(await register('8.8.8.8', `peer-${i}`), RegisterResult.ok)
  t.equal(await register('8.8.8.8', 'peer-more'), RegisterResult.tooFrequent)
  t.equal(await register('10.0.0.7', 'peer-more'), RegisterResult.ok, 'the one who has this address still may')
  t.equal(await register('2001:4860:4860::8888', 'peer-even-more'), RegisterResult.ok)
})

t.test('one connection, another id', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  await peer.ask(register)
  await peer.ask({ register_pk: { ...register.register_pk, id: 'peer-67890' } })
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  t.equal((await client.ask({ punch_hole_request: { id: ID } }))?.punch_hole_response?.failure, PunchFailure.offline)
  client.send({ punch_hole_request: { id: 'peer-67890' } })
  const again = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  again.send({ punch_hole_request: { id: 'peer-67890' } })
  t.ok((await peer.next())?.punch_hole)
})

t.test('a registration that is refused ends the connection', async (t) => {
  const { server, store } = await startRendezvous(t)
  const client = async (): Promise<TcpClient> => await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  const short = await client()
  t.equal((await short.ask({ register_pk: { ...register.register_pk, id: 'short' } }))?.register_pk_response?.result, RegisterResult.uuidMismatch)
  t.equal(await short.next(), undefined)
  t.equal(await (await client()).ask({ register_pk: { ...register.register_pk, uuid: Buffer.alloc(0) } }), undefined, 'no answer')
  store.fault = new Error('disk full')
  const faulty = await client()
  t.equal((await faulty.ask(register))?.register_pk_response?.result, RegisterResult.serverError)
  t.equal(await faulty.next(), undefined)
})

t.test('silence, and a peer that does not read', async (t) => {
  const { server, clock } = await startRendezvous(t, { maxPerSource: 4096 })
  const peer = await TcpClient.dial(t, server.ports.tcp, '127.0.0.2')
  await peer.ask(register)
  clock.offset += 89_000
  server.rendezvous.tick(clock.now())
  t.equal(server.status().refused.timeout, 0)
  clock.offset += 1000
  server.rendezvous.tick(clock.now())
  t.equal(server.status().refused.timeout, 1)
  t.equal((await peer.next())?.union, undefined)
  t.equal(await peer.next(), undefined)
})

t.test('not with strictOss', async (t) => {
  const { server } = await startRendezvous(t, { strictOss: true })
  const client = await TcpClient.dial(t, server.ports.tcp)
  t.equal((await client.ask(register))?.register_pk_response?.result, RegisterResult.notSupport)
  t.equal(await (await TcpClient.dial(t, server.ports.tcp)).ask({ online_request: { id: 'me', peers: [ID] } }), undefined)
})
