/** The two programs as their users run them. */
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { PASSWORD } from '../../helpers/candy/client.ts'
import { ca, cert, key } from '../../helpers/certificates.ts'
import { actAsCandy, scriptedServer } from '../../helpers/candy/scripted-server.ts'
import { runProgram, startProgram, type Program } from '../../helpers/programs/program.ts'

const READY = /^ready candy (wss?:\/\/127\.0\.0\.1:([1-9]\d*))$/m

async function startRelay (t: Test, ...args: string[]): Promise<{ relay: Program, url: string }> {
  const relay = startProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', 'correct-horse', '--dhcp', '10.77.0.0/24', ...args])
  const [, url] = await relay.find(READY)
  return { relay, url }
}

t.test('help and version', async (t) => {
  const [relay, peer, version] = await Promise.all([runProgram(t, 'relay', ['candy', '--help']), runProgram(t, 'peer', ['--help']), runProgram(t, 'relay', ['--version'])])
  t.match(relay, { code: 0, stderr: '', stdout: /^Usage: relay candy .*Examples:.*ws:\/\/0\.0\.0\.0:8080/s })
  t.match(peer, { code: 0, stderr: '', stdout: /^Usage: peer .*Examples:/s })
  const { version: expected } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'))
  t.same(version, { code: 0, stderr: '', stdout: `${expected}\n` })
})

t.test('bad usage is one line and exit code 2', async (t) => {
  const folder = t.testdir({ 'relay.yaml': 'candy:\n  listen: ws://127.0.0.1:0\n  password: x\n  dhcp: 10.0.0/24\n' })
  const cases: Array<[name: 'relay' | 'peer', args: string[], stderr: string]> = [
    ['relay', ['candy', '--lsten', 'x'], "unknown option '--lsten', did you mean --listen?\n"],
    ['relay', [], 'relay.yaml:4: candy.dhcp: not a CIDR ("10.0.0/24"), expected a.b.c.d/8 to /30\n'],
    ['relay', ['--config', 'missing.yaml'], '--config: cannot be read ("missing.yaml"): no such file or directory\n'],
    ['peer', ['candy', '--url', 'ws://h/'], '--password: missing, expected a password (or a password-file, or TUNPIPE_PASSWORD, or allow-empty-password)\n'],
    ['relay', ['candy', '--listen', 'wss://127.0.0.1:0', '--password', 'x', '--tls-cert', 'relay.yaml', '--tls-key', 'relay.yaml'], '--tls-cert: not a certificate']
  ]
  for (const [name, args, stderr] of cases) {
    const ended = await runProgram(t, name, args, { cwd: folder })
    t.match(ended, { code: 2, stdout: '', stderr }, args.join(' '))
    t.equal(ended.stderr.indexOf('\n'), ended.stderr.length - 1, 'one line')
  }
  t.notOk(existsSync(join(folder, 'missing.yaml')), 'a file that was asked for is never made up')
})

t.test('programs that have just started and warm up end at once, and say nothing of it', async (t) => {
  const env = { TUNPIPE_WARM_UP: 'on' }
  const relay = startProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--dhcp', '10.77.0.0/24', '--password', 'correct-horse'], { env })
  const [url] = await relay.find(/ws:\/\/127\.0\.0\.1:\d+/)
  const peer = startProgram(t, 'peer', ['candy', '--url', url, '--password', 'correct-horse', '--tun', 'none'], { env })
  await peer.find(/^ready candy /m)
  for (const program of [peer, relay]) {
    program.signal('SIGTERM')
    const { code, stderr } = await program.ended
    t.equal(code, 0)
    t.notMatch(stderr, /198\.18|"level":[56]0/)
  }
})

t.test('programs keep compiled code that has not run for a while', async (t) => {
  const tell = `data:text/javascript,import v8 from 'node:v8'
import { syncBuiltinESMExports } from 'node:module'
const set = v8.setFlagsFromString
v8.setFlagsFromString = (flag) => { console.error(flag); set(flag) }
syncBuiltinESMExports()`
  const relay = startProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', 'correct-horse'], { imports: [tell.replaceAll('\n', ';')] })
  await relay.find(READY)
  relay.signal('SIGTERM')
  t.match(await relay.ended, { code: 0, stderr: /^--no-flush-bytecode$/m })
})

t.test('the first start', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'relay.yaml')
  const first = startProgram(t, 'relay', [], { cwd: folder })
  await first.find(/^ready candy ws:\/\/0\.0\.0\.0:8080$/m).catch(() => {}) // 8080 may be in use here: all is written all the same
  first.signal('SIGTERM')
  const { stdout, stderr } = await first.ended
  const text = readFileSync(file, 'utf8')
  const [, password] = /^ {2}password: ([a-z0-9-]+)$/m.exec(text) ?? []
  t.match(password, /^([a-hj-km-np-z2-9]{4}-){6}[a-hj-km-np-z2-9]{4}$/)
  t.equal((statSync(file).mode & 0o777).toString(8), '600')
  t.match(text, /^ {2}listen: ws:\/\/0\.0\.0\.0:8080$/m)
  t.match(text, /^ {2}dhcp: 10\.77\.0\.0\/24$/m)
  t.match(stdout, /^Wrote relay\.yaml /)
  const [, program, url] = new RegExp(`^ {2}sudo (\\S+) candy --url (ws://\\d+\\.\\d+\\.\\d+\\.\\d+:8080/) --password ${password}$`, 'm').exec(stdout) ?? []
  t.ok(existsSync(join(folder, program)) || existsSync(program), 'the program that it names is there')
  t.match(stdout, `  candy -m client -w ${url.slice(0, -1)} -p ${password}\n`)
  t.match(stdout, `  websocket = "${url.slice(0, -1)}"\n  password = "${password}"\n`)
  t.notMatch(stderr, password)

  writeFileSync(file, text.replace('0.0.0.0:8080', '127.0.0.1:0'))
  const second = startProgram(t, 'relay', [], { cwd: folder })
  await second.find(READY)
  second.signal('SIGTERM')
  const later = await second.ended
  t.match(later, { code: 0, stdout: /^ready candy ws:\/\/127\.0\.0\.1:\d+\n$/ })
  t.notMatch(later.stdout + later.stderr, password, 'and tells no secret')
})

t.test('a first start that cannot be', async (t) => {
  const folder = t.testdir({ 'relay.yaml': {} })
  t.match(await runProgram(t, 'relay', ['--log-level', 'loud'], { cwd: join(folder, 'relay.yaml') }), { code: 2, stderr: /^--log-level: not a choice/ })
  t.notOk(existsSync(join(folder, 'relay.yaml/relay.yaml')), 'nothing is written')
  t.match(await runProgram(t, 'relay', [], { cwd: folder }), { code: 2, stderr: '--config: cannot be read ("relay.yaml"): illegal operation on a directory\n' })
})

t.test('an interface that cannot be had', async (t) => {
  const { code, stdout, stderr } = await runProgram(t, 'peer', ['candy', '--url', 'ws://127.0.0.1:1/', '--password', 'x', '--tun', 'lo', '--state-dir', t.testdir()])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(stderr, /^peer: [^\n]+\n$/)
})

t.test('the first start of a relay that has its password from elsewhere', async (t) => {
  const folder = t.testdir()
  const relay = startProgram(t, 'relay', ['--json'], { cwd: folder, env: { TUNPIPE_PASSWORD: 'correct-horse' } })
  await relay.find(/"ready"/).catch(() => {}) // as above
  relay.signal('SIGTERM')
  const { stdout, stderr } = await relay.ended
  t.match(stdout, /^\{"event":"created","config":"relay.yaml"\}\n/)
  t.match(readFileSync(join(folder, 'relay.yaml'), 'utf8'), /^ {2}# password: /m)
  t.notMatch(stdout + stderr, /correct-horse/)
})

t.test('a port in use', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  t.teardown(() => { server.close() })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const args = ['candy', '--listen', `ws://127.0.0.1:${port}`, '--password', 'x']
  const message = `cannot listen on ws://127.0.0.1:${port}: address already in use`
  t.same(await runProgram(t, 'relay', args), { code: 1, stdout: '', stderr: `relay: ${message}\n` })
  const { code, stdout, stderr } = await runProgram(t, 'relay', [...args, '--json'])
  t.equal(code, 1)
  t.equal(stdout, '')
  t.match(JSON.parse(stderr), { level: 60, code: 'EADDRINUSE', msg: message })
})

t.test('a peer joins, gets the same address again, and both drain', async (t) => {
  const stateDir = join(t.testdir(), 'state')
  const { relay, url } = await startRelay(t, '--metrics', '0')
  const [, metrics] = await relay.find(/^ready metrics (http:\/\/127\.0\.0\.1:\d+)$/m)
  const args = ['candy', '--url', `${url}/`, '--tun', 'none', '--name', 'laptop', '--state-dir', stateDir]
  const env = { TUNPIPE_PASSWORD: 'correct-horse' }

  const peer = startProgram(t, 'peer', args, { env })
  const [, address] = await peer.find(/^ready candy tun:\/\/none\/(10\.77\.0\.\d+\/24)$/m)
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  t.match(numbers, /^tunpipe_candy_peers 1$/m)
  t.match(numbers, /^tunpipe_candy_drops_total\{reason="source"\} 0$/m)
  t.equal((await fetch(`${metrics}/healthz`)).status, 200)
  const state = JSON.parse(readFileSync(join(stateDir, 'candy/laptop.json'), 'utf8'))
  t.match(state, { vmac: /^[0-9a-f]{16}$/, address })
  peer.signal('SIGTERM')
  t.match(await peer.ended, { code: 0, stdout: `ready candy tun://none/${address}\n` })

  const other = startProgram(t, 'peer', ['candy', '--url', `${url}/`, '--tun', 'none', '--json', '--metrics', '0'], { env })
  const [, taken] = await other.find(/^\{"event":"ready","protocol":"candy","url":"tun:\/\/none\/(.*)"\}$/m)
  t.not(taken, address, 'kept for the device that had it')
  await other.find(/^\{"event":"online","protocol":"candy","address":".*"\}$/m)
  const [, ownMetrics] = await other.find(/^\{"event":"ready","protocol":"metrics","url":"(.*)"\}$/m)
  t.match(await (await fetch(`${ownMetrics}/metrics`)).text(), /^tunpipe_candy_online 1$/m)
  const again = startProgram(t, 'peer', args, { env })
  await again.find(new RegExp(`^ready candy tun://none/${address}$`, 'm'))

  relay.signal('SIGTERM')
  t.match(await relay.ended, { code: 0 })
  await other.find(/^\{"event":"offline","protocol":"candy","reason":".*"\}$/m)
  other.signal('SIGINT')
  again.signal('SIGTERM')
  for (const { code, stdout, stderr } of await Promise.all([other.ended, again.ended, relay.ended])) {
    t.equal(code, 0)
    t.notMatch(stdout + stderr, /correct-horse/)
  }
})

t.test('an address of its own is not remembered', async (t) => {
  const stateDir = t.testdir()
  const { url } = await startRelay(t)
  const peer = startProgram(t, 'peer', ['candy', '--url', `${url}/`, '--password', 'correct-horse', '--tun', 'none', '--name', 'x', '--address', '10.77.0.9/24', '--state-dir', stateDir])
  await peer.find(/^ready candy /m)
  t.same(Object.keys(JSON.parse(readFileSync(join(stateDir, 'candy/x.json'), 'utf8'))), ['vmac'])
})

t.test('an address that the server does not accept is not remembered', async (t) => {
  const stateDir = t.testdir()
  const server = await scriptedServer(t, { serve: (visitor) => actAsCandy(visitor, { password: PASSWORD, offer: '10.77.0.2/24', onAuth: () => { visitor.end() } }) })
  const peer = startProgram(t, 'peer', ['candy', '--url', server.url, '--password', PASSWORD, '--tun', 'none', '--name', 'x', '--state-dir', stateDir, '--json'])
  await peer.find(/"event":"address".*"event":"offline"/s)
  t.same(Object.keys(JSON.parse(readFileSync(join(stateDir, 'candy/x.json'), 'utf8'))), ['vmac'])
})

t.test('a peer is well while it is online', async (t) => {
  const { relay, url } = await startRelay(t)
  const peer = startProgram(t, 'peer', ['candy', '--url', `${url}/`, '--password', 'correct-horse', '--tun', 'none', '--metrics', '0', '--json'])
  const [, metrics] = await peer.find(/"protocol":"metrics","url":"(.*)"/)
  const ask = async (): Promise<[number, string]> => {
    const response = await fetch(`${metrics}/healthz`)
    return [response.status, await response.text()]
  }
  await peer.find(/"event":"online"/)
  t.same(await ask(), [200, 'ok\n'])
  relay.signal('SIGTERM')
  await peer.find(/"event":"offline"/)
  t.same(await ask(), [503, 'offline\n'])

  const lonely = startProgram(t, 'peer', ['candy', '--url', 'ws://127.0.0.1:1/', '--password', 'x', '--tun', 'none', '--metrics', '0'])
  const [, own] = await lonely.find(/^ready metrics (.*)$/m)
  t.same([(await fetch(`${own}/healthz`)).status], [503], 'and not before')
})

t.test('wss', async (t) => {
  const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key, 'ca.pem': ca, 'relay.yaml': 'candy:\n  listen: wss://127.0.0.1:0\n  password: x\n  tls-cert: cert.pem\n  tls-key: key.pem\n  dhcp: 10.0.0.0/24\njson: true\n' })
  const relay = startProgram(t, 'relay', ['--config', 'relay.yaml'], { cwd: folder })
  const [, url] = await relay.find(/^\{"event":"ready","protocol":"candy","url":"(wss:\/\/127\.0\.0\.1:\d+)"\}$/m)
  const args = ['candy', '--url', `${url}/`, '--password', 'x', '--tun', 'none']
  const trusting = startProgram(t, 'peer', [...args, '--ca', 'ca.pem'], { cwd: folder })
  await trusting.find(/^ready candy /m)
  const doubtful = startProgram(t, 'peer', args)
  t.match(await doubtful.find(/"msg":"offline"/, 'stderr'), ['"msg":"offline"'])
  const careless = startProgram(t, 'peer', [...args, '--insecure'])
  await careless.find(/^ready candy /m)
})
