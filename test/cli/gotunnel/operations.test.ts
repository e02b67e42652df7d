/** A gotunnel relay that runs: it is asked, told to read its settings again, and shares a process with candy. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t from 'tap'
import { cert, key, second } from '../../helpers/certificates.ts'
import { freePort, freePorts } from '../../helpers/free-ports.ts'
import { config, joined, network } from '../../helpers/cli/candy.ts'
import { runProgram } from '../../helpers/programs/program.ts'
import { ask, eventually, relayFile, startPeer, startRelay, tcpService, TOKEN, User } from '../../helpers/cli/gotunnel.ts'

const identity = (name: string, ...lines: string[]): string[] => [`  - name: ${name}`, ...lines.map((line) => `    ${line}`)]

t.test('status of several identities', async (t) => {
  const service = await tcpService(t, 'a')
  const [first, second, third] = (await freePorts(3)).sort((a, b) => a - b)
  const relay = await startRelay(t, relayFile('identities:', ...identity('home', 'token: secret-of-home', `ports: ${first}-${second}`, 'max-users: 20'), ...identity('work', 'token: secret-of-work', 'max-ports: 2')))
  const home = startPeer(t, relay, ['--map', `${first}:${service.port}`, '--map', `${second}:${service.port}`, '--name', 'nas'], 'secret-of-home')
  const work = startPeer(t, relay, ['--map', `${third}:${service.port}`, '--name', 'desk', '--mode', 'compatible'], 'secret-of-work')
  for (const { program } of [home, work]) await program.find(/^ready gotunnel/m)
  const user = new User(t, first)
  await user.hear('a:')
  user.say('x'.repeat(5000))
  await user.hear(`a:${'x'.repeat(5000)}`)
  const status = await eventually(() => relay.ask('status'), ({ services }) => services[0].ports === 3 && services[0].identities[0].rateIn > 0)
  t.match(status, {
    health: 'ok',
    services: [{
      protocol: 'gotunnel',
      url: relay.url,
      clients: 3,
      ports: 3,
      users: 1,
      waiting: 0,
      bytesIn: 5000,
      bytesOut: 5002,
      refused: { token: 0 },
      identities: [
        {
          name: 'home',
          allowed: `${first}-${second}`,
          ports: 2,
          maxPorts: 64,
          maxUsers: 20,
          users: 1,
          accepted: 1,
          mapped: [
            { port: first, client: 'nas', source: /^127\.0\.0\.1:\d+$/, mode: 'strict', state: 'online', users: 1, waiting: 0, bytesIn: 5000, bytesOut: 5002, rateIn: Number, rateOut: Number, connected: Number, drops: { limit: 0 } },
            { port: second, users: 0, bytesIn: 0 }
          ]
        },
        { name: 'work', allowed: '1024-65535', maxPorts: 2, bytesIn: 0, mapped: [{ port: third, client: 'desk', mode: 'compatible' }] }
      ]
    }]
  })
  const { code, stdout } = await runProgram(t, 'relay', ['status'], { env: relay.env })
  t.equal(code, 0)
  t.match(stdout, /^gotunnel tcp:\/\/127\.0\.0\.1:\d+: 3 ports of 3 control connections, 1 user, 0 of them waiting, \d half-open$/m)
  t.match(stdout, new RegExp(`^identity home, ports ${first}-${second}: 2 of 64 ports, 1 of 20 users, 1 since the start, in 5 kB, out 5 kB\nPORT +CLIENT +SOURCE +MODE +STATE .*\n${first} +nas +127\\.0\\.0\\.1:\\d+ +strict +online +\\d+ s +1 +0 .* 5 kB +5 kB +-$`, 'm'))
  t.match(JSON.parse((await runProgram(t, 'relay', ['status', '--json', '--protocol', 'gotunnel'], { env: relay.env })).stdout), { services: [{ identities: [{ name: 'home' }, { name: 'work' }] }] })
  relay.program.signal('SIGTERM')
  user.socket.destroy()
  t.equal((await relay.program.ended).code, 0)
  for (const { stdout, stderr } of [relay.program, home.program, work.program]) t.notMatch(stdout + stderr, /secret-of/)
})

t.test('other tokens, ports and limits: live connections stay', async (t) => {
  const service = await tcpService(t, 'a')
  const [port, other] = await freePorts(2)
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const peer = startPeer(t, relay, ['--map', `${port}:${service.port}`])
  await peer.program.find(/^ready gotunnel/m)
  const user = new User(t, port)
  await user.hear('a:')

  relay.write(relayFile('token: another-token', 'max-users: 2', 'byte-rate: 1000000', 'users-per-source: 7', 'auth-failures: 5', 'max-waiting: 8', 'buffer-total: 2000000'))
  t.match(await relay.ask('reload'), { services: [{ protocol: 'gotunnel', ended: 0, url: relay.url }], restart: [], warnings: [] })
  user.say('1')
  await user.hear('a:1')
  t.equal(await ask(port, 'x'), 'a:x', 'who has registered serves its users as before')
  const next = startPeer(t, relay, ['--map', `${other}:${service.port}`], 'another-token')
  await next.program.find(/^ready gotunnel/m)
  t.equal((await startPeer(t, relay, ['--map', `${other}:${service.port}`]).program.ended).code, 1, 'the old token is none any more')
  await eventually(() => relay.ask('status'), ({ services }) => services[0].users === 1)
  await new User(t, port).hear('a:')
  await new User(t, port).closed
  t.match((await relay.ask('status')).services, [{ users: 2, drops: { limit: 1 } }], 'a third user is one too many')

  relay.write(relayFile('token: another-token', `ports: ${other}`, 'bind: 127.0.0.2').replace('  bind: 127.0.0.1\n', ''))
  t.equal((await runProgram(t, 'relay', ['reload'], { env: relay.env })).stdout, `reloaded gotunnel: 1 control connection ended, listens on ${relay.url}\nfrom the next start on: gotunnel.bind\n`)
  await peer.program.find(/"reason":"port not allowed".*"msg":"the server refuses this port, which is tried again seldom"/, 'stderr')
  t.equal(peer.program.child.exitCode, null, 'it was there, and may be again')
  t.equal(await ask(other, 'x'), 'a:x')

  for (const [text, message, code] of [
    [relayFile('token: another-token', 'ports: 5-1'), /relay\.yaml:5: gotunnel\.ports: not a list of ports \("5-1"\)/, 2],
    [relayFile('token: ""'), /relay\.yaml:4: gotunnel\.token: empty/, 2],
    [relayFile('token: x').replace('127.0.0.1:0', '203.0.113.1:9'), /gotunnel: cannot listen on 203\.0\.113\.1:9: address not available/, 1]
  ] as const) {
    relay.write(text)
    const { stderr, ...ended } = await runProgram(t, 'relay', ['reload'], { env: relay.env })
    t.match(ended, { code, stdout: '' })
    t.match(stderr, message)
    t.equal(stderr.indexOf('\n'), stderr.length - 1, 'one line')
  }
  t.equal(await ask(other, 'x'), 'a:x', 'what was there before stays in force')
  relay.write(relayFile('identities:', ...identity('other', 'token: third-token-here')))
  relay.program.signal('SIGHUP')
  await next.program.find(/"reason":"authentication failed"|1002/, 'stderr')
  t.equal((await next.program.ended).code, 1, 'an identity that is gone')
  t.notMatch(relay.program.stdout + relay.program.stderr, /another-token|third-token|a-token-for-tests/)
})

t.test('it listens elsewhere, and users and clients stay', async (t) => {
  const service = await tcpService(t, 'a')
  const [port, door] = await freePorts(2)
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const peer = startPeer(t, relay, ['--map', `${port}:${service.port}`, '--mode', 'compatible'])
  await peer.program.find(/^ready gotunnel/m)
  const user = new User(t, port)
  await user.hear('a:')
  relay.write(relayFile(`token: ${TOKEN}`).replace('127.0.0.1:0', `127.0.0.1:${door}`))
  t.match(await relay.ask('reload'), { services: [{ ended: 0, url: `tcp://127.0.0.1:${door}` }] })
  user.say('1')
  await user.hear('a:1')
  t.match((await relay.ask('status')).services, [{ url: `tcp://127.0.0.1:${door}`, clients: 1, users: 1 }])
  await startPeer(t, { port: door }, ['--map', `${await freePort()}:${service.port}`]).program.find(/^ready gotunnel/m)
})

t.test('a certificate is renewed', async (t) => {
  const relay = await startRelay(t, relayFile(`token: ${TOKEN}`))
  const folder = t.testdirName
  const write = (pair: { cert: string, key: string }): void => {
    writeFileSync(join(folder, 'cert.pem'), pair.cert)
    writeFileSync(join(folder, 'key.pem'), pair.key)
  }
  const fingerprint = async (port: number): Promise<string> => {
    const socket = connectTls({ host: '127.0.0.1', port, rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }
  write({ cert, key })
  relay.write(relayFile(`token: ${TOKEN}`, `tls-cert: ${folder}/cert.pem`, `tls-key: ${folder}/key.pem`))
  const { services: [{ url }] } = await relay.ask('reload')
  t.match(url, /^tls:\/\//, 'it speaks TLS from now on')
  const port = Number(new URL(url).port)
  const before = await fingerprint(port)
  write(second)
  t.match(await relay.ask('reload'), { services: [{ url, ended: 0 }] })
  t.not(await fingerprint(port), before)
})

t.test('candy and gotunnel in one process', async (t) => {
  const service = await tcpService(t, 'a')
  const port = await freePort()
  const candy = config(network('/a', 'secret-a'))
  const relay = await startRelay(t, `${relayFile(`token: ${TOKEN}`)}${candy}metrics: 0\n`)
  const [, url] = await relay.program.find(/^ready candy (ws:.*)$/m)
  const [, metrics] = await relay.program.find(/^ready metrics (.*)$/m)
  await joined(t, `${url}/a`, 'secret-a', '10.77.0.1')
  const peer = startPeer(t, relay, ['--map', `${port}:${service.port}`])
  await peer.program.find(/^ready gotunnel/m)
  t.equal(await ask(port, 'x'), 'a:x')
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  t.match(numbers, /^tunpipe_candy_peers\{network="\/a"\} 1$/m)
  t.match(numbers, /^tunpipe_gotunnel_ports\{identity="default"\} 1$/m)
  t.match((await relay.ask('status')).services, [{ protocol: 'candy', peers: 1 }, { protocol: 'gotunnel', ports: 1 }])
  relay.write(`${relayFile(`token: ${TOKEN}`)}${config(network('/a', 'secret-a'), network('/b', 'secret-b'))}metrics: 0\n`)
  t.match(await relay.ask('reload'), { services: [{ protocol: 'candy', added: ['/b'], ended: 0 }, { protocol: 'gotunnel', ended: 0 }] })
  t.equal(await ask(port, 'x'), 'a:x')
  relay.program.signal('SIGTERM')
  t.match(await relay.program.ended, { code: 0 })
  t.notMatch(relay.program.stdout + relay.program.stderr, /secret-[ab]|a-token-for-tests/)
})

t.test('a port that another program has is shown', async (t) => {
  const blocker = createServer().listen(0, '127.0.0.1')
  t.teardown(() => { blocker.close() })
  await once(blocker, 'listening')
  const { port: busy } = blocker.address() as AddressInfo
  const service = await tcpService(t, 'a')
  const port = await freePort()
  const relay = await startRelay(t, relayFile('token: a-token', 'ports: 1-65535'))
  const peer = startPeer(t, relay, ['--map', `${port}:${service.port}`, '--map', `${busy}:${service.port}`, '--mode', 'compatible'], 'a-token')
  await relay.program.find(/"port":(\d+),.*"waits":"busy","detail":"[^"]*EADDRINUSE[^"]*"/, 'stderr')
  const { services } = await eventually(() => relay.ask('status'), ({ services }) => services[0].clients === 2)
  const mapped = services[0].identities[0].mapped
  t.match(mapped.find((each: { port: number }) => each.port === busy), { state: 'busy', mode: 'compatible', users: 0 })
  t.match((await runProgram(t, 'relay', ['status'], { env: relay.env })).stdout, new RegExp(`^${busy} .* compatible +busy `, 'm'))
  peer.program.signal('SIGTERM')
  t.equal((await peer.program.ended).code, 0)
})
