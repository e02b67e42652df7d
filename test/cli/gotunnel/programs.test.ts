/** `relay gotunnel` and `peer gotunnel` as their users run them. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { freePort, freePorts } from '../../helpers/free-ports.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'
import { ask, eventually, relayFile, startPeer, startRelay, tcpService, TOKEN } from '../../helpers/cli/gotunnel.ts'

const events = (stdout: string): any[] => stdout.trim().split('\n').map((line) => JSON.parse(line))

t.test('help', async (t) => {
  const [relay, peer] = await Promise.all([runProgram(t, 'relay', ['gotunnel', '--help']), runProgram(t, 'peer', ['gotunnel', '--help'])])
  t.match(relay, { code: 0, stderr: '', stdout: /^Usage: relay gotunnel .*Examples:\n {2}relay gotunnel --listen 0\.0\.0\.0:17000 .*Exit codes: /s })
  t.match(peer, { code: 0, stderr: '', stdout: /^Usage: peer gotunnel .*Examples:\n {2}peer gotunnel --server .*--map 10022:22.*Exit codes: /s })
})

t.test('users reach several services through both programs, and both end in an orderly way', async (t) => {
  const [a, b] = [await tcpService(t, 'a'), await tcpService(t, 'b')]
  const [first, second] = await freePorts(2)
  const relay = startProgram(t, 'relay', ['gotunnel', '--listen', '127.0.0.1:0', '--bind', '127.0.0.1', '--token', TOKEN, '--metrics', '0'])
  const [, port] = await relay.find(/^ready gotunnel tcp:\/\/127\.0\.0\.1:([1-9]\d*)$/m)
  const [, metrics] = await relay.find(/^ready metrics (.*)$/m)
  const peer = startPeer(t, { port: Number(port) }, ['--map', `${first}:${a.port}`, '--map', `tcp:${second}:localhost:${b.port}`, '--name', 'nas', '--metrics', '0'])
  await peer.program.find(new RegExp(`^ready gotunnel tcp://127\\.0\\.0\\.1:${first}$`, 'm'))
  await peer.program.find(new RegExp(`^ready gotunnel tcp://127\\.0\\.0\\.1:${second}$`, 'm'))
  const [, ownMetrics] = await peer.program.find(/^ready metrics (.*)$/m)
  t.equal(await ask(first, 'hello'), 'a:hello', 'and the end of one direction is not that of the other')
  t.equal(await ask(second, 'hello'), 'b:hello')
  const long = 'x'.repeat(1_000_000)
  t.equal((await ask(first, long)).length, 1_000_002)

  const read = async (url: string): Promise<string> => await (await fetch(`${url}/metrics`)).text()
  const numbers = await eventually(() => read(metrics), (text) => /^tunpipe_gotunnel_users\{identity="default"\} 0$/m.test(text))
  t.match(numbers, /^tunpipe_gotunnel_clients 2$/m)
  t.match(numbers, /^tunpipe_gotunnel_refused_total\{reason="token"\} 0$/m)
  t.match(numbers, /^tunpipe_gotunnel_ports\{identity="default"\} 2$/m)
  t.match(numbers, /^tunpipe_gotunnel_buffered_bytes\{identity="default"\} 0$/m)
  t.match(numbers, /^tunpipe_gotunnel_drops_total\{identity="default",reason="stalled"\} 0$/m)
  t.match(numbers, /^tunpipe_gotunnel_identity_turned_away_total\{identity="default",reason="source"\} 0$/m)
  t.match(numbers, /^tunpipe_gotunnel_bytes_in_total\{identity="default"\} 1000010$/m)
  t.match(numbers, new RegExp(`^tunpipe_gotunnel_port_bytes_out_total\\{identity="default",port="${second}"\\} 7$`, 'm'))
  t.match(numbers, new RegExp(`^tunpipe_gotunnel_port_online\\{identity="default",port="${first}"\\} 1$`, 'm'))
  const own = await read(ownMetrics)
  t.match(own, new RegExp(`^tunpipe_gotunnel_accepted_total\\{port="${first}"\\} 2$`, 'm'))
  t.match(own, new RegExp(`^tunpipe_gotunnel_bytes_out_total\\{port="${first}"\\} 1000009$`, 'm'))
  t.match(own, new RegExp(`^tunpipe_gotunnel_online\\{port="${second}"\\} 1$`, 'm'))
  t.match(own, new RegExp(`^tunpipe_gotunnel_service\\{port="${second}"\\} 1$`, 'm'))
  t.match(own, new RegExp(`^tunpipe_gotunnel_drops_total\\{port="${second}",reason="local"\\} 0$`, 'm'))
  t.match(own, new RegExp(`^tunpipe_gotunnel_drops_total\\{port="${second}",reason="stalled"\\} 0$`, 'm'))
  for (const name of ['buffered_bytes', 'held_messages_total', 'degraded']) t.match(own, new RegExp(`^tunpipe_gotunnel_${name}\\{port="${second}"\\} 0$`, 'm'))
  t.equal((await fetch(`${ownMetrics}/healthz`)).status, 200)

  peer.program.signal('SIGTERM')
  t.match(await peer.program.ended, { code: 0 })
  const after = await eventually(() => read(metrics), (text) => /^tunpipe_gotunnel_clients 0$/m.test(text))
  t.match(after, /^tunpipe_gotunnel_bytes_in_total\{identity="default"\} 1000010$/m, 'what an identity has carried stays when its ports go')
  t.notMatch(after, /port="/)
  relay.signal('SIGINT')
  t.match(await relay.ended, { code: 0 })
  for (const { stdout, stderr } of [relay, peer.program]) t.notMatch(stdout + stderr, TOKEN)
})

t.test('a wrong token', async (t) => {
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const { program } = startPeer(t, relay, ['--map', '30022:22'], 'not-the-right-one')
  const { code, stdout, stderr } = await program.ended
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^\[ERROR\]\[1002\] Authentication failed: the server does not know this token \(port 30022 is given up\)$/m)
  t.match(stderr, /"msg":"the server has refused every port for good: authentication failed; compare the token with that of the server"/)
  t.equal(stderr.match(/1002/g)?.length, 1)
  const json = await startPeer(t, relay, ['--map', '30022:22', '--json'], 'not-the-right-one').program.ended
  t.equal(json.code, 1)
  t.same(events(json.stdout), [{ event: 'refused', protocol: 'gotunnel', port: 30022, reason: 'authentication failed' }])
  t.match(events(json.stderr).filter(({ level }) => level >= 50), [{ level: 50, code: 1002, port: 30022, msg: 'Authentication failed: the server does not know this token' }, { level: 60, code: 'ERR_GOTUNNEL_REFUSED' }])
  t.match((await relay.ask('status')).services, [{ protocol: 'gotunnel', refused: { token: 2 } }])
  t.notMatch(relay.program.stderr + stderr + json.stderr, /not-the-right-one|a-token-for-tests/)
})

t.test('one port of two is refused for good', async (t) => {
  const service = await tcpService(t, 'a')
  const port = await freePort()
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`, `ports: ${port}`))
  const peer = startPeer(t, relay, ['--map', `1024:${service.port}`, '--map', `${port}:${service.port}`, '--metrics', '0'])
  const [, metrics] = await peer.program.find(/^ready metrics (.*)$/m)
  await peer.program.find(/"port":1024,"reason":"port not allowed","wait":\d+,"msg":"the server refuses this port, which is tried again seldom"/, 'stderr')
  await peer.program.find(/^ready gotunnel/m)
  t.equal(await ask(port, 'x'), 'a:x', 'the other one goes on')
  t.match(await peer.status(), { health: 'degraded', services: [{ maps: [{ remotePort: 1024, state: 'degraded', reason: 'port not allowed' }, { remotePort: port, state: 'online', mode: 'strict', service: 'up' }] }] })
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  t.match(numbers, /^tunpipe_gotunnel_degraded\{port="1024"\} 1$/m)
  t.match(numbers, new RegExp(`^tunpipe_gotunnel_degraded\\{port="${port}"\\} 0$`, 'm'))
  const { stdout } = await runProgram(t, 'peer', ['status'], { env: peer.env })
  t.match(stdout, /^gotunnel 127\.0\.0\.1:\d+ as \S+: 1 of 2 ports online\nPORT +LEADS TO +STATE +MODE +SERVICE /m)
  t.match(stdout, /^port 1024: port not allowed$/m)
})

t.test('nobody listens, and then somebody does', async (t) => {
  const [server, port] = await freePorts(2)
  const service = await tcpService(t, 'a')
  const [plain, json] = [[], ['--json', '--control', 'none']].map((args, i) => startPeer(t, { port: server }, ['--map', `${port + i}:${service.port}`, ...args]).program)
  await plain.find(/(^\[ERROR\]\[1001\] Failed to connect to server: connect ECONNREFUSED 127\.0\.0\.1:\d+ \(port \d+ tries again in \d+\.\d s\)\n[^]*){2}/m, 'stderr')
  t.notMatch(plain.stderr, /"offline"/, 'nothing is said twice')
  await json.find(/"reason":"connect ECONNREFUSED [^"]*","wait":\d+,"code":1001,"msg":"Failed to connect to server: connect ECONNREFUSED/, 'stderr')
  t.notMatch(json.stderr, /\[ERROR\]/)
  await json.find(/"event":"offline".*\n/)
  t.match(events(json.stdout)[0], { event: 'offline', protocol: 'gotunnel', port: port + 1, reason: /^connect ECONNREFUSED/ })
  startProgram(t, 'relay', ['gotunnel', '--listen', `127.0.0.1:${server}`, '--bind', '127.0.0.1'], { env: { TUNPIPE_TOKEN: TOKEN } })
  await plain.find(/^ready gotunnel/m)
  t.equal(await ask(port, 'x'), 'a:x')
  await json.find(/"event":"online".*\n/)
  t.match(events(json.stdout).slice(-2), [{ event: 'ready', protocol: 'gotunnel', url: `tcp://127.0.0.1:${port + 1}` }, { event: 'online', protocol: 'gotunnel', port: port + 1, mode: 'strict' }])
})

t.test('a port in use', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  t.match(await runProgram(t, 'relay', ['gotunnel', '--listen', `127.0.0.1:${port}`, '--token', TOKEN], { env: homeEnv() }), { code: 1, stdout: '', stderr: `relay: cannot listen on 127.0.0.1:${port}: address already in use\n` })
})

t.test('an address for mapped ports that is not of this machine', async (t) => {
  t.match(await runProgram(t, 'relay', ['gotunnel', '--listen', '127.0.0.1:0', '--token', TOKEN, '--bind', '203.0.113.9'], { env: homeEnv() }), { code: 1, stdout: '', stderr: 'relay: cannot listen on 203.0.113.9 (bind): address not available\n' })
})
