/** Relays and peers of both protocols that meet another one than they speak. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { CandyPeer, serveCandy } from '../../src/nodes/candy/index.ts'
import { GotunnelPeer, serveGotunnel } from '../../src/nodes/gotunnel/index.ts'
import { userspaceTun } from '../../src/tun/index.ts'
import { sharedBindProblem } from '../../src/net/native/reuse-port.ts'
import type { Logger } from '../../src/log.ts'
import { ca, cert, key } from '../helpers/certificates.ts'
import { until } from '../helpers/ends.ts'
import { ended, rawTcp } from '../helpers/raw-sockets.ts'

const host = '127.0.0.1'
const SSH = 'SSH-2.0-OpenSSH_9.6\r\n'
const HTTP = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
const HELLO = Buffer.concat([Buffer.from('16030100c8010000c40303', 'hex'), Buffer.alloc(60)])

interface Line { level: 'info' | 'warn', fields: object, message: string }

function recorder (): { lines: Line[], log: Logger } {
  const lines: Line[] = []
  const line = (level: Line['level']) => (fields: object, message: string): void => { lines.push({ level, fields, message }) }
  return { lines, log: { debug () {}, info: line('info'), warn: line('warn'), error: line('warn') } }
}

const portOf = (url: string): number => Number(new URL(url.replace(/^(tcp|tls|ws|wss):/, 'http:')).port)

async function candyRelay (t: Test, init: { tls?: { cert: string, key: string }, workers?: number, log: Logger }) {
  const server = await serveCandy({ listen: `${init.tls === undefined ? 'ws' : 'wss'}://${host}:0`, password: 'x', ...init })
  t.teardown(() => server.close())
  return { port: portOf(server.url), refused: () => server.relay.stats.refused.protocol }
}

async function gotunnelRelay (t: Test, init: { tls?: { cert: string, key: string }, log: Logger }) {
  const server = await serveGotunnel({ listen: `${host}:0`, identities: [{ name: 'home', token: 'a-token-of-some-length', ports: '10000-20000' }], ...init })
  t.teardown(() => server.close())
  return { port: portOf(server.url), refused: () => server.relay.stats.refused.protocol }
}

t.test('each listener counts who speaks another protocol, and tells it in one line for each protocol', async (t) => {
  const both = await sharedBindProblem() === undefined
  const tls = { cert: cert.toString(), key: key.toString() }
  for (const [name, start, strangers] of [
    ['candy ws', async (log) => await candyRelay(t, { log }), [[HTTP, 'HTTP'], [HELLO, 'TLS'], [SSH, 'SSH']]],
    ['candy wss', async (log) => await candyRelay(t, { log, tls }), [[HTTP, 'HTTP'], [SSH, 'SSH']]],
    ...both ? [['candy ws, two workers', async (log: Logger) => await candyRelay(t, { log, workers: 2 }), [[HTTP, 'HTTP'], [HELLO, 'TLS'], [SSH, 'SSH']]]] : [],
    ['gotunnel tcp', async (log) => await gotunnelRelay(t, { log }), [[HTTP, 'HTTP'], [HELLO, 'TLS'], [SSH, 'SSH']]],
    ['gotunnel tls', async (log) => await gotunnelRelay(t, { log, tls }), [[HTTP, 'HTTP'], [SSH, 'SSH']]]
  ] as Array<[string, (log: Logger) => ReturnType<typeof candyRelay>, Array<[string | Buffer, string]>]>) {
    const { lines, log } = recorder()
    const { port, refused } = await start(log)
    for (let round = 1; round <= 3; round++) {
      for (const [bytes] of strangers) {
        const { socket } = await rawTcp(port)
        socket.write(bytes)
        await ended(socket)
      }
      await until(() => refused() === round * strangers.length)
    }
    const told = lines.filter(({ message }) => message === 'connection refused')
    t.equal(told.length, strangers.length, `${name}: one line for each, however many come`)
    for (const [i, [, protocol]] of strangers.entries()) {
      t.match(told[i], { level: 'warn', fields: { reason: 'protocol', detail: new RegExp(`^it speaks ${protocol}( \\(SSH-2\\.0-OpenSSH_9\\.6\\))?, expected `), remote: { host }, count: 1 } }, name)
    }
  }
})

async function reasonOfCandy (t: Test, url: string): Promise<string> {
  const tun = userspaceTun()
  const peer = new CandyPeer({ url, password: 'x', tun, ca: url.startsWith('wss:') ? ca.toString() : undefined })
  t.teardown(async () => {
    await peer.close()
    await tun.close()
  })
  peer.start()
  const [{ message: reason }] = await once(peer, 'offline') as [Error]
  t.equal(peer.status().reason, reason, 'status says the same')
  return reason
}

async function reasonOfGotunnel (t: Test, port: number, isTls: boolean): Promise<string> {
  const peer = new GotunnelPeer({ server: { host, port }, token: 'a-token-of-some-length', name: 'laptop', maps: [{ remotePort: 10_022, local: { host, port: 9 } }], tls: isTls, ca: isTls ? ca : undefined })
  t.teardown(() => peer.close())
  peer.start()
  const [, err] = await once(peer, 'offline')
  t.equal(peer.status().maps[0].reason, err.message, 'status says the same')
  return err.message
}

t.test('peers say what the server speaks, and what to try', async (t) => {
  const { log } = recorder()
  const tls = { cert: cert.toString(), key: key.toString() }
  const [ws, wss, tcp, secure] = [await candyRelay(t, { log }), await candyRelay(t, { log, tls }), await gotunnelRelay(t, { log }), await gotunnelRelay(t, { log, tls })]
  const ssh = createServer((socket) => { socket.on('error', () => {}).end(SSH) }).listen(0, host)
  await once(ssh, 'listening')
  t.teardown(() => { ssh.close() })
  const sshPort = (ssh.address() as AddressInfo).port

  t.equal(await reasonOfCandy(t, `ws://${host}:${wss.port}/`), 'the server speaks TLS: try wss://')
  t.equal(await reasonOfCandy(t, `wss://${host}:${ws.port}/`), 'the server speaks HTTP, not TLS: try ws://')
  t.equal(await reasonOfCandy(t, `ws://${host}:${sshPort}/`), 'the server speaks SSH (SSH-2.0-OpenSSH_9.6), not WebSocket')
  t.match(await reasonOfCandy(t, `ws://${host}:${tcp.port}/`), /^the server has ended the connection without an answer: perhaps it speaks TLS \(then try wss:\/\/\) or is no WebSocket server$/)
  t.equal(await reasonOfCandy(t, `ws://${host}:${secure.port}/`), 'the server speaks TLS: try wss://')

  t.equal(await reasonOfGotunnel(t, ws.port, false), 'the server speaks HTTP, not gotunnel')
  t.equal(await reasonOfGotunnel(t, sshPort, false), 'the server speaks SSH (SSH-2.0-OpenSSH_9.6), not gotunnel')
  t.equal(await reasonOfGotunnel(t, secure.port, false), 'the server speaks TLS: use TLS (--tls)')
  t.equal(await reasonOfGotunnel(t, wss.port, false), 'the server speaks TLS: use TLS (--tls)')
  t.equal(await reasonOfGotunnel(t, ws.port, true), 'the server speaks HTTP, not TLS')
  t.match(await reasonOfGotunnel(t, tcp.port, true), /^the server has ended the connection during the TLS handshake: perhaps it does not speak TLS \(then leave out TLS/)
  t.equal(await reasonOfGotunnel(t, wss.port, true), 'the server speaks HTTP, not gotunnel', 'within TLS')
})
