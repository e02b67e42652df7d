/** Connections through `relay gotunnel` and `peer gotunnel`: services that come and go, TLS, the PROXY protocol, modes, and the end. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { ca, cert, key } from '../../helpers/certificates.ts'
import { freePort, freePorts } from '../../helpers/free-ports.ts'
import { proxyV2Of } from '../../helpers/proxy-headers.ts'
import { startProgram } from '../../helpers/programs/program.ts'
import { ask, eventually, relayFile, startPeer, startRelay, tcpService, TOKEN, User } from '../../helpers/cli/gotunnel.ts'

t.test('a service that goes away and comes back', async (t) => {
  const service = await tcpService(t, 'a')
  const port = await freePort()
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const peer = startPeer(t, relay, ['--map', `${port}:${service.port}`, '--probe-interval', '1', '--json'])
  await peer.program.find(/"event":"online"/)
  await service.close()
  await peer.program.find(/\{"event":"service","protocol":"gotunnel","port":\d+,"state":"down"\}/)
  t.match((await eventually(() => relay.ask('status'), ({ services }) => services[0].identities[0].mapped[0].state === 'offline')).services, [{ ports: 1 }])
  t.match((await peer.status()).services, [{ maps: [{ state: 'online', service: 'down' }] }])
  await t.rejects(once(new User(t, port).socket, 'connect'), { code: 'ECONNREFUSED' }, 'nobody can connect meanwhile')
  await tcpService(t, 'b', service.port)
  await peer.program.find(/"state":"up"\}/)
  await eventually(() => relay.ask('status'), ({ services }) => services[0].identities[0].mapped[0].state === 'online')
  t.equal(await ask(port, 'x'), 'b:x')
})

t.test('TLS', async (t) => {
  const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key, 'ca.pem': ca })
  const service = await tcpService(t, 'a')
  const port = await freePort()
  const relay = startProgram(t, 'relay', ['gotunnel', '--listen', 'tls://127.0.0.1:0', '--bind', '127.0.0.1', '--token', TOKEN, '--tls-cert', 'cert.pem', '--tls-key', 'key.pem'], { cwd: folder })
  const [, server] = await relay.find(/^ready gotunnel tls:\/\/127\.0\.0\.1:(\d+)$/m)
  const at = { port: Number(server) }
  const doubtful = startPeer(t, at, ['--map', `${port}:${service.port}`, '--tls'])
  await doubtful.program.find(/^\[ERROR\]\[1001\] Failed to connect to server: .*certificate.*; a certificate of your own is trusted with --ca FILE .*$/m, 'stderr')
  doubtful.program.signal('SIGKILL')
  const open = startPeer(t, at, ['--map', `${port}:${service.port}`])
  await open.program.find(/the server speaks TLS: use TLS \(--tls\)/, 'stderr')
  open.program.signal('SIGKILL')
  for (const args of [['--tls', '--ca', join(folder, 'ca.pem')], ['--tls', '--insecure'], ['--server', `tls://127.0.0.1:${server}`, '--ca', join(folder, 'ca.pem'), '--mode', 'strict']]) {
    const peer = startPeer(t, at, ['--map', `${port}:${service.port}`, ...args])
    await peer.program.find(/^ready gotunnel/m)
    t.equal(await ask(port, 'x'), 'a:x', args.join(' '))
    peer.program.signal('SIGTERM')
    t.match(await peer.program.ended, { code: 0 })
  }
})

t.test('a service is told who its user is', async (t) => {
  const port = await freePort()
  const listener = createServer().listen(0, '127.0.0.1')
  t.teardown(() => { listener.close() })
  await once(listener, 'listening')
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const peer = startPeer(t, relay, ['--map', `${port}:${(listener.address() as AddressInfo).port}`, '--proxy-protocol', '--probe-interval', '0'])
  await peer.program.find(/^ready gotunnel/m)
  const user = new User(t, port)
  const [socket] = await once(listener, 'connection')
  const [header] = await once(socket, 'data')
  const { localPort = 0 } = user.socket
  const addresses = Buffer.of(127, 0, 0, 1, 127, 0, 0, 1, localPort >> 8, localPort & 0xff, port >> 8, port & 0xff)
  t.same(header.toString('hex'), proxyV2Of(0x21, 0x11, addresses).toString('hex'))
  socket.destroy()
})

t.test('modes', async (t) => {
  const service = await tcpService(t, 'a')
  const [first, second] = await freePorts(2)
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const compatible = startPeer(t, relay, ['--map', `${first}:${service.port}`, '--mode', 'compatible', '--json'])
  await compatible.program.find(/"mode":"compatible"/)
  t.equal(await ask(first, 'x'), 'a:x')
  const strict = startPeer(t, relay, ['--map', `${second}:${service.port}`, '--mode', 'strict', '--json'])
  await strict.program.find(/"event":"online".*"mode":"strict"/)
  t.match((await relay.ask('status')).services[0].identities[0].mapped.map(({ port, mode }: any) => [port, mode]), [[first, 'compatible'], [second, 'strict']].sort())
  const old = await startRelay(t, relayFile(`token: ${TOKEN}`, 'mode: compatible'))
  const { code, stderr } = await startPeer(t, old, ['--map', `${second}:${service.port}`, '--mode', 'strict']).program.ended
  t.equal(code, 1)
  t.match(stderr, /"msg":"the server has refused every port for good: the server does not offer strict mode; leave out --mode strict, or use a relay of tunpipe"/)
})

t.test('SIGTERM with users that are served and users that wait (T22)', async (t) => {
  const service = await tcpService(t, 'a')
  const [port, silent] = await freePorts(2)
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const peer = startPeer(t, relay, ['--map', `${port}:${service.port}`])
  await peer.program.find(/^ready gotunnel/m)
  const served = new User(t, port)
  await served.hear('a:')
  // A client that registers and then has no data connection for anybody.
  const body = Buffer.from(JSON.stringify({ type: 'register', local_port: 22, remote_port: silent, protocol: 'tcp', token: TOKEN, name: 'silent' }))
  const client = new User(t, relay.port)
  client.say(`${Buffer.of(0, 0, 0, body.length).toString('latin1')}${body.toString()}`)
  await once(client.socket, 'data')
  const waiting = new User(t, silent)
  const stranger = new User(t, relay.port) // says nothing at all
  await once(stranger.socket, 'connect')
  await eventually(() => relay.ask('status'), ({ services: [{ users, waiting, halfOpen }] }) => users === 2 && waiting === 1 && halfOpen >= 1)
  relay.program.signal('SIGTERM')
  t.match(await relay.program.ended, { code: 0 })
  await Promise.all([served.closed, waiting.closed])
  t.notMatch(relay.program.stderr, /could not drain|uncaught/)
  peer.program.signal('SIGTERM')
  t.match(await peer.program.ended, { code: 0 })
})

t.test('a peer that is stopped while its user is served', async (t) => {
  const service = await tcpService(t, 'a')
  const port = await freePort()
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const peer = startPeer(t, relay, ['--map', `${port}:${service.port}`])
  await peer.program.find(/^ready gotunnel/m)
  const user = new User(t, port)
  await user.hear('a:')
  peer.program.signal('SIGTERM')
  await peer.program.find(/"stopping"/, 'stderr')
  user.say('last words')
  await user.hear('a:last words')
  user.socket.end()
  t.match(await peer.program.ended, { code: 0 })
})
