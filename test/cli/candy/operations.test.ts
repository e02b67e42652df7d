/** Running programs that are asked, told to read their settings again, killed and started anew. */
import { createServer, type AddressInfo } from 'node:net'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { Secret } from '../../../src/nodes/candy/protocol/hashes.ts'
import { FORWARD_PACKET } from '../../../src/nodes/candy/protocol/forward.ts'
import { MessageType } from '../../../src/nodes/candy/protocol/messages.ts'
import { dialWebSocket } from '../../../src/transports/websocket.ts'
import { ca, cert, key, second } from '../../helpers/certificates.ts'
import { CandyClient, forward } from '../../helpers/candy/client.ts'
import { until } from '../../helpers/ends.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { config, joined, network, start } from '../../helpers/cli/candy.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'

t.test('status', async (t) => {
  const { url, env, status } = await start(t, config(network('/a', 'secret-a'), network('/b', 'secret-b')))
  const [a] = [await joined(t, `${url}/a`, 'secret-a', '10.77.0.9'), await joined(t, `${url}/b`, 'secret-b', '10.77.0.1')]
  a.link.ping(Buffer.from('candy::linux::6.1.8::a \u001b[31m'))
  a.send(forward('10.77.0.9', '10.77.0.9'), forward('10.77.0.9', '10.77.0.8'))
  await a.next()
  t.match(await status(), {
    version: /^\d+\.\d+\.\d+/,
    pid: Number,
    health: 'ok',
    services: [{
      protocol: 'candy',
      url,
      connections: 2,
      networks: [
        { path: '/a', range: '10.77.0.0/24', peers: 1, drops: { destination: 1 }, members: [{ address: '10.77.0.9', source: /^127\.0\.0\.1:\d+$/, system: 'linux', version: '6.1.8', host: 'a \\x1b[31m', packetsIn: 2, packetsOut: 1, queued: 0, drops: { destination: 1 } }] },
        { path: '/b', peers: 1, members: [{ address: '10.77.0.1', system: '' }] }
      ]
    }]
  })
  const { stdout, code } = await runProgram(t, 'relay', ['status'], { env })
  t.equal(code, 0)
  t.match(stdout, /^relay .*, process \d+, up \d+ s, ok\ncandy ws:\/\/127\.0\.0\.1:\d+: 2 peers, 2 connections, 0 half-open\n/)
  t.match(stdout, /^ADDRESS +SOURCE +CLIENT +UP +SILENT +IN +OUT +QUEUE +DROPS\n10\.77\.0\.9 +127\.0\.0\.1:\d+ +linux 6\.1\.8 a \\x1b\[31m +\d+ s .* destination 1$/m)
  const socket = join(env.RUNTIME_DIRECTORY, 'relay.sock')
  t.equal((statSync(socket).mode & 0o777).toString(8), '600')
  t.match(await runProgram(t, 'relay', ['status', '--control', socket]), { code: 0 })
  t.match(await runProgram(t, 'relay', ['status'], { env: homeEnv() }), { code: 1, stdout: '', stderr: /^relay: nobody listens at .*relay\.sock: is it running\? .*\n$/ })
  for (const [args, message] of [
    [['status', '--nme'], /^unknown option '--nme'/],
    [['status', '--metrics', '1'], /^--metrics: not an option of relay status, but of relay\n$/],
    [['--listen', 'ws://127.0.0.1:1'], /^--listen: not an option of relay, but of relay candy\n$/],
    [['status', '--control', 'none'], /^--control: missing, expected the path of a control socket\n$/],
    [['status', '--control', ''], /^--control: missing/]
  ] as const) t.match(await runProgram(t, 'relay', args, { env }), { code: 2, stdout: '', stderr: message }, args.join(' '))
})

t.test('commands that name a configuration reach the relay that runs with it, and no other', async (t) => {
  const { env, status, url } = await start(t, config(network('/a', 'secret-a')))
  const file = join(t.testdirName, 'relay.yaml')
  const other = join(t.testdirName, 'other.yaml')
  writeFileSync(other, config(network('/b', 'secret-b')), { mode: 0o600 })
  t.equal((await status()).config, file)
  t.match(await runProgram(t, 'relay', ['reload', '--config', 'relay.yaml'], { env, cwd: t.testdirName }), { code: 0, stdout: /^reloaded candy/ }, 'a path is seen from where one is')
  for (const command of ['status', 'reload']) {
    const stderr = new RegExp(`^relay: the process behind .*relay\\.sock is another one: this relay runs with ${file}, not with ${other}\n$`)
    t.match(await runProgram(t, 'relay', [command, '--config', other], { env }), { code: 1, stdout: '', stderr }, command)
  }
  t.match(await runProgram(t, 'relay', ['status', '--check', '--config', other], { env }), { code: 3 })
  await joined(t, `${url}/a`, 'secret-a', '10.77.0.1')
})

t.test('status --check tells by its exit code', async (t) => {
  const check = (program: 'relay' | 'peer', env: Record<string, string>, ...more: string[]): Promise<object> => runProgram(t, program, ['status', '--check', ...more], { env })
  const { env, url, relay } = await start(t, config(network('/a', 'secret-a')))
  t.match(await check('relay', env), { code: 0, stdout: /^relay \S+, process \d+, up \d+ s, ok\n$/ })
  t.match(await check('relay', env, '--json'), { code: 0, stdout: /^{.*"health":"ok".*}\n$/ })
  t.match(await check('relay', env, '--protocol', 'gotunnel'), { code: 2, stdout: '', stderr: /^--protocol: does not run here/ })
  t.match(await check('relay', env, '--chek'), { code: 2 })
  t.match(await check('peer', env), { code: 3, stdout: '', stderr: /^peer: nobody listens at / })
  t.match(await check('peer', homeEnv()), { code: 3 })

  const peer = startProgram(t, 'peer', ['candy', '--url', `${url}/a`, '--password', 'secret-a', '--tun', 'none'], { env })
  await peer.find(/^ready candy /m)
  t.match(await check('peer', env), { code: 0, stdout: /, ok\n$/ })
  relay.signal('SIGTERM')
  await relay.ended
  await peer.find(/"offline"/, 'stderr')
  t.match(await check('peer', env), { code: 1, stdout: /, offline\n$/ })
  t.match(await check('relay', env), { code: 3 })
})

t.test('a relay without a control socket', async (t) => {
  const { relay, env } = await start(t, config(network('/a', 'secret-a')), undefined, ['--control', 'none'])
  t.notOk(existsSync(join(env.RUNTIME_DIRECTORY, 'relay.sock')))
  const other = await start(t, `${config(network('/a', 'x'))}control: ${join(env.RUNTIME_DIRECTORY, 'own.sock')}\n`)
  t.match(await runProgram(t, 'relay', ['status', '--config', join(t.testdirName, 'relay.yaml')]), { code: 0, stdout: /ok/ })
  other.relay.signal('SIGTERM')
  t.equal((await other.relay.ended).code, 0)
  t.notOk(existsSync(join(env.RUNTIME_DIRECTORY, 'own.sock')))
  relay.signal('SIGTERM')
  t.equal((await relay.ended).code, 0)
})

t.test('other settings, by command and by signal', async (t) => {
  const { relay, url, write, reload, status, env } = await start(t, config(network('/a', 'secret-a'), network('/b', 'secret-b')))
  const [a, b] = [await joined(t, `${url}/a`, 'secret-a', '10.77.0.1'), await joined(t, `${url}/b`, 'secret-b', '10.77.0.1')]
  write(config(network('/a', 'secret-a', '      sdwan: 10.77.0.0/24,172.16.0.0/16,10.77.0.9\n'), network('/b', 'other-b'), network('/c', 'secret-c')))
  t.same(await reload(), { program: 'relay', services: [{ protocol: 'candy', added: ['/c'], removed: [], ended: 1 }], restart: [], warnings: [] })
  t.match(await b.closed, { reason: 'the network has changed' })
  t.equal(Buffer.from(await a.next()).toString('hex'), '06010000ac100000ffff00000a4d0009', 'a new route is pushed')
  await joined(t, `${url}/c`, 'secret-c', '10.77.0.1')

  write(config(network('/a', 'secret-a'), network('/b', 'other-b')) + 'metrics: 0\nlog-level: debug\n')
  relay.signal('SIGHUP')
  await relay.find(/"msg":"reloaded"[^]*"msg":"reloaded"/, 'stderr')
  t.match(await a.closed, { reason: 'the routes have changed' })
  t.match(relay.stderr, /"restart":\["metrics"\],"msg":"some settings hold from the next start on"/)

  write(`${config(network('/a', 'secret-a'), network('/b', 'other-b'))}  state-dir: /elsewhere\n`)
  t.match(await reload(), { restart: ['candy.state-dir'] })
  for (const [text, message] of [
    [config(network('/a', 'secret-a')).replace('10.77.0.0/24', '10.77.0.0'), /relay\.yaml:6: candy\.networks\.0\.dhcp: not a CIDR/],
    ['candy: [', /relay\.yaml:\d: not YAML/],
    [config(network('/a', '""')), /relay\.yaml:5: candy\.networks\.0\.password: empty/],
    [config(network('/a', 'x')).replace('127.0.0.1:0', '203.0.113.1:9'), /cannot listen on ws:\/\/203\.0\.113\.1:9: address not available/]
  ] as const) {
    write(text)
    const { code, stderr, stdout } = await runProgram(t, 'relay', ['reload'], { env })
    t.equal(stdout, '')
    t.match(stderr, message)
    t.equal(stderr.indexOf('\n'), stderr.length - 1, 'one line')
    t.equal(code, /listen/.test(stderr) ? 1 : 2)
  }
  t.match((await status()).services[0].networks.map(({ path }: any) => path), ['/a', '/b'], 'what was there before stays in force')
  await joined(t, `${url}/b`, 'other-b', '10.77.0.5')
  relay.signal('SIGTERM')
  const { code, stdout, stderr } = await relay.ended
  t.equal(code, 0)
  t.notMatch(stdout + stderr, /secret-[abc]|other-b/, 'no password, old or new, is in the log')
})

t.test('it listens elsewhere, and connections stay', async (t) => {
  const { url, write, reload, status } = await start(t, config(network('/a', 'secret-a')))
  const old = await joined(t, `${url}/a`, 'secret-a', '10.77.0.1')
  const spare = createServer().listen(0, '127.0.0.1')
  await once(spare, 'listening')
  const { port } = spare.address() as AddressInfo
  write(config(network('/a', 'secret-a')).replace('127.0.0.1:0', `127.0.0.1:${port}`))
  await t.rejects(reload(), { message: `cannot listen on ws://127.0.0.1:${port}: address already in use` })
  await joined(t, `${url}/a`, 'secret-a', '10.77.0.5')
  spare.close()
  await once(spare, 'close')
  await reload()
  const next = await joined(t, `ws://127.0.0.1:${port}/a`, 'secret-a', '10.77.0.2')
  next.send(forward('10.77.0.2', '10.77.0.1'))
  t.equal((await old.next()).length, forward('10.77.0.2', '10.77.0.1').length, 'old and new reach each other')
  await t.rejects(dialWebSocket(`${url}/a`), { code: 'ECONNREFUSED' })
  t.equal((await status()).services[0].url, `ws://127.0.0.1:${port}`)
  write(config(network('/a', 'secret-a')).replace('127.0.0.1:0', `127.0.0.1:${port}\n  trusted-proxy: 127.0.0.1`))
  await reload()
  const proxied = await joined(t, `ws://127.0.0.1:${port}/a`, 'secret-a', '10.77.0.3', { headers: { 'X-Forwarded-For': '198.51.100.7' } })
  proxied.send(forward('10.77.0.3', '10.77.0.1'))
  await old.next()
  t.match((await status()).services[0].networks[0].members.find(({ address }: any) => address === '10.77.0.3'), { source: '198.51.100.7' })
})

/** Which certificate a server shows. */
async function fingerprint (port: number): Promise<string> {
  const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  socket.destroy()
  return fingerprint256
}

t.test('a certificate is renewed, and connections stay', async (t) => {
  const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key })
  const text = `candy:\n  listen: wss://127.0.0.1:0\n  tls-cert: ${folder}/cert.pem\n  tls-key: ${folder}/key.pem\n  password: x\n  allow-empty-password: false\n`
  const file = join(folder, 'relay.yaml')
  writeFileSync(file, text, { mode: 0o600 })
  const env = homeEnv()
  const relay = startProgram(t, 'relay', ['--config', file, '--json'], { env })
  const [, url, port] = await relay.find(/"url":"(wss:\/\/127\.0\.0\.1:(\d+))"/)
  const a = await joined(t, url, 'x', '10.77.0.1', { ca })
  const before = await fingerprint(Number(port))
  writeFileSync(join(folder, 'cert.pem'), second.cert)
  t.match(await runProgram(t, 'relay', ['reload'], { env }), { code: 2, stderr: /tls-key: not the key of this certificate/ }, 'half a renewal changes nothing')
  t.equal(await fingerprint(Number(port)), before)
  writeFileSync(join(folder, 'key.pem'), second.key)
  t.match(await runProgram(t, 'relay', ['reload'], { env }), { code: 0, stdout: 'reloaded candy: 0 connections ended\n' })
  t.not(await fingerprint(Number(port)), before)
  a.send(forward('10.77.0.1', '10.77.0.1'))
  t.equal((await a.next()).length, forward('10.77.0.1', '10.77.0.1').length)
})

t.test('reloads under load lose no packet', async (t) => {
  const { relay, url, write } = await start(t, config(network('/a', 'secret-a'), network('/b', 'secret-b')))
  const [from, to] = [await joined(t, `${url}/a`, 'secret-a', '10.77.0.1'), await joined(t, `${url}/a`, 'secret-a', '10.77.0.2')]
  const other = await joined(t, `${url}/b`, 'secret-b', '10.77.0.1')
  const packet = forward('10.77.0.1', '10.77.0.2', 400)
  const numbered = (i: number): Uint8Array => {
    const copy = Buffer.from(packet)
    copy.writeUInt32BE(i, FORWARD_PACKET + 20)
    return copy
  }
  const COUNT = 60_000
  const WINDOW = 400 // under way at a time, so that no queue is full
  const RELOADS = 12
  let sent = 0
  let reloads = 0
  for (let got = 0; got < COUNT; got++) {
    if (sent < COUNT && sent - got <= WINDOW / 2) {
      const batch = Array.from({ length: Math.min(WINDOW / 2, COUNT - sent) }, (_, i) => numbered(sent + i))
      sent += batch.length
      from.send(...batch)
    }
    if (got === Math.floor(COUNT * (reloads + 0.5) / RELOADS)) {
      reloads++
      write(config(network('/a', 'secret-a', `      max-peers: ${10 + reloads}\n      sdwan: 10.77.0.200/32,172.16.${reloads}.0/24,10.77.0.9\n`), ...(reloads % 2 === 0 ? [network('/b', `secret-${reloads}`)] : [])))
      relay.signal('SIGHUP')
    }
    const message = Buffer.from(await to.next())
    if (message[0] !== MessageType.FORWARD || message.readUInt32BE(FORWARD_PACKET + 20) !== got) return t.fail(`packet ${got} is missing`)
  }
  t.equal(sent, COUNT)
  await other.closed
  await relay.find(new RegExp(`("msg":"reloaded"[^]*){${RELOADS}}`), 'stderr')
  t.notMatch(relay.stderr, /not reloaded/)
})

t.test('leases outlive a relay that is killed, and one that is stopped', async (t) => {
  const env = homeEnv()
  const addresses: string[] = []
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGTERM'] as const) {
    const { relay, url } = await start(t, config(network('/a', 'secret-a')), env)
    if (addresses.length === 0) await joined(t, `${url}/a`, 'secret-a', '10.77.0.1') // so that the first address is not what everybody gets
    const link = await dialWebSocket(`${url}/a`)
    const client = new CandyClient(link, new Secret('secret-a'))
    addresses.push(await client.join('aaaaaaaaaaaaaaaa') ?? 'none')
    const file = join(env.STATE_DIRECTORY, 'candy-relay/leases.json')
    await until(() => existsSync(file) && readFileSync(file, 'utf8').includes('aaaaaaaaaaaaaaaa'))
    relay.signal(signal)
    await relay.ended
    link.abort(new Error('the relay is gone'))
  }
  t.same(addresses, ['10.77.0.2/24', '10.77.0.2/24', '10.77.0.2/24'])
})

t.test('SIGHUP ends a peer in an orderly way', async (t) => {
  const { url } = await start(t, config(network('/a', 'secret-a')))
  const peer = startProgram(t, 'peer', ['candy', '--url', `${url}/a`, '--password', 'secret-a', '--tun', 'none'])
  await peer.find(/^ready candy /m)
  peer.signal('SIGHUP')
  t.match(await peer.ended, { code: 0, stderr: /"signal":"SIGHUP"/ })
})

t.test('the configuration of the original server', async (t) => {
  const file = join(t.testdir({ 'candy.cfg': 'mode = "server"\nwebsocket = "ws://127.0.0.1:0"\npassword = "candy-secret"\ndhcp = "192.168.202.0/24"\n' }), 'candy.cfg')
  const relay = startProgram(t, 'relay', ['candy', '--config', file])
  const [, url] = await relay.find(/^ready candy (ws:.*)$/m)
  const cfg = join(t.testdir({ 'candy.cfg': `mode = "client"\nwebsocket = "${url}"\npassword = "candy-secret"\nstun = "stun://127.0.0.1:9"\n` }), 'candy.cfg')
  const peer = startProgram(t, 'peer', ['candy', '--config', cfg, '--tun', 'none'])
  await peer.find(/^ready candy tun:\/\/none\/192\.168\.202\.1\/24$/m)
  t.notMatch(peer.stderr, /is ignored/)
})
