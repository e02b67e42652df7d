/** Who is behind a proxy, over real sockets: TCP, TLS and WebSocket listeners. Programs that are proxies: `real-proxies.test.ts`. */
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import { rawSubjects, type RawSubject } from '../helpers/transports/subjects.ts'
import { hex } from '../helpers/bytes.ts'
import { accept, drain, first, listening, texts, until } from '../helpers/ends.ts'
import { proxyV1, proxyV2, proxyV2Local, proxyV2Of } from '../helpers/proxy-headers.ts'
import { ended, rawTcp, readHead, upgrade, upgradeRequest, type RawClient } from '../helpers/raw-sockets.ts'
import { silent } from '../../src/log.ts'
import { ConnectionLimiter, listenTcp, type ConnectionInfo, type ListenInit } from '../../src/transports/index.ts'
import { connectionGuard } from '../../src/transports/connection-guard.ts'
import { readProxyHeader } from '../../src/transports/proxy-reader.ts'
import type { Link } from '../../src/types.ts'

const host = '127.0.0.1'
const TRUSTED = ['127.0.0.1', '10.0.0.0/8']

type AcceptedLink = Link & ConnectionInfo

/** `hello` and `welcome` as they go over the wire. */
const words = (name: RawSubject['name']): { hello: Buffer, welcome: Buffer } => name.startsWith('ws')
  ? { hello: hex('8285 00000000 68656c6c6f'), welcome: hex('8207 77656c636f6d65') }
  : { hello: Buffer.from('hello'), welcome: Buffer.from('welcome') }

/** Says hello, and hears a welcome; resolves with the link that the listener made. */
async function greet (t: Test, { name }: RawSubject, client: RawClient, incoming: AsyncIterator<AcceptedLink>): Promise<AcceptedLink> {
  const { hello, welcome } = words(name)
  t.teardown(() => { client.reset() })
  client.socket.write(hello)
  const link = await accept(t, incoming)
  let heard = ''
  while (heard.length < 'hello'.length) heard += (await first(link.source)).toString()
  if (heard !== 'hello') throw new Error(`heard ${heard}`)
  link.port.send(texts('welcome'))
  let answer = Buffer.alloc(0)
  while (answer.length < welcome.length) {
    const bytes = client.socket.read() as Buffer | null
    if (bytes === null) await once(client.socket, 'readable')
    else answer = Buffer.concat([answer, bytes])
  }
  if (!answer.equals(welcome)) throw new Error(`got ${answer.toString('hex')}`)
  return link
}

const headers: Array<[name: string, header: Buffer, source: { host: string, port: number } | undefined]> = [
  ['v1', proxyV1({ host: '192.0.2.1', port: 56324 }), { host: '192.0.2.1', port: 56324 }],
  ['v2', proxyV2({ host: '2001:db8::1', port: 443 }, hex('040001 00')), { host: '2001:db8::1', port: 443 }],
  ['the proxy itself', proxyV2Local(), undefined],
  ['a Unix socket', proxyV2Of(0x21, 0x31, Buffer.alloc(216)), undefined],
  ['no header', Buffer.alloc(0), undefined]
]

for (const subject of rawSubjects) {
  const start = (t: Test, init: Partial<ListenInit> = {}) => listening(t, (at) => subject.listen({ ...at, trustedProxies: TRUSTED, ...init }))

  t.test(`${subject.name}: the source, however the header and what follows are cut`, async (t) => {
    const { port, incoming } = await start(t)
    for (const [name, header, source] of headers) {
      const chunks = [Infinity, ...Array.from({ length: Math.min(header.length, 64) + 2 }, (_, i) => i + 1), header.length + 20]
      const wrong: number[] = []
      for (const chunk of chunks) {
        const client = await subject.dial(port, { header, chunk })
        const { remote } = await greet(t, subject, client, incoming)
        const expected = source?.host ?? host
        if (remote.host !== expected || (source !== undefined && remote.port !== source.port) || remote.port === 0) wrong.push(chunk)
        client.reset()
      }
      t.same(wrong, [], `${name}, ${chunks.length} ways`)
    }
  })

  t.test(`${subject.name}: who is not trusted is not believed`, async (t) => {
    const warnings: object[] = []
    const { port, incoming } = await start(t, { log: { ...silent, warn: (fields) => { warnings.push(fields) } } })
    for (const header of [proxyV1({ host: '192.0.2.1', port: 1 }), proxyV2({ host: '192.0.2.1', port: 1 })]) {
      const liar = await rawTcp(port, { localAddress: '127.0.0.3' })
      t.teardown(() => { liar.socket.destroy() })
      liar.socket.write(header)
      if (subject.name === 'tcp') {
        const link = await accept(t, incoming)
        t.same(link.remote, { host: '127.0.0.3', port: liar.socket.localPort })
        t.ok((await first(link.source)).equals(header), 'it is part of what was said')
      } else {
        await ended(liar.socket)
        t.pass('it is not understood')
      }
    }
    const honest = await subject.dial(port, { localAddress: '127.0.0.3' })
    t.equal((await greet(t, subject, honest, incoming)).remote.host, '127.0.0.3')
    t.same(warnings, [])
  })

  t.test(`${subject.name}: malformed headers end their connections, and are told of sparingly`, async (t) => {
    const warnings: Array<{ err: Error, remote: { host: string }, count: number }> = []
    const limiter = new ConnectionLimiter()
    const { port, incoming } = await start(t, { limiter, log: { ...silent, warn: (fields) => { warnings.push(fields as typeof warnings[0]) } } })
    const bad = [
      Buffer.from('PROXY TCP4 192.0.2.1\r\n'), Buffer.from('PROXY '.padEnd(107, 'x')), proxyV2Of(0x21, 0x11, Buffer.alloc(11)), proxyV2Of(0x21, 0x11, Buffer.alloc(5000)),
      proxyV2Of(0x31, 0x11, Buffer.alloc(12))
    ]
    for (const header of [...bad, ...bad]) {
      const { socket } = await rawTcp(port)
      socket.write(header)
      await ended(socket)
      socket.destroy()
    }
    const cut = await rawTcp(port)
    cut.socket.end(proxyV2({ host: '192.0.2.1', port: 1 }).subarray(0, 20))
    await ended(cut.socket)
    t.equal(warnings.length, 1, 'the first at once, the others later and together')
    t.match(warnings, [{ err: { code: 'ERR_PROXY_HEADER' }, remote: { host }, count: 1 }])
    t.ok(await greet(t, subject, await subject.dial(port), incoming), 'others are unharmed')
    await until(() => limiter.stats.connections === 1)
  })

  t.test(`${subject.name}: a proxy that says nothing, too little, or goodbye`, async (t) => {
    const warnings: object[] = []
    const limiter = new ConnectionLimiter()
    const { port, incoming } = await start(t, { limiter, handshakeTimeout: 1000, log: { ...silent, warn: (fields) => { warnings.push(fields) } } })
    await Promise.all(['', 'P', 'PROXY TCP4', '\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c', '\r\n\r\n\0\r\nQUIT\n\x21\x11'].map(async (said) => {
      const { socket } = await rawTcp(port)
      socket.write(Buffer.from(said, 'latin1'))
      await ended(socket)
      socket.destroy()
    }))
    const silentOne = await rawTcp(port)
    silentOne.socket.end()
    await ended(silentOne.socket)
    const reset = await rawTcp(port)
    await until(() => limiter.stats.admitted === 7)
    reset.reset()
    await until(() => limiter.stats.connections === 0)
    t.same(warnings, [], 'which is nothing to tell of')
    t.ok(await greet(t, subject, await subject.dial(port), incoming), 'others are unharmed')
  })

  t.test(`${subject.name}: the end of the listener ends those that have not said who they are`, async (t) => {
    const { listener, port, incoming } = await start(t)
    const [silentOne, slow] = [await rawTcp(port), await rawTcp(port)]
    slow.socket.write('PROXY ')
    const going = await subject.dial(port, { header: headers[0][1] })
    const link = await greet(t, subject, going, incoming)
    listener.close()
    await Promise.all([ended(silentOne.socket), ended(slow.socket)])
    silentOne.socket.destroy()
    slow.socket.destroy()
    going.socket.write(words(subject.name).hello)
    t.equal((await first(link.source)).toString(), 'hello', 'those that have go on')
  })

  t.test(`${subject.name}: the bound of a source is for those behind the proxy`, async (t) => {
    const limiter = new ConnectionLimiter({ maxPerSource: 2 })
    const { port, incoming } = await start(t, { limiter })
    const dial = (source: string): Promise<RawClient> => subject.dial(port, { header: proxyV2({ host: source, port: 1 }) })
    const one = await dial('192.0.2.1')
    const link = await greet(t, subject, one, incoming)
    t.equal(link.slot?.source, '192.0.2.1')
    await greet(t, subject, await dial('192.0.2.1'), incoming)
    const third = await rawTcp(port)
    third.socket.write(proxyV2({ host: '192.0.2.1', port: 1 }))
    await ended(third.socket)
    t.equal(limiter.stats.rejected.source, 1)
    await greet(t, subject, await dial('192.0.2.2'), incoming)
    for (let i = 0; i < 5; i++) await greet(t, subject, await dial('10.0.0.5'), incoming) // a trusted proxy behind the trusted proxy
    for (let i = 0; i < 5; i++) await greet(t, subject, await subject.dial(port), incoming) // the proxy itself
    await until(() => limiter.stats.connections === 13)
    one.reset()
    await drain(link.source)
    await until(() => limiter.stats.connections === 12)
    t.ok(await greet(t, subject, await dial('192.0.2.1'), incoming), 'who leaves makes room')
  })

  t.test(`${subject.name}: proxies and times that cannot be`, async (t) => {
    for (const bad of ['', 'localhost', '10.0.0.0/33', '2001:db8::/129', '10.0.0', '10.0.0.0/8/8', '*']) {
      t.throws(() => subject.listen({ host, port: 0, trustedProxies: ['127.0.0.1', bad] }), { code: 'ERR_OPTION' }, JSON.stringify(bad))
    }
    for (const handshakeTimeout of [0, -1, NaN, Infinity]) {
      t.throws(() => subject.listen({ host, port: 0, trustedProxies: TRUSTED, handshakeTimeout }), { code: 'ERR_OPTION' }, `${handshakeTimeout}`)
      t.throws(() => subject.listen({ host, port: 0, handshakeTimeout }), { code: 'ERR_OPTION' }, `${handshakeTimeout}, without proxies`)
    }
  })

  if (!subject.name.startsWith('ws')) continue

  t.test(`${subject.name}: X-Forwarded-For`, async (t) => {
    const { port, incoming } = await start(t)
    for (const [header, forwarded, expected] of [
      ['', '192.0.2.1', '192.0.2.1 0'],
      ['', '198.51.100.1, 192.0.2.1:77, 10.0.0.7', '192.0.2.1 77'],
      ['', 'unknown', '127.0.0.1'],
      ['', '192.0.2.1, , 10.0.0.7', '10.0.0.7 0'],
      ['10.0.0.5', '2001:db8::1', '2001:db8::1 0'],
      ['10.0.0.5', 'garbage', '10.0.0.5 7'],
      ['10.0.0.5', undefined, '10.0.0.5 7'],
      ['192.0.2.9', '192.0.2.1', '192.0.2.9 7']
    ] as const) {
      const client = await subject.connect(port, { header: header === '' ? Buffer.alloc(0) : proxyV2({ host: header, port: 7 }) })
      await upgrade(client, forwarded === undefined ? {} : { 'X-Forwarded-For': forwarded })
      const { remote } = await greet(t, subject, client, incoming)
      t.ok(`${remote.host} ${remote.port}`.startsWith(expected), `${header} ${forwarded}: ${remote.host} ${remote.port}`)
    }
    const several = await subject.connect(port)
    several.socket.write(upgradeRequest({ 'X-Forwarded-For': '192.0.2.1', 'x-forwarded-for': '192.0.2.2' }))
    await readHead(several.socket)
    t.equal((await greet(t, subject, several, incoming)).remote.host, '192.0.2.2', 'the last of several headers')
    const liar = await upgrade(await subject.connect(port, { localAddress: '127.0.0.3' }), { 'X-Forwarded-For': '192.0.2.1' })
    t.equal((await greet(t, subject, liar, incoming)).remote.host, '127.0.0.3', 'of one who is not trusted')
  })

  t.test(`${subject.name}: a source that has too many gets 503`, async (t) => {
    const limiter = new ConnectionLimiter({ maxPerSource: 1 })
    const { port, incoming } = await start(t, { limiter })
    const dial = async (source: string): Promise<RawClient> => upgrade(await subject.connect(port), { 'X-Forwarded-For': source })
    const one = await dial('2001:db8::1')
    const link = await greet(t, subject, one, incoming)
    const { socket } = await subject.connect(port)
    socket.write(upgradeRequest({ 'X-Forwarded-For': '2001:db8::2' }))
    const { head } = await readHead(socket)
    t.match(head, /^HTTP\/1\.1 503 /)
    await ended(socket)
    socket.destroy()
    await until(() => limiter.stats.connections === 1)
    t.ok(await greet(t, subject, await dial('2001:db8:0:1::2'), incoming), 'others are let in')
    one.reset()
    await drain(link.source)
    await until(() => limiter.stats.connections === 1)
    t.ok(await greet(t, subject, await dial('2001:db8::3'), incoming), 'who leaves makes room')
  })
}

t.test('IPv4 on a socket of IPv6', async (t) => {
  const listener = listenTcp({ host: '::', port: 0, trustedProxies: ['127.0.0.1'] })
  t.teardown(listener.close)
  const port = await listener.port().catch((err) => { t.match(err.code, /^(EADDRNOTAVAIL|EAFNOSUPPORT)$/) })
  if (port === undefined) return
  const incoming = listener[Symbol.asyncIterator]()
  const proxy = await rawTcp(port, { header: proxyV2({ host: '192.0.2.1', port: 1 }) })
  proxy.socket.write('hello')
  t.same((await accept(t, incoming)).remote, { host: '192.0.2.1', port: 1 }, '::ffff:127.0.0.1 is 127.0.0.1')
  const other = await rawTcp(port, { localAddress: '127.0.0.2' })
  t.equal((await accept(t, incoming)).remote.host, '::ffff:127.0.0.2', 'as the system has it')
  proxy.reset()
  other.reset()
})

t.test('reading a header: every chunk size, and the end of the other side behind it', async (t) => {
  const wire = Buffer.concat([proxyV2({ host: '192.0.2.1', port: 80 }), Buffer.from('hello')])
  for (const end of [false, true]) {
    for (let size = 1; size <= wire.length; size++) {
      const socket = new Duplex({ read () {} })
      const listeners = (): number[] => ['readable', 'close', 'end'].map((event) => socket.listenerCount(event))
      const before = listeners()
      const outcome = new Promise((resolve) => {
        readProxyHeader(socket as Socket, 10_000, (outcome) => {
          t.same(listeners(), before)
          resolve(outcome)
        })
      })
      for (let at = 0; at < wire.length; at += size) {
        socket.push(wire.subarray(at, at + size))
        if (at % 3 === 0) await new Promise((resolve) => { setImmediate(resolve) })
      }
      if (end) socket.push(null)
      t.strictSame(await outcome, { length: 28, source: { host: '192.0.2.1', port: 80 } })
      if (!end) socket.push(null)
      const rest: Buffer[] = []
      for await (const bytes of socket) rest.push(bytes)
      t.equal(Buffer.concat(rest).toString(), 'hello', `${size} bytes${end ? ', then the end' : ''}`)
    }
  }
})

t.test('under TLS a connection with the ends of an older one replaces it', async (t) => {
  const served: Socket[] = []
  const target = createTlsServer().removeAllListeners('connection').on('connection', (socket: Socket) => { served.push(socket) })
  const limiter = new ConnectionLimiter()
  const guard = connectionGuard({ limiter })
  guard.protect(target)
  const fake = (): Socket => Object.assign(new Duplex({ read () {} }), { remoteAddress: '192.0.2.1', remotePort: 1, localAddress: '192.0.2.2', localPort: 2 }) as unknown as Socket
  const [older, newer] = [fake(), fake()]
  target.emit('connection', older)
  target.emit('connection', newer)
  t.same(served, [older, newer])
  t.ok(older.destroyed)
  await once(older, 'close')
  t.match(guard.claim(newer), { remote: { host: '192.0.2.1', port: 1 } }, 'the end of the older one takes nothing from the newer')
  t.equal(guard.claim(newer), undefined, 'once only')
  t.equal(limiter.stats.connections, 1)
  const gone = Object.assign(fake(), { remoteAddress: undefined })
  target.emit('connection', gone)
  t.ok(gone.destroyed, 'one without an address has ended already')
  newer.destroy()
  await once(newer, 'close')
  t.equal(limiter.stats.connections, 0)
})
