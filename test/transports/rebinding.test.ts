/** A listener takes the place of another on the same port, while the links of the first one go on. */
import { once } from 'node:events'
import { Duplex } from 'node:stream'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { wireSubjects } from '../helpers/transports/subjects.ts'
import { random } from '../helpers/bytes.ts'
import { ca, cert, key } from '../helpers/certificates.ts'
import { accept, batches, bytes, drain, endsWith, first, hear, listening, talk, texts, until } from '../helpers/ends.ts'
import { ended, rawTcp, rawTls, readHead, upgrade } from '../helpers/raw-sockets.ts'
import { ConnectionLimiter, listenWebSocket } from '../../src/transports/index.ts'
import type { Batch, Link, Listener } from '../../src/types.ts'

const host = '127.0.0.1'

for (const guard of [{}, { limiter: new ConnectionLimiter() }]) {
  for (const subject of wireSubjects(guard)) {
    const name = guard.limiter === undefined ? subject.name : `${subject.name}, with a gate`

    t.test(`${name}: listeners come and go, links stay`, async (t) => {
      const { dial, listen } = subject.make()
      const pairs: Array<[client: Link, server: Link]> = []
      let { listener, port, incoming } = await listening(t, listen)
      for (let i = 0; i < 10; i++) {
        const client = endsWith(t, await dial({ host, port }))
        pairs.push([client, await accept(t, incoming)])
        listener.close()
        listener = listen({ host, port }) // at once
        t.teardown(listener.close)
        incoming = listener[Symbol.asyncIterator]()
        await listener.port()
        for (const [client, server] of pairs) await talk(client, server)
      }
      listener.close()
      for (const [client, server] of pairs) await talk(client, server)
    })

    t.test(`${name}: nothing is lost of what flows meanwhile`, async (t) => {
      const { dial, listen } = subject.make()
      const { listener, port, incoming } = await listening(t, listen)
      const client = endsWith(t, await dial({ host, port }))
      const server = await accept(t, incoming)
      const below = random(1)
      const sent = Array.from({ length: 200 }, () => [bytes(below(20_000), below(256))])
      let replacement: Listener | undefined
      async function * flow (): AsyncGenerator<Batch> {
        for (const [i, batch] of sent.entries()) {
          if (i === 100) {
            listener.close()
            replacement = listen({ host, port })
            await replacement.port()
          }
          yield batch
        }
      }
      const answered = drain(client.source)
      const [heard] = await Promise.all([hear(server.source), client.sink(flow())])
      t.ok(Buffer.concat(heard).equals(Buffer.concat(sent.flat())))
      if (replacement === undefined) throw new Error('there is no other listener')
      t.teardown(replacement.close)
      const next = endsWith(t, await dial({ host, port }))
      await talk(next, await accept(t, replacement[Symbol.asyncIterator]()))
      await server.sink(batches()).catch(() => {}) // a WebSocket is closed already
      await answered
    })
  }
}

t.test('a TLS handshake that ends after its listener', async (t) => {
  const { listener, port, incoming } = await listening(t, (at) => listenWebSocket({ ...at, tls: { cert, key }, handshakeTimeout: 100_000 }))
  const tcp = await rawTcp(port)
  const held: Buffer[] = []
  let isHeld = true
  const between = new Duplex({
    read () {},
    write (bytes, _encoding, done) {
      if (isHeld) held.push(bytes)
      else tcp.socket.write(bytes)
      done()
    }
  })
  tcp.socket.on('data', (bytes) => { between.push(bytes) }).on('end', () => { between.push(null) })
  const secure = connectTls({ socket: between, ca, servername: 'localhost' })
  secure.on('error', () => {})
  await until(() => held.length > 0)
  const going = await upgrade(await rawTls(port)) // accepted after it
  const server = await accept(t, incoming)
  listener.close()
  isHeld = false
  tcp.socket.write(Buffer.concat(held))
  await ended(tcp.socket)
  t.pass('it does not stay, as nobody would end it')
  tcp.socket.destroy()
  going.socket.write(Buffer.from('828500000000', 'hex'))
  going.socket.write('hello')
  t.equal((await first(server.source)).toString(), 'hello')
  going.reset()
})

t.test('another address, without dropping anybody', async (t) => {
  const limiter = new ConnectionLimiter()
  const { listener, port, incoming } = await listening(t, (at) => listenWebSocket({ ...at, limiter }))
  const client = await upgrade(await rawTcp(port))
  const server = await accept(t, incoming)
  const wider = listenWebSocket({ host: '0.0.0.0', port, limiter })
  t.teardown(wider.close)
  t.match(await wider.port().catch((err) => err), { code: 'EADDRINUSE' }, 'not while the first one has the port')
  listener.close()
  const second = listenWebSocket({ host: '0.0.0.0', port, limiter })
  t.teardown(second.close)
  t.equal(await second.port(), port)
  const other = await upgrade(await rawTcp(port, { localAddress: '127.0.0.2' }))
  t.equal((await accept(t, second[Symbol.asyncIterator]())).remote.host, '127.0.0.2')
  server.port.send(texts('still here'))
  if (client.socket.readableLength === 0) await once(client.socket, 'readable')
  t.match(String(client.socket.read()), /still here$/)
  t.equal(limiter.stats.connections, 2)
  const refused = await rawTcp(port)
  refused.socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  t.match((await readHead(refused.socket)).head, /403/)
  for (const { reset } of [client, other, refused]) reset()
})
