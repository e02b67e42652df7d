import { connect } from 'node:net'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { keyFrames } from '../../../../src/nodes/rustdesk/protocol/encryption.ts'
import { frames, rendezvousMessages, type RendezvousInit, type RendezvousMessage } from '../../../../src/nodes/rustdesk/protocol/messages.ts'
import { over } from '../../../../src/layer.ts'
import { exchangeKeys, KeyOffer, answerOffer } from '../../../../src/transforms/secretbox/index.ts'
import { streamLink } from '../../../../src/transports/stream-link.ts'
import type { ServeRendezvousInit } from '../../../../src/nodes/rustdesk/rendezvous/server.ts'
import type { Link } from '../../../../src/types.ts'
import { byDefault as nacl, SEED, vector } from '../../../helpers/crypto/nacls.ts'
import { until } from '../../../helpers/ends.ts'
import { startRendezvous, TcpClient, WebSocketClient, type Started } from '../../../helpers/rustdesk/rendezvous.ts'

const signer = nacl.signKeys(SEED)

const start = (t: Test, init: Partial<ServeRendezvousInit> = {}): Promise<Started> => startRendezvous(t, { encryption: { nacl, signer }, ...init })

async function dial (t: Test, port: number, from = '127.0.0.1'): Promise<Link> {
  const socket = connect({ host: '127.0.0.1', port, localAddress: from, allowHalfOpen: true })
  socket.on('error', () => {})
  t.teardown(() => { socket.destroy() })
  await once(socket, 'connect')
  return over(streamLink(socket), frames)
}

class SecureClient {
  readonly link: Link<RendezvousMessage, RendezvousInit>
  readonly #boxes: Link
  readonly #messages: AsyncIterator<RendezvousMessage[]>

  constructor (boxes: Link) {
    this.#boxes = boxes
    this.link = over(boxes, rendezvousMessages)
    this.#messages = this.link.source[Symbol.asyncIterator]()
  }

  static async dial (t: Test, { server }: Started, from?: string): Promise<SecureClient> {
    const link = await dial(t, server.ports.tcp, from)
    return new SecureClient(await exchangeKeys(link, { nacl, publicKey: signer.publicKey, frames: keyFrames }))
  }

  send (message: RendezvousInit): void { this.link.port.send([message]) }

  sendRaw (payload: Uint8Array): void { this.#boxes.port.send([payload]) }

  async next (): Promise<RendezvousMessage | undefined> {
    const { done, value } = await this.#messages.next().catch(() => ({ done: true, value: undefined }))
    return done === true ? undefined : value?.[0]
  }
}

t.test('a client that waits gets an offer, and its conversation is encrypted (row 18)', async (t) => {
  const started = await start(t)
  const client = await SecureClient.dial(t, started)
  client.send({ punch_hole_request: { id: 'nobody-1' } })
  const refused = await client.next()
  t.ok(refused?.punch_hole_response)
  client.send({ test_nat_request: {} })
  t.ok(((await client.next())?.test_nat_response?.port ?? 0) > 0, 'counters go on in both directions')
  t.equal(await client.next(), undefined)
})

t.test('an empty frame in between is in the clear, and does not count (row 18)', async (t) => {
  const started = await start(t)
  const client = await SecureClient.dial(t, started)
  client.send({ register_pk: { id: 'peer-1234', uuid: Buffer.from('machine'), pk: Buffer.alloc(32, 1) } })
  t.match((await client.next())?.register_pk_response, { result: 0, keep_alive: 60 })
  client.sendRaw(Buffer.alloc(0))
  client.send({ register_pk: { id: 'peer-1234', uuid: Buffer.from('machine'), pk: Buffer.alloc(32, 2) } })
  t.match((await client.next())?.register_pk_response, { result: 0 })
})

t.test('who speaks first sees no offer', async (t) => {
  const started = await start(t)
  const { server } = started
  const early = await TcpClient.dial(t, server.ports.tcp)
  t.ok((await early.ask({ punch_hole_request: { id: 'nobody-1' } }))?.punch_hole_response)
  const silent = await SecureClient.dial(t, started, '127.0.0.3') // gets its offer later
  early.send({ test_nat_request: {} })
  t.ok((await early.next())?.test_nat_response)
  silent.send({ test_nat_request: {} })
  t.ok((await silent.next())?.test_nat_response)
})

t.test('a client that wants no encryption skips the offer', async (t) => {
  const { server } = await start(t)
  const client = await TcpClient.dial(t, server.ports.tcp)
  t.equal((await client.next())?.union, 'key_exchange')
  t.ok((await client.ask({ test_nat_request: {} }))?.test_nat_response)
})

t.test('no offers: strict, without a pair, by WebSocket, on the port of NAT tests', async (t) => {
  const clients: Array<{ next: () => Promise<RendezvousMessage | undefined>, send: (message: RendezvousInit) => void }> = []
  const { server } = await start(t)
  clients.push(
    await TcpClient.dial(t, (await start(t, { strictOss: true })).server.ports.tcp),
    await TcpClient.dial(t, (await startRendezvous(t)).server.ports.tcp),
    await WebSocketClient.dial(t, server.ports.webSocket),
    await TcpClient.dial(t, server.ports.natTest)
  )
  const offered = await TcpClient.dial(t, server.ports.tcp)
  t.equal((await offered.next())?.union, 'key_exchange', 'so much time has passed')
  for (const client of clients) {
    client.send({ test_nat_request: {} })
    t.equal((await client.next())?.union, 'test_nat_response')
  }
})

t.test('what is no answer ends that connection alone (row 36)', async (t) => {
  const started = await start(t)
  const { server } = started
  const stranger = nacl.signKeys()
  const other = new KeyOffer(nacl, stranger)
  const [publicKey, box] = keyFrames.read(vector('kx_answer').bytes) ?? []
  const cases: Array<readonly Uint8Array[]> = [[], [publicKey], [publicKey, box, box], [publicKey.subarray(1), box], [publicKey, Buffer.alloc(48)], answerOffer(nacl, other.keys, stranger.publicKey).keys]
  const steady = await SecureClient.dial(t, started)
  for (const keys of cases) {
    const link = await dial(t, server.ports.tcp)
    const source = link.source[Symbol.asyncIterator]()
    t.equal((await source.next()).value?.length, 1, 'an offer')
    link.port.send([keyFrames.write(keys)])
    await t.rejects(source.next(), { code: 'ECONNRESET' })
  }
  t.equal(server.status().refused.malformed, cases.length)
  const twice = await SecureClient.dial(t, started)
  twice.send({ key_exchange: { keys: [publicKey, box] } })
  t.equal(await twice.next(), undefined, 'a second exchange')
  const unasked = await TcpClient.dial(t, server.ports.tcp)
  t.equal(await unasked.ask({ key_exchange: { keys: [publicKey, box] } }), undefined, 'an answer without an offer')
  const link = await dial(t, server.ports.tcp)
  const boxes = await exchangeKeys(link, { nacl, publicKey: signer.publicKey, frames: keyFrames })
  link.port.send([Buffer.alloc(40, 1)])
  await t.rejects(boxes.source[Symbol.asyncIterator]().next(), { code: 'ECONNRESET' })
  t.equal(server.status().refused.malformed, cases.length + 1, 'a box that does not open')
  steady.send({ test_nat_request: {} })
  t.ok((await steady.next())?.test_nat_response, 'others go on')
})

t.test('a health check counts once, and its connection is for nothing else', async (t) => {
  const started = await start(t)
  const { server } = started
  const many = [{ hc: { token: 'token' } }, { hc: { token: 'token' } }]
  const register = { register_pk: { id: 'peer-1234', uuid: Buffer.from('machine'), pk: Buffer.alloc(32, 1) } }
  for (const messages of [many, [many[0], register]]) {
    const client = await SecureClient.dial(t, started)
    for (const message of messages) client.send(message)
    t.equal(await client.next(), undefined)
    client.link.abort(new Error('closed'))
    await until(() => server.rendezvous.limiter.stats.connections === 0)
    t.match(server.status(), { healthChecks: 0, registered: 0 })
  }
})

t.test('health checks are held open when they are encrypted, 64 of an address', async (t) => {
  const started = await start(t)
  const { server, clock } = started
  const plain = await TcpClient.dial(t, server.ports.tcp)
  t.equal(await plain.ask({ hc: { token: 'token' } }), undefined, 'in the clear')
  const clients = await Promise.all(Array.from({ length: 64 }, () => SecureClient.dial(t, started, '127.0.0.7')))
  for (const client of clients) client.send({ hc: { token: 'token' } })
  await until(() => server.status().healthChecks === 64)
  clock.offset += 300_000
  server.rendezvous.tick(clock.now())
  const more = await SecureClient.dial(t, started, '127.0.0.7')
  more.send({ hc: { token: 'token' } })
  t.equal(await more.next(), undefined, 'one more')
  t.equal(server.status().healthChecks, 64, 'silence ends none')
  const elsewhere = await SecureClient.dial(t, started, '127.0.0.8')
  elsewhere.send({ hc: { token: 'token' } })
  await until(() => server.status().healthChecks === 65)
  clients[0].link.abort(new Error('closed'))
  await until(() => server.status().healthChecks === 64)
  const again = await SecureClient.dial(t, started, '127.0.0.7')
  again.send({ hc: { token: 'token' } })
  await until(() => server.status().healthChecks === 65)
})
