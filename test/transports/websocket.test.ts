import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { hex, toHex } from '../helpers/bytes.ts'
import { accept, drain, endsWith, failureOf, first, hear, listening, texts, turn } from '../helpers/ends.ts'
import { ended, rawTcp, readHead, upgrade, upgradeRequest } from '../helpers/raw-sockets.ts'
import { dialWebSocket, listenWebSocket, type ListenWebSocketInit } from '../../src/transports/index.ts'

const host = '127.0.0.1'

const start = (t: Test, init: Partial<ListenWebSocketInit> = {}) => listening(t, (at) => listenWebSocket({ ...at, ...init }))

/** A masked binary frame with a key of zeros. */
const frame = (payload: string): Buffer => Buffer.concat([hex('82'), Buffer.of(0x80 | payload.length), hex('00000000'), Buffer.from(payload)])

/** Sends a request; resolves with the head of the answer and what follows it. */
async function ask (t: Test, port: number, request: string | Buffer): Promise<{ head: string, rest: Buffer, socket: Socket }> {
  const { socket } = await rawTcp(port)
  t.teardown(() => { socket.destroy() })
  socket.write(request)
  return { ...await readHead(socket), socket }
}

const header = (head: string, name: string): string[] =>
  head.split('\r\n').slice(1).filter((line) => line.toLowerCase().startsWith(`${name}:`)).map((line) => line.slice(name.length + 1).trim())

t.test('the answer to an upgrade', async (t) => {
  const { port, incoming } = await start(t)
  const { head, rest } = await ask(t, port, upgradeRequest({}, '/network?x=1'))
  const server = await accept(t, incoming)
  t.match(head, /^HTTP\/1\.1 101 /)
  t.same(header(head, 'connection'), ['Upgrade'], 'one token, as some clients demand')
  t.same(header(head, 'upgrade'), ['websocket'])
  t.same(header(head, 'sec-websocket-accept'), ['s3pPLMBiTxaQ9kYGzzhZRbK+xOo='], 'RFC 6455 section 1.3')
  t.same(header(head, 'sec-websocket-extensions'), [])
  t.equal(rest.length, 0)
  t.equal(server.path, '/network?x=1')
  t.equal(server.remote.host, host)
})

t.test('extensions and protocols that a client offers are not taken', async (t) => {
  const { port, incoming } = await start(t)
  const { head } = await ask(t, port, upgradeRequest({ 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits' }))
  await accept(t, incoming)
  t.match(head, /^HTTP\/1\.1 101 /)
  t.same(header(head, 'sec-websocket-extensions'), [])
})

t.test('a Connection header of several tokens is taken', async (t) => {
  const { port, incoming } = await start(t)
  const { head } = await ask(t, port, upgradeRequest({ Connection: 'keep-alive, Upgrade' }))
  await accept(t, incoming)
  t.match(head, /^HTTP\/1\.1 101 /)
  t.same(header(head, 'connection'), ['Upgrade'])
})

t.test('frames that come with the request are not lost', async (t) => {
  const { port, incoming } = await start(t)
  for (const early of [frame('one'), Buffer.concat([frame('one'), frame('two')]), frame('one').subarray(0, 4)]) {
    const { socket } = await ask(t, port, Buffer.concat([Buffer.from(upgradeRequest()), early]))
    const server = await accept(t, incoming)
    await turn() // they wait for a reader that comes late
    const rest = Buffer.concat([frame('one'), frame('two'), frame('three')]).subarray(early.length)
    socket.write(rest)
    socket.end()
    const heard: string[] = []
    await failureOf((async () => {
      for await (const batch of server.source) heard.push(...batch.map((message) => Buffer.from(message).toString()))
    })())
    t.same(heard, ['one', 'two', 'three'], `${early.length} bytes`)
  }
})

t.test('frames that come with the answer are not lost', async (t) => {
  const server = createServer(async (socket) => {
    socket.on('error', () => {})
    const { head } = await readHead(socket)
    const { createHash } = await import('node:crypto')
    const accept = createHash('sha1').update(header(head, 'sec-websocket-key')[0] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11').digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n\x82\x03one\x82\x03two`, 'latin1')
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const link = endsWith(t, await dialWebSocket(`ws://${host}:${(server.address() as AddressInfo).port}/`))
  await turn()
  const { value } = await link.source[Symbol.asyncIterator]().next()
  t.same(value.map((message: Uint8Array) => Buffer.from(message).toString()), ['one', 'two'])
})

t.test('requests that are no upgrade', async (t) => {
  const { port, incoming } = await start(t)
  for (const request of [
    'GET / HTTP/1.1\r\nHost: x\r\n\r\n',
    'GET /any/path?and=query HTTP/1.1\r\nHost: x\r\n\r\n',
    'HEAD / HTTP/1.1\r\nHost: x\r\n\r\n',
    'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody',
    'GET / HTTP/1.0\r\n\r\n'
  ]) {
    const { head, rest, socket } = await ask(t, port, request)
    t.match(head, /^HTTP\/1\.1 403 Forbidden/, JSON.stringify(request))
    t.same(header(head, 'content-length'), ['0'])
    t.equal(rest.length, 0)
    await ended(socket)
  }
  await upgrade(await rawTcp(port))
  t.ok(await accept(t, incoming), 'others are unharmed')
})

t.test('upgrades that are refused', async (t) => {
  const { port, incoming } = await start(t)
  for (const [headers, status] of [
    [{ 'Sec-WebSocket-Key': 'short' }, 400],
    [{ 'Sec-WebSocket-Key': '' }, 400],
    [{ 'Sec-WebSocket-Version': '7' }, 400],
    [{ 'Sec-WebSocket-Version': '99' }, 400],
    [{ Upgrade: 'h2c' }, 400]
  ] as Array<[Record<string, string>, number]>) {
    const { head, socket } = await ask(t, port, upgradeRequest(headers))
    t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `), JSON.stringify(headers))
    await ended(socket)
  }
  const { head } = await ask(t, port, upgradeRequest().replace('GET', 'POST'))
  t.match(head, /^HTTP\/1\.1 40[05] /)
  await upgrade(await rawTcp(port))
  t.ok(await accept(t, incoming), 'others are unharmed')
})

t.test('what is no HTTP, and heads that are too long', async (t) => {
  const { port, incoming } = await start(t)
  const long = await ask(t, port, upgradeRequest({ 'X-Long': 'a'.repeat(9000) }))
  t.match(long.head, /^HTTP\/1\.1 431 /)
  await ended(long.socket)
  const endless = await rawTcp(port)
  endless.socket.write('GET / HTTP/1.1\r\n')
  const feed = setInterval(() => { endless.socket.write('a: b\r\n'.repeat(500)) }, 1)
  t.teardown(() => { clearInterval(feed) })
  await ended(endless.socket)
  clearInterval(feed)
  endless.socket.destroy()
  const { head, socket } = await ask(t, port, '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n')
  t.match(head, /^HTTP\/1\.1 400 /)
  await ended(socket)
  await upgrade(await rawTcp(port))
  t.ok(await accept(t, incoming), 'others are unharmed')
})

t.test('a request that never comes, or never ends', async (t) => {
  const { port, incoming } = await start(t, { handshakeTimeout: 1000 })
  const silent = await rawTcp(port)
  const slow = await rawTcp(port)
  slow.socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
  await Promise.all([ended(silent.socket), ended(slow.socket)])
  silent.socket.destroy()
  slow.socket.destroy()
  await upgrade(await rawTcp(port))
  t.ok(await accept(t, incoming), 'others are unharmed')
})

t.test('a request that was begun ends with its listener', async (t) => {
  const { listener, port, incoming } = await start(t)
  const silent = await rawTcp(port)
  const slow = await rawTcp(port)
  slow.socket.write('GET / HTTP/1.1\r\nHost: x\r\n')
  const going = await upgrade(await rawTcp(port))
  const server = await accept(t, incoming)
  listener.close()
  await Promise.all([ended(silent.socket), ended(slow.socket)])
  silent.socket.destroy()
  slow.socket.destroy()
  going.socket.write(frame('still here'))
  t.equal((await first(server.source)).toString(), 'still here')
  going.reset()
})

t.test('dialling what is no WebSocket server', async (t) => {
  const answers: Record<string, string> = {
    '/forbidden': 'HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n',
    '/moved': 'HTTP/1.1 302 Found\r\nLocation: /forbidden\r\nContent-Length: 0\r\n\r\n',
    '/page': 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi',
    '/wrong': 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n',
    '/noise': 'this is not HTTP\r\n\r\n',
    '/end': ''
  }
  const server = createServer(async (socket) => {
    socket.on('error', () => {})
    const { head } = await readHead(socket)
    socket.end(answers[head.split(' ')[1]])
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  for (const path of Object.keys(answers)) {
    const err = await failureOf(dialWebSocket(`ws://${host}:${(server.address() as AddressInfo).port}${path}`))
    t.match(err, { code: /^[A-Z_]+$/ }, path)
    if (path === '/forbidden') t.match(err, { name: 'UpgradeError', code: 'ERR_UPGRADE', message: /403/, status: 403 })
  }
})

t.test('a server that never answers, and one that dawdles', async (t) => {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.resume()
    const feed = setInterval(() => { socket.write('HTTP/1.1 101 Switching Protocols\r\n'.charAt(socket.bytesWritten)) }, 5)
    socket.on('close', () => { clearInterval(feed) })
  })
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const url = `ws://${host}:${(server.address() as AddressInfo).port}`
  t.match(await failureOf(dialWebSocket(url, { handshakeTimeout: 30 })), { code: 'ERR_UPGRADE_TIMEOUT' })
  const controller = new AbortController()
  const reason = new Error('boom')
  const dialling = failureOf(dialWebSocket(url, { signal: controller.signal }))
  const [socket] = await once(server, 'connection')
  controller.abort(reason)
  t.equal(await dialling, reason)
  await ended(socket)
  await t.rejects(dialWebSocket('no url'), { code: 'ERR_INVALID_URL' })
})

t.test('what a client asks for', async (t) => {
  const seen = new Promise<string>((resolve) => {
    const server = createServer(async (socket) => {
      socket.on('error', () => {})
      resolve((await readHead(socket)).head)
      socket.destroy()
    })
    server.listen(0, host, () => { void dialWebSocket(`ws://${host}:${(server.address() as AddressInfo).port}/a%20b?c=d`, { headers: { 'User-Agent': 'test' } }).catch(() => {}) })
    t.teardown(() => { server.close() })
  })
  const head = await seen
  t.match(head, /^GET \/a%20b\?c=d HTTP\/1\.1\r\n/)
  t.same(header(head, 'user-agent'), ['test'])
  t.same(header(head, 'sec-websocket-version'), ['13'])
  t.same(header(head, 'sec-websocket-extensions'), [])
  t.same(header(head, 'sec-websocket-protocol'), [])
})

t.test('limits and tolerances reach the frames', async (t) => {
  const { port, incoming } = await start(t, { frames: { maxPayload: 200, tolerate: { unmasked: true } } })
  const client = endsWith(t, await dialWebSocket(`ws://${host}:${port}`))
  const server = await accept(t, incoming)
  client.port.send([new Uint8Array(200), new Uint8Array(201)])
  t.equal((await first(server.source)).length, 200)
  const noticed = drain(client.source)
  t.match(await failureOf(hear(server.source)), { closeCode: 1009 })
  t.match(await noticed, { code: 'ERR_WEBSOCKET_CLOSED', closeCode: 1009 })

  const raw = await upgrade(await rawTcp(port))
  const lenient = await accept(t, incoming)
  raw.socket.write(hex('820161'))
  t.equal(toHex(await first(lenient.source)), '61')
  raw.reset()
})

t.test('IPv6', async (t) => {
  const listener = listenWebSocket({ host: '::1', port: 0 })
  t.teardown(() => { listener.close() })
  const port = await listener.port().catch((err) => { t.equal(err.code, 'EADDRNOTAVAIL') })
  if (port === undefined) return
  const client = endsWith(t, await dialWebSocket(`ws://[::1]:${port}/`))
  const server = await accept(t, listener[Symbol.asyncIterator]())
  client.port.send(texts('hello'))
  t.equal((await first(server.source)).toString(), 'hello')
  t.same(client.remote, { host: '::1', port })
})
