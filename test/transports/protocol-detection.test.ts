/** Another protocol than the one that was expected: recognised by its first bytes, at listeners and by those who dial. */
import { EventEmitter, once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import { ca, cert, key } from '../helpers/certificates.ts'
import { failureOf, until } from '../helpers/ends.ts'
import { ended, rawTcp, upgradeRequest } from '../helpers/raw-sockets.ts'
import { dialTls, dialWebSocket, ConnectionLimiter, listenTls, listenWebSocket, detectProtocol, protocolText, type ProtocolMismatch } from '../../src/transports/index.ts'
import { encodeProxyHeader } from '../../src/transports/proxy-header.ts'
import type { Link, Listener } from '../../src/types.ts'

const host = '127.0.0.1'
const HELLO = Buffer.from('16030100c8010000c40303', 'hex')
const GOTUNNEL = Buffer.concat([Buffer.from([0, 0, 0, 19]), Buffer.from('{"type":"register"}')])
const SSH = 'SSH-2.0-OpenSSH_9.6p1 Debian-4\r\n'

t.test('first bytes are recognised, also by the few of a length', async (t) => {
  for (const [bytes, text] of [
    [HELLO, 'TLS'],
    [HELLO.subarray(0, 4), 'TLS'],
    [Buffer.from('15030300020228', 'hex'), 'TLS'],
    ['GET / HTTP/1.1\r\n', 'HTTP'],
    ['GET ', 'HTTP'],
    ['HTTP/1.1 400 Bad Request\r\n', 'HTTP'],
    ['HTTP', 'HTTP'],
    [SSH, 'SSH (SSH-2.0-OpenSSH_9.6p1 Debian-4)'],
    ['PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n', 'the PROXY protocol'],
    [encodeProxyHeader({ host: '192.0.2.1', port: 1 }, { host: '192.0.2.2', port: 2 }), 'the PROXY protocol'],
    [GOTUNNEL, 'gotunnel'],
    [Buffer.from('828500000000', 'hex'), 'WebSocket without its HTTP request'],
    ['220 mail.example ESMTP\r\nmore', 'plain text (220 mail.example ESMTP)'],
    [`SSH-2.0-\x1b[2J\x9b${'x'.repeat(500)}`, /^SSH \(SSH-2\.0-\\x1b\[2J\\x9bx+\.\.\.\)$/],
    [Buffer.from('00ff00ff01', 'hex'), 'an unknown protocol (first bytes 00ff00ff)'],
    ['', 'an unknown protocol (first bytes )']
  ] as Array<[string | Buffer, string | RegExp]>) {
    const told = protocolText(detectProtocol(typeof bytes === 'string' ? Buffer.from(bytes, 'latin1') : bytes))
    if (typeof text === 'string') t.equal(told, text)
    else t.match(told, text)
  }
})

type Listen = (onProtocolMismatch: (mismatch: ProtocolMismatch) => void, limiter?: ConnectionLimiter) => Listener<Link>

const LISTENERS: Record<'ws' | 'wss' | 'tls', Listen> = {
  ws: (onProtocolMismatch, limiter) => listenWebSocket({ host, port: 0, onProtocolMismatch, limiter }),
  wss: (onProtocolMismatch, limiter) => listenWebSocket({ host, port: 0, tls: { cert, key }, onProtocolMismatch, limiter }),
  tls: (onProtocolMismatch, limiter) => listenTls({ host, port: 0, cert, key, onProtocolMismatch, limiter })
}

async function listening (t: Test, listen: Listen, limiter?: ConnectionLimiter) {
  const told = new EventEmitter()
  const foreigners: string[] = []
  const listener = listen(({ detected, remote }) => {
    t.match(remote, { host, port: Number })
    foreigners.push(protocolText(detected))
    told.emit('foreigner')
  }, limiter)
  const links: Link[] = []
  void (async () => { for await (const link of listener) links.push(link) })()
  t.teardown(() => {
    for (const link of links) link.abort(new Error('the test is over'))
    listener.close()
  })
  return { port: await listener.port(), foreigners, links, told }
}

t.test('listeners tell what strangers speak, end them, and go on', async (t) => {
  const get = upgradeRequest({ Upgrade: 'h2c' })
  for (const [name, strangers] of [
    ['ws', [[HELLO, 'TLS'], [SSH, 'SSH (SSH-2.0-OpenSSH_9.6p1 Debian-4)'], [GOTUNNEL, 'gotunnel'], ['GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', 'HTTP'], [get, 'HTTP']]],
    ['wss', [[upgradeRequest(), 'HTTP'], [SSH, 'SSH (SSH-2.0-OpenSSH_9.6p1 Debian-4)'], [GOTUNNEL, 'gotunnel']]],
    ['tls', [['GET / HTTP/1.1\r\n\r\n', 'HTTP'], [SSH, 'SSH (SSH-2.0-OpenSSH_9.6p1 Debian-4)'], [GOTUNNEL, 'gotunnel']]]
  ] as Array<[keyof typeof LISTENERS, Array<[string | Buffer, string]>]>) {
    const limiter = new ConnectionLimiter()
    const { port, foreigners, links } = await listening(t, LISTENERS[name], limiter)
    for (const [bytes] of strangers) {
      const { socket } = await rawTcp(port)
      socket.write(bytes)
      await ended(socket)
    }
    t.same(foreigners, strangers.map(([, text]) => text), name)
    t.equal(links.length, 0)
    const client = name === 'tls' ? await dialTls({ host, port, ca }) : await dialWebSocket(`${name}://${host}:${port}/`, { ca })
    client.abort(new Error('seen'))
    t.same(foreigners.length, strangers.length, 'whoever speaks as expected is none')
  }
})

t.test('a plain client of a TLS port is answered with an alert of TLS', async (t) => {
  const { port } = await listening(t, LISTENERS.tls)
  const { socket } = await rawTcp(port)
  socket.write(GOTUNNEL)
  const bytes: Buffer[] = []
  socket.on('data', (part: Buffer) => { bytes.push(part) })
  await ended(socket)
  t.equal(Buffer.concat(bytes).toString('hex'), '15030100020246')
})

t.test('TLS goes through the look at its first bytes, also byte by byte', async (t) => {
  const { port, foreigners, links } = await listening(t, LISTENERS.tls)
  const { socket } = await rawTcp(port, { chunk: 1 })
  const secure = connectTls({ socket, ca, servername: 'localhost' })
  await once(secure, 'secureConnect')
  await until(() => links.length === 1)
  secure.destroy()
  t.same(foreigners, [])
})

t.test('one that says nothing to a TLS port is ended in time, and is no stranger', async (t) => {
  const { port, foreigners } = await listening(t, (onProtocolMismatch) => listenTls({ host, port: 0, cert, key, onProtocolMismatch, handshakeTimeout: 20 }))
  const { socket } = await rawTcp(port)
  await ended(socket)
  t.same(foreigners, [])
})

/** A server that says this, at once or when something has come. */
async function speaking (t: Test, bytes: string | Buffer, isFirst: boolean): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    if (isFirst) socket.end(bytes)
    else socket.once('data', () => { socket.end(bytes) })
  }).listen(0, host)
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

t.test('who dials is told what the server speaks, and what to try', async (t) => {
  const bad = 'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n'
  for (const [scheme, bytes, isFirst, message] of [
    ['ws', Buffer.from('15030100020246', 'hex'), false, 'the server speaks TLS: try wss://'],
    ['ws', SSH, true, 'the server speaks SSH (SSH-2.0-OpenSSH_9.6p1 Debian-4), not WebSocket'],
    ['ws', '220 mail.example ESMTP\r\n', true, 'the server speaks plain text (220 mail.example ESMTP), not WebSocket'],
    ['ws', '', false, 'the server has ended the connection without an answer: perhaps it speaks TLS (then try wss://) or is no WebSocket server'],
    ['ws', bad, false, 'the server speaks HTTP, but not WebSocket at this URL: status 400 (as of servers that want TLS: try wss://)'],
    ['ws', bad.replace('400', '404'), false, 'the server speaks HTTP, but not WebSocket at this URL: status 404'],
    ['wss', bad, false, 'the server speaks HTTP, not TLS: try ws://'],
    ['wss', SSH, true, 'the server speaks SSH (SSH-2.0-OpenSSH_9.6p1 Debian-4), not TLS'],
    ['wss', '220 mail.example ESMTP\r\n', true, 'the server speaks plain text (220 mail.example ESMTP), not TLS'],
    ['wss', GOTUNNEL, true, 'the server speaks gotunnel, not TLS'],
    ['wss', Buffer.from('00ff00ff01', 'hex'), true, 'the server speaks an unknown protocol (first bytes 00ff00ff), not TLS: try ws://'],
    ['wss', '', false, 'the server has ended the connection during the TLS handshake: perhaps it does not speak TLS (then try ws://)']
  ] as Array<['ws' | 'wss', string | Buffer, boolean, string]>) {
    const port = await speaking(t, bytes, isFirst)
    t.match(await failureOf(dialWebSocket(`${scheme}://${host}:${port}/`, { ca })), { message })
  }
})

t.test('a server that answers TLS with something else once, and is silent or gone when it is asked again', async (t) => {
  for (const isGone of [false, true]) {
    let count = 0
    const server = createServer((socket) => {
      socket.on('error', () => {})
      if (++count === 1) socket.end(SSH)
      else if (isGone) socket.destroy()
      else t.teardown(() => { socket.destroy() })
    }).listen(0, host)
    await once(server, 'listening')
    t.teardown(() => { server.close() })
    const { port } = server.address() as AddressInfo
    t.match(await failureOf(dialWebSocket(`wss://${host}:${port}/`, { ca })), { message: 'the server speaks plain text, not TLS: try ws://', code: 'ERR_FOREIGN_PROTOCOL' })
    t.equal(count, 2)
  }
})

t.test('our own listeners are recognised by who dials with the wrong scheme', async (t) => {
  const plain = await listening(t, LISTENERS.ws)
  t.match(await failureOf(dialWebSocket(`wss://${host}:${plain.port}/`, { ca })), { message: 'the server speaks HTTP, not TLS: try ws://', code: 'ERR_FOREIGN_PROTOCOL' })
  t.same(plain.foreigners, ['TLS', 'TLS'], 'it was asked again, as TLS does not show what it has said')
  const secure = await listening(t, LISTENERS.wss)
  t.match(await failureOf(dialWebSocket(`ws://${host}:${secure.port}/`)), { message: 'the server speaks TLS: try wss://', code: 'ERR_FOREIGN_PROTOCOL' })
  t.same(secure.foreigners, ['HTTP'])
})
