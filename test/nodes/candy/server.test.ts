/** A relay on a port: what it listens on, and real peers on real sockets. */
import { once } from 'node:events'
import { networkInterfaces } from 'node:os'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { serveCandy, type CandyServer, type CandyServerInit } from '../../../src/nodes/candy/index.ts'
import { OptionError } from '../../../src/errors.ts'
import { dialWebSocket } from '../../../src/transports/websocket.ts'
import { CloseCode } from '../../../src/transforms/websocket-frames/index.ts'
import { ca, cert, key } from '../../helpers/certificates.ts'
import { CandyClient, forward, PASSWORD } from '../../helpers/candy/client.ts'
import { failureOf, turn, until } from '../../helpers/ends.ts'
import { rawTcp, readHead, upgradeRequest } from '../../helpers/raw-sockets.ts'
import { toHex } from '../../helpers/bytes.ts'
import { handles, startPeer } from '../../helpers/candy/scripted-server.ts'

const ipv6 = Object.values(networkInterfaces()).flat().some((found) => found?.address === '::1')

async function serve (t: Test, init: Partial<CandyServerInit> = {}): Promise<CandyServer> {
  const server = await serveCandy({ listen: 'ws://127.0.0.1:0', password: PASSWORD, dhcp: '10.77.0.0/24', ...init })
  t.teardown(() => server.close())
  return server
}

const portOf = ({ url }: CandyServer): number => Number(/:(\d+)$/.exec(url)?.[1])

/** A bare client over a real socket. */
async function client (t: Test, server: CandyServer, init = {}): Promise<CandyClient> {
  const link = await dialWebSocket(server.url, init)
  t.teardown(() => { link.abort(new Error('the test is over')) })
  return new CandyClient(link)
}

t.test('the URL has the port that is in use', async (t) => {
  for (const listen of ['ws://127.0.0.1:0', 'WS://localhost:0/', 'ws://0.0.0.0:0']) {
    const server = await serve(t, { listen })
    t.match(server.url, /^ws:\/\/[^/:]+:[1-9]\d*$/, listen)
    t.not(portOf(server), 443)
  }
})

t.test('IPv6', { skip: ipv6 ? false : 'no IPv6 here' }, async (t) => {
  const server = await serve(t, { listen: 'ws://[::1]:0' })
  t.match(server.url, /^ws:\/\/\[::1\]:\d+$/)
  const { peer } = startPeer(t, { url: server.url })
  await once(peer, 'online')
  await peer.close()
})

t.test('URLs and options that cannot work', async (t) => {
  await until(() => handles() === '')
  for (const bad of [
    { listen: '' },
    { listen: 'http://127.0.0.1:0' },
    { listen: '127.0.0.1:0' },
    { listen: 'ws://' },
    { listen: 'ws://:80' },
    { listen: 'ws://127.0.0.1:65536' },
    { listen: 'ws://127.0.0.1:123456' },
    { listen: 'ws://127.0.0.1:-1' },
    { listen: 'ws://127.0.0.1:0/path' },
    { listen: 'ws://127.0.0.1:0?query' },
    { listen: 'ws://::1:0' },
    { listen: 'ws://[127.0.0.1:0' },
    { listen: 'ws://user@127.0.0.1:0' },
    { listen: 'ws://127.0.0.1 :0' },
    { listen: 'wss://127.0.0.1:0' },
    { tls: { cert, key } },
    { dhcp: '10.77.0.0' },
    { dhcp: '10.77.0.0/31' },
    { sdwan: 'nonsense' },
    { password: undefined as unknown as string }
  ]) {
    t.ok(await failureOf(serve(t, bad)) instanceof OptionError, JSON.stringify(bad))
  }
  t.match(await failureOf(serve(t, { listen: 'wss://127.0.0.1:0', tls: { cert, key: 'no key' } })), { message: /PEM|DECODER|no start line/i })
  t.equal(handles(), '')
})

t.test('a port that is taken, and a host that is none', async (t) => {
  const server = await serve(t)
  t.match(await failureOf(serve(t, { listen: server.url })), { code: 'EADDRINUSE' })
  t.match(await failureOf(serve(t, { listen: 'ws://203.0.113.1:0' })), { code: 'EADDRNOTAVAIL' })
  const { peer } = startPeer(t, { url: server.url })
  await once(peer, 'online') // the one that has it goes on
  await peer.close()
})

t.test('a request that is no WebSocket gets 403', async (t) => {
  for (const [init, scheme] of [[{}, 'http'], [{ listen: 'wss://127.0.0.1:0', tls: { cert, key } }, 'https']] as const) {
    const server = await serve(t, init)
    if (scheme === 'http') {
      const response = await fetch(`http://127.0.0.1:${portOf(server)}/any/path`)
      t.equal(response.status, 403)
      t.equal(response.headers.get('content-length'), '0')
      await response.arrayBuffer()
    }
    const link = await client(t, server, { ca })
    t.equal(await link.dhcp(), '10.77.0.1/24', 'others are served')
  }
})

t.test('the answer to an upgrade has the one token that existing clients want', async (t) => {
  const server = await serve(t)
  for (const path of ['/', '/alice/home?x=1']) {
    const { socket } = await rawTcp(portOf(server))
    t.teardown(() => { socket.destroy() })
    socket.write(upgradeRequest({}, path))
    const { head } = await readHead(socket)
    t.match(head, /^HTTP\/1\.1 101 /)
    t.match(head, /^connection: upgrade$/im)
    t.match(head, /^sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=$/im)
    t.notMatch(head, /extensions|protocol:/i)
  }
})

t.test('close ends everybody with 1001 and settles', async (t) => {
  const server = await serve(t)
  const peers = [1, 2, 3].map(() => startPeer(t, { url: server.url }))
  await Promise.all(peers.map(({ peer }) => once(peer, 'online')))
  const foreign = new WebSocket(server.url)
  await once(foreign, 'open')
  const closed = once(foreign, 'close')
  const offline = peers.map(({ peer }) => once(peer, 'offline'))
  await Promise.all([server.close(), server.close()])
  t.match(server.relay.stats, { connections: 0, peers: 0 })
  const [code, reason] = await closed
  t.same([code, reason.toString()], [CloseCode.GOING_AWAY, 'the relay is stopping'])
  await Promise.all(offline)
  await Promise.all(peers.map(({ peer }) => peer.close()))
  t.match(await failureOf(dialWebSocket(server.url)), { code: 'ECONNREFUSED' })
})

t.test('close settles for clients that do not answer, or have not finished their request', async (t) => {
  const server = await serve(t)
  const { socket: mute } = await rawTcp(portOf(server))
  mute.write(upgradeRequest())
  await readHead(mute)
  const { socket: slow } = await rawTcp(portOf(server))
  slow.write('GET / HTTP/1.1\r\n')
  const { socket: idle } = await rawTcp(portOf(server))
  await until(() => server.relay.stats.connections === 1)
  for (const socket of [mute, slow, idle]) socket.resume()
  for (const socket of [mute, slow, idle]) socket.on('error', () => {}) // a reset is an end
  const ends = [mute, slow, idle].map((socket) => new Promise((resolve) => { socket.once('close', resolve) }))
  for (const socket of [mute, slow, idle]) socket.on('end', () => { socket.end() })
  await server.close()
  await Promise.all(ends)
  await until(() => handles() === '')
})

t.test('changes come one after the other, and none after the end', async (t) => {
  const server = await serve(t)
  const init = { password: PASSWORD, dhcp: '10.77.0.0/24' }
  const first = server.url
  const [a, b] = [server.configure({ ...init, listen: 'ws://127.0.0.2:0' }), server.configure({ ...init, listen: 'ws://127.0.0.3:0' })]
  await a
  const between = server.url
  await b
  const last = server.url
  t.match([between, last], [/127\.0\.0\.2/, /127\.0\.0\.3/])
  for (const url of [first, between]) t.match(await failureOf(dialWebSocket(url)), { code: 'ECONNREFUSED' })
  const link = await dialWebSocket(last)
  link.abort(new Error('enough'))
  const changing = server.configure({ ...init, listen: 'ws://127.0.0.4:0' })
  await turn() // it has begun
  const late = failureOf(server.configure({ ...init, listen: 'ws://127.0.0.5:0' }))
  await server.close()
  await changing
  t.match(await late, { code: 'ERR_LINK_CLOSED' })
  for (const url of [last, server.url]) t.match(await failureOf(dialWebSocket(url)), { code: 'ECONNREFUSED' })
  t.match(await failureOf(server.configure({ ...init, listen: 'ws://127.0.0.5:0' })), { code: 'ERR_LINK_CLOSED' })
})

t.test('a change of where it listens that fails leaves everything as it was', async (t) => {
  const [server, other] = [await serve(t), await serve(t)]
  const init = { password: 'another', dhcp: '10.77.0.0/24' }
  const elsewhere = await serve(t, { listen: `ws://127.0.0.2:${portOf(server)}` })
  for (const change of [{ listen: elsewhere.url }, { listen: other.url }, { listen: 'ws://203.0.113.1:0' }, { listen: 'nonsense' }, { listen: 'wss://127.0.0.1:0' }, { listen: server.url, trustedProxies: ['x'] }, { listen: server.url, maxPerSource: 0 }]) {
    await t.rejects(server.configure({ ...init, ...change }), JSON.stringify(change))
    t.match(await (await client(t, server)).dhcp(), /^10\.77\.0\.\d+\/24$/, 'with the password that it had')
  }
})

t.test('two peers reach each other: ping and UDP', async (t) => {
  const server = await serve(t)
  const a = startPeer(t, { url: server.url }, { vmac: 'aaaaaaaaaaaaaaaa' })
  await once(a.peer, 'online')
  const b = startPeer(t, { url: server.url }, { vmac: 'bbbbbbbbbbbbbbbb' })
  await once(b.peer, 'online')
  t.same([a.peer.address, b.peer.address], ['10.77.0.1/24', '10.77.0.2/24'])
  await Promise.all([a.tun.ping('10.77.0.2'), b.tun.ping('10.77.0.1'), a.tun.ping('10.77.0.1')])
  await a.tun.ping('10.77.0.2', { size: 1000 })
  const [to, from] = [b.tun.udp(53), a.tun.udp(5353)]
  from.send({ address: '10.77.0.2', port: 53, data: Buffer.from('question') })
  const { value: questions } = await to[Symbol.asyncIterator]().next()
  t.match(questions, [{ address: '10.77.0.1', port: 5353, data: Buffer.from('question') }])
  to.send({ ...questions[0], data: Buffer.from('answer') })
  const { value: answers } = await from[Symbol.asyncIterator]().next()
  t.match(answers, [{ address: '10.77.0.2', port: 53, data: Buffer.from('answer') }])
  await Promise.all([a.peer.close(), b.peer.close()])
  await until(() => server.relay.stats.connections === 0)
})

t.test('a peer that was cut off takes its address back', async (t) => {
  const server = await serve(t, { takeover: 'same-device' })
  const first = await client(t, server)
  t.equal(await first.join('0123456789abcdef'), '10.77.0.1/24')
  const { peer } = startPeer(t, { url: server.url }, { remembered: '10.77.0.1/24' })
  t.same(await once(peer, 'online'), ['10.77.0.1/24'], 'while its old connection is still there')
  t.match(await first.closed, { code: CloseCode.POLICY_VIOLATION, reason: /newer connection/ })
  await peer.close()
})

t.test('case 23, over sockets: a message of 1500 bytes passes, one of 1501 does not', async (t) => {
  const server = await serve(t)
  const [a, b] = await Promise.all([client(t, server), client(t, server)])
  await a.login('10.77.0.1')
  await b.login('10.77.0.2')
  const full = forward('10.77.0.1', '10.77.0.2', 1479)
  a.send(full)
  t.equal(toHex(await b.next()), toHex(full))
  a.send(Buffer.concat([full, Buffer.alloc(1)]))
  t.match(await a.closed, { code: CloseCode.TOO_BIG })
  t.equal((await b.settled()).inbox.length, 0)
})

t.test('case 25, over sockets with another WebSocket library: its own pings and closing handshake', async (t) => {
  const server = await serve(t)
  const foreign = new WebSocket(server.url)
  await once(foreign, 'open')
  foreign.ping('candy::linux::6.1.8::h')
  t.equal((await once(foreign, 'pong'))[0].toString(), 'candy::linux::6.1.8::h')
  foreign.close(1000)
  t.equal((await once(foreign, 'close'))[0], 1000)
  await until(() => server.relay.stats.connections === 0)
})
