import { connect, createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { RegisterResult } from '../../../../src/nodes/rustdesk/protocol/enums.ts'
import { rendezvous } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { startRendezvous, TcpClient, UdpPeer, WebSocketClient } from '../../../helpers/rustdesk/rendezvous.ts'
import { hearText, until } from '../../../helpers/ends.ts'
import { sample } from '../../../helpers/sample.ts'
import { rustdeskLength } from '../../../../src/transforms/length-codecs.ts'
import { LengthPrefixEncoder } from '../../../../src/transforms/length-prefix.ts'
import { streamLink } from '../../../../src/transports/stream-link.ts'

const framed = (bytes: Uint8Array): Buffer => Buffer.from(new LengthPrefixEncoder(rustdeskLength, { maxFrame: 1 << 20 }).push([bytes])[0])

/** Sends bytes, and returns those that come until the end. */
async function exchange (t: Test, port: number, chunks: readonly Uint8Array[], from = '127.0.0.1'): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from, noDelay: true })
  t.teardown(() => { socket.destroy() })
  socket.on('error', () => {})
  const heard: Buffer[] = []
  socket.on('data', (data) => { heard.push(data) })
  await once(socket, 'connect')
  for (const chunk of chunks) {
    socket.write(chunk)
    await new Promise(setImmediate)
  }
  await new Promise((resolve) => { socket.once('close', resolve) })
  return Buffer.concat(heard)
}

t.test('tests of NAT, and the list of servers (row 13)', async (t) => {
  const { server } = await startRendezvous(t, { serial: 5, rendezvousServers: ['a.example'] })
  const { tcp, natTest, webSocket } = server.ports
  for (const port of [tcp, natTest]) {
    for (const serial of [5, 4]) {
      const client = await TcpClient.dial(t, port, '127.0.0.3')
      const response = (await client.ask({ test_nat_request: { serial } }))?.test_nat_response
      t.equal(response?.port, client.port)
      t.equal(response?.cu?.serial, port === tcp && serial === 4 ? 5 : undefined)
      t.equal(await client.next(), undefined)
    }
  }
  const client = await WebSocketClient.dial(t, webSocket, { 'X-Real-IP': '192.0.2.5' })
  client.send({ test_nat_request: { serial: 5 } })
  t.equal((await client.next())?.test_nat_response?.port, 0, 'a proxy does not tell it')
  t.equal(await client.next(), undefined)
})

t.test('who is online (row 14)', async (t) => {
  const { server } = await startRendezvous(t)
  const ids = Array.from({ length: 1000 }, (_, i) => `peer-${i}`)
  const online = new Set([0, 1, 7, 8, 500, 999])
  for (const [n, i] of [...online].entries()) await (await UdpPeer.bind(t, server, `127.0.1.${n + 1}`)).register(ids[i])
  for (const count of [0, 1, 8, 9, 1000]) {
    const client = await TcpClient.dial(t, server.ports.natTest)
    const states = (await client.ask({ online_request: { id: 'me', peers: ids.slice(0, count) } }))?.online_response?.states ?? Buffer.alloc(0)
    t.equal(states.length, Math.ceil(count / 8))
    t.ok(ids.slice(0, count).every((_, i) => ((states[i >> 3] & 0x80 >> i % 8) !== 0) === online.has(i)), String(count))
  }
})

t.test('frames in any chunks, and several in one (row 20)', async (t) => {
  const { server } = await startRendezvous(t)
  const request = framed(rendezvous.encode({ punch_hole_request: { id: 'nobody-1', token: 'x'.repeat(100) } }))
  const nat = framed(rendezvous.encode({ test_nat_request: {} }))
  const bytes = Buffer.concat([request, nat])
  for (const size of [1, 2, 7, bytes.length]) {
    const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size))
    const heard = await exchange(t, server.ports.tcp, chunks)
    t.equal(heard.subarray(0, 3).toString('hex'), '085a00', `chunks of ${size}`)
    t.equal(heard[4], 0xaa, 'the second answer')
  }
  const question = rendezvous.encode({ test_nat_request: {} })
  for (const size of [63, 64, 16_383, 16_384, 65_536]) {
    const message = Buffer.concat([unknownField(size - question.length), question])
    t.equal(message.length, size)
    t.ok((await exchange(t, server.ports.tcp, [framed(message)])).length > 0, `${size} bytes`)
  }
  t.equal((await exchange(t, server.ports.tcp, [framed(Buffer.concat([unknownField(65_537 - question.length), question]))])).length, 0, 'one byte more than the limit')
})

/** An unknown field of just so many bytes. */
function unknownField (size: number): Buffer {
  for (let width = 1; width <= 3; width++) {
    const length = size - 2 - width
    const prefix = varint(length)
    if (length >= 0 && prefix.length === width) return Buffer.concat([Buffer.from([0x9a, 0x06]), prefix, Buffer.alloc(length)])
  }
  throw new Error(`no field of ${size} bytes`)
}

function varint (value: number): Buffer {
  const out = []
  for (; value > 0x7f; value >>>= 7) out.push(value & 0x7f | 0x80)
  return Buffer.from([...out, value])
}

t.test('a registration by a connection as the originals have it (row 25)', async (t) => {
  const { server } = await startRendezvous(t, { strictOss: true })
  const client = await TcpClient.dial(t, server.ports.tcp)
  t.equal((await client.ask({ register_pk: { id: '123456789', uuid: Buffer.from('u'), pk: Buffer.from('k') } }))?.register_pk_response?.result, RegisterResult.notSupport)
  t.equal(await client.next(), undefined)
  const webSocket = await WebSocketClient.dial(t, server.ports.webSocket)
  webSocket.send({ register_pk: { id: '123456789', uuid: Buffer.from('u'), pk: Buffer.from('k') } })
  t.equal((await webSocket.next())?.register_pk_response?.result, RegisterResult.notSupport)
  t.equal(await webSocket.next(), undefined)
})

t.test('what is not served ends the connection (row 26)', async (t) => {
  const { server } = await startRendezvous(t, { strictOss: true })
  const { tcp, natTest, webSocket } = server.ports
  const messages = [
    Buffer.alloc(0),
    Buffer.from('fa0700', 'hex'),
    rendezvous.encode({ key_exchange: { keys: [] } }),
    rendezvous.encode({ hc: { token: 'x' } }),
    rendezvous.encode({ http_proxy_request: { method: 'GET' } }),
    rendezvous.encode({ register_peer: { id: 'x' } })
  ]
  for (const message of [...messages, rendezvous.encode({ online_request: { id: 'x', peers: ['y'] } })]) t.equal((await exchange(t, tcp, [framed(message)])).length, 0)
  for (const message of [...messages, rendezvous.encode({ punch_hole_request: { id: 'x' } })]) t.equal((await exchange(t, natTest, [framed(message)])).length, 0)
  for (const message of messages) {
    const client = await WebSocketClient.dial(t, webSocket)
    client.socket.send('text is ignored')
    client.socket.ping()
    client.socket.send(message)
    t.equal(await client.next(), undefined)
  }
  t.equal(server.status().refused.unserved, 20)
  t.ok(await (await TcpClient.dial(t, tcp)).ask({ test_nat_request: {} }))
})

t.test('a header of 1 GiB ends the connection at once (row 29)', async (t) => {
  const { server } = await startRendezvous(t)
  const socket = connect(server.ports.tcp, '127.0.0.1')
  socket.on('error', () => {})
  socket.write(Buffer.from('ffffffff', 'hex'))
  await new Promise((resolve) => { socket.once('close', resolve) })
  const { refused } = server.status()
  t.equal(refused.malformed, 1)
  t.equal((await exchange(t, server.ports.natTest, [Buffer.from('ffffffff', 'hex')])).length, 0)
})

t.test('messages that are none (row 30)', async (t) => {
  const { server } = await startRendezvous(t)
  const peer = await UdpPeer.bind(t, server, '127.0.0.2')
  const groups = Buffer.alloc(60_000, 0x9b)
  for (let i = 1; i < groups.length; i += 2) groups[i] = 0x06
  const broken = [groups, Buffer.from('ff', 'hex'), Buffer.from('00', 'hex'), Buffer.from('32ff', 'hex'), Buffer.from('32030a01ff', 'hex'), Buffer.from('3205', 'hex'), Buffer.from('30', 'hex')]
  for (const bytes of broken) {
    peer.sendRaw(bytes)
    t.equal((await exchange(t, server.ports.tcp, [framed(bytes)])).length, 0)
    const client = await WebSocketClient.dial(t, server.ports.webSocket)
    client.socket.send(bytes)
    t.equal(await client.next(), undefined)
  }
  t.same(await peer.settled(), [])
  t.equal(server.status().drops.malformed, broken.length)
  t.equal(server.status().refused.malformed, 2 * broken.length)
})

t.test('300 000 groups within each other, as fast as the limit of a message lets them through (row 30)', async (t) => {
  const { server } = await startRendezvous(t)
  t.equal((await exchange(t, server.ports.tcp, [framed(Buffer.alloc(300_000, 0x0b))])).length, 0)
  t.equal(server.status().refused.malformed, 1)
})

t.test('silence, and bytes that never become a message, end a connection', async (t) => {
  const { server, clock } = await startRendezvous(t)
  const silent = await TcpClient.dial(t, server.ports.tcp)
  const slow = await TcpClient.dial(t, server.ports.tcp)
  slow.socket.write(Buffer.from('fc0a', 'hex'))
  const asking = await TcpClient.dial(t, server.ports.tcp)
  await until(() => server.rendezvous.limiter.stats.connections === 3)
  clock.offset += 29_000
  asking.send({ punch_hole_request: { id: 'nobody-1' } })
  t.ok((await asking.next())?.punch_hole_response)
  slow.socket.write(Buffer.from('01', 'hex'))
  clock.offset += 1500
  server.rendezvous.tick(clock.now())
  t.equal(await silent.next(), undefined)
  t.equal(await slow.next(), undefined)
  asking.send({ test_nat_request: {} })
  t.ok((await asking.next())?.test_nat_response)
  t.equal(server.status().refused.timeout, 2)
})

t.test('a client that does not close its connection', async (t) => {
  const { server, clock } = await startRendezvous(t)
  const client = await TcpClient.dial(t, server.ports.tcp)
  t.ok((await client.ask({ test_nat_request: {} }))?.test_nat_response)
  t.equal(await client.next(), undefined)
  t.equal(server.rendezvous.limiter.stats.connections, 1)
  for (let i = 0; i < 2; i++) server.rendezvous.tick(clock.now())
  await until(() => server.rendezvous.limiter.stats.connections === 0)
  t.match(server.status().refused, { timeout: 0, malformed: 0 })
})

t.test('relays: only those that are alive (row 17)', async (t) => {
  const alive = createServer()
  alive.listen(0, '127.0.0.1')
  await once(alive, 'listening')
  t.teardown(() => alive.close())
  const gone = createServer()
  gone.listen(0, '127.0.0.1')
  await once(gone, 'listening')
  const [here, there] = [alive, gone].map((server) => `127.0.0.1:${(server.address() as AddressInfo).port}`)
  gone.close()
  await once(gone, 'close')
  const { server, clock } = await startRendezvous(t, { relayServers: [here, there] })
  t.same(server.status().relays, { live: [here, there], all: [here, there] })
  for (let i = 0; i < 3; i++) server.rendezvous.tick(clock.now())
  await until(() => server.status().relays.live.length === 1)
  t.same(server.status().relays.live, [here])
  t.equal(server.rendezvous.command('rs'), `${here}\n`)
})

t.test('the console on the port of NAT tests, and questions beside it', async (t) => {
  const { server } = await startRendezvous(t, { console: true, relayServers: ['a.example', 'b.example'] })
  const ask = async (text: string): Promise<string> => {
    const socket = connect(server.ports.natTest, '127.0.0.1')
    socket.write(text)
    return await hearText(streamLink(socket).source)
  }
  t.equal(await ask('rs\n'), 'a.example\nb.example\n')
  t.equal(await ask('aur'), 'ALWAYS_USE_RELAY: false\n')
  t.equal(await ask('aur y'), '')
  t.equal(await ask('aur'), 'ALWAYS_USE_RELAY: true\n')
  t.equal(await ask('rs'), 'a.example\nb.example\n', 'which leaves the relays alone (defect 1)')
  t.match(await ask('h'), /^relay-servers\(rs\)/)
  t.equal(await ask('nonsense'), '')
  const client = await TcpClient.dial(t, server.ports.natTest)
  t.equal((await client.ask({ test_nat_request: {} }))?.test_nat_response?.port, client.port)
  t.ok((await (await TcpClient.dial(t, server.ports.natTest)).ask({ online_request: { id: 'x', peers: ['y'] } }))?.online_response)
  t.equal((await exchange(t, server.ports.natTest, [Buffer.from('ffff', 'hex')])).length, 0, 'no text')
  t.equal(server.status().commands, 7)
})

t.test('many ids and connections, and honest peers among them (row 35)', async (t) => {
  const { server } = await startRendezvous(t, { maxPerSource: 1024, maxHalfOpen: 200 })
  const flood = await UdpPeer.bind(t, server, '127.0.0.66')
  const honest = await UdpPeer.bind(t, server, '127.0.0.2')
  t.equal(await honest.register('honest-peer'), RegisterResult.ok)
  const ids = sample('ids', { short: 5000, long: 100_000 })
  for (let sent = 0; sent < ids; sent += 100) {
    for (let i = 0; i < 100; i++) flood.send({ register_peer: { id: `flood-${sent + i}` } })
    await until(() => flood.raw.length >= sent + 100)
  }
  t.equal(server.status().peers, 1)
  const sockets = Array.from({ length: 400 }, () => connect(server.ports.tcp, '127.0.0.1').on('error', () => {}))
  t.teardown(() => { for (const socket of sockets) socket.destroy() })
  await until(() => server.rendezvous.limiter.stats.admitted >= 400)
  t.ok(server.rendezvous.limiter.stats.halfOpen <= 200)
  const client = await TcpClient.dial(t, server.ports.tcp, '127.0.0.3')
  client.send({ punch_hole_request: { id: 'honest-peer' } })
  t.ok((await honest.next()).punch_hole)
})
