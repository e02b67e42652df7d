/** `peer rustdesk serve` and `connect` as their users run them. */
import { createHash, randomBytes } from 'node:crypto'
import { chmodSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import t from 'tap'
import { askControl } from '../../helpers/cli/control.ts'
import { ask, tcpService, User } from '../../helpers/cli/gotunnel.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram } from '../../helpers/programs/program.ts'
import { portOf, startPeer, startServer } from '../../helpers/rustdesk/programs.ts'

const [NAS, LAPTOP] = ['123456789', 'laptop-1']
const BYTES = 3_000_000

const hashOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex')

/** All that comes back when one sends these bytes. */
async function echoOf (port: number, bytes: Uint8Array): Promise<Buffer> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.end(bytes)
  return await buffer(socket)
}

t.test('a service, users, status, explain, who may connect, a server that restarts, and an orderly end', { timeout: 110_000 }, async (t) => {
  const server = await startServer(t)
  const friends = join(t.testdir({ friends: `# friends\n${LAPTOP} # the laptop\n` }), 'friends')
  const service = await tcpService(t, '')
  const nas = startPeer(t, ['serve', ...server.args, '--id', '123 456 789', '--to', String(service.port), '--allow', `@${friends}`])
  await nas.program.find(new RegExp(`"event":"ready","protocol":"rustdesk","url":"rustdesk://127\\.0\\.0\\.1:${server.port}/${NAS}"`))
  await nas.program.find(/"event":"nat","protocol":"rustdesk","type":"asymmetric"/)
  const laptop = startPeer(t, ['connect', NAS, ...server.args, '--id', LAPTOP, '--listen', '0', '--metrics', '0'])
  await laptop.program.find(/"event":"path","protocol":"rustdesk","peer":"123456789","path":"local","endpoint":"127\.0\.0\.1:\d+","why":"the server sees both at one address"}\n\{"event":"online","protocol":"rustdesk","peer":"123456789"/)
  await nas.program.find(/"event":"served","protocol":"rustdesk","peer":"laptop-1","path":"local","state":"connected"/)
  const port = await portOf(laptop)
  t.equal(await ask(port, 'hello'), ':hello')
  const sent = randomBytes(BYTES)
  t.equal(hashOf((await echoOf(port, sent)).subarray(1)), hashOf(sent))
  t.match(await runProgram(t, 'peer', ['status'], { env: laptop.env }), { code: 0, stdout: /^rustdesk 127\.0\.0\.1:\d+: laptop-1 registered, NAT asymmetric\nkey [^\n]+\n\nCONNECTS TO .*123456789 .* online .*local 127/ms })
  t.match(await runProgram(t, 'peer', ['explain', NAS], { env: laptop.env }), { code: 0, stdout: /^123456789: local 127\.0\.0\.1:\d+: the server sees both at one address\nthis peer connects to it\nhere: NAT asymmetric\n.*looks for a path/s })
  t.match(await runProgram(t, 'peer', ['explain', 'x'], { env: laptop.env }), { code: 2, stderr: /not an id \("x"\)/ })
  const [, metrics] = await laptop.program.find(/"protocol":"metrics","url":"([^"]+)"/)
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  for (const line of ['online 1', 'registered 1', 'peer_accepted_total{peer="123456789"} 2', 'path{peer="123456789",path="local"} 1']) t.ok(numbers.includes(`\ntunpipe_rustdesk_${line}\n`), line)

  const user = new User(t, port)
  user.say('a')
  await user.hear(':a')
  await server.restart()
  user.say('b')
  await user.hear(':ab')

  writeFileSync(friends, '# nobody\n')
  t.match(await runProgram(t, 'peer', ['reload'], { env: nas.env }), { code: 2, stderr: /nobody may connect/ })
  user.say('c')
  await user.hear(':abc')
  writeFileSync(friends, `${await laptop.key()}\n`)
  t.match(await runProgram(t, 'peer', ['reload'], { env: nas.env }), { code: 0, stdout: 'reloaded rustdesk: 0 sessions ended\n' }, 'by its key it may still connect')
  writeFileSync(friends, 'stranger\n')
  t.match(await runProgram(t, 'peer', ['reload'], { env: nas.env }), { code: 0, stdout: 'reloaded rustdesk: 1 session ended\n' })
  await user.closed
  await laptop.program.find(/"event":"offline","protocol":"rustdesk","peer":"123456789"/)
  t.match((await askControl(nas.env, 'peer-rustdesk', 'status')).services, [{ served: [] }])
  await laptop.program.find(/"reason":"123456789 does not let this peer in/)
  writeFileSync(friends, `${LAPTOP}\n`)
  t.match(await runProgram(t, 'peer', ['reload'], { env: nas.env }), { code: 0 })
  await laptop.program.find(/"event":"offline".*"event":"online"/s)
  t.equal(await ask(port, 'back'), ':back', 'one that was online tries again for ever')

  for (const { env } of [nas, laptop]) {
    const file = join(env.STATE_DIRECTORY, 'rustdesk-identity')
    t.equal(statSync(file).mode & 0o777, 0o600)
    const [, secret] = /^key (.+)$/m.exec(readFileSync(file, 'utf8')) ?? []
    for (const { program } of [nas, laptop]) t.notMatch(program.stdout + program.stderr, secret)
  }
  for (const { program } of [laptop, nas, server]) {
    program.signal('SIGTERM')
    t.match(await program.ended, { code: 0 })
  }
})

t.test('by the relay alone; a peer without an id is known by its key; the same identity after a restart', { timeout: 110_000 }, async (t) => {
  const server = await startServer(t)
  const service = await tcpService(t, 'nas')
  const laptopEnv = homeEnv()
  const first = startPeer(t, ['connect', NAS, ...server.args, '--listen', '0'], laptopEnv)
  const key = await first.key()
  t.match(await first.program.ended, { code: 3 })
  const nas = startPeer(t, ['serve', ...server.args, '--id', NAS, '--to', String(service.port), '--allow', key, '--direct', 'off'])
  await nas.program.find(/"event":"registered"/)
  const laptop = startPeer(t, ['connect', NAS, ...server.args, '--listen', '0'], laptopEnv)
  t.equal(await laptop.key(), key)
  await laptop.program.find(/"event":"path","protocol":"rustdesk","peer":"123456789","path":"relay"/)
  t.equal(await ask(await portOf(laptop), 'hello'), 'nas:hello')
  t.match((await askControl(nas.env, 'peer-rustdesk', 'status')).services, [{ served: [{ name: `key ${key}`, path: 'relay' }] }])
})

t.test('what ends connect, and serve: each its own words and exit code', { timeout: 110_000 }, async (t) => {
  const server = await startServer(t)
  const nas = startPeer(t, ['serve', ...server.args, '--id', NAS, '--to', '9', '--allow', 'friend-1'])
  await nas.program.find(/"event":"registered"/)
  const other = Buffer.alloc(32, 7).toString('base64')
  const connecting = (id: string, ...more: string[]) => runProgram(t, 'peer', ['rustdesk', 'connect', id, ...server.args, '--listen', '0', ...more])
  const ended = await Promise.all([
    connecting('987654321'),
    connecting(NAS),
    connecting(NAS, '--key', other),
    connecting(NAS, '--server', '127.0.0.1:1'),
    runProgram(t, 'peer', ['rustdesk', 'serve', ...server.args, '--id', NAS, '--to', '9', '--allow', 'any'])
  ])
  t.match(ended, [
    { code: 3, stderr: /"msg":"no peer with the id 987654321 has registered at this server"/ },
    { code: 6, stderr: /"msg":"123456789 does not let this peer in: it is not on the list of those that may"/ },
    { code: 5, stderr: /"msg":"the server has another key than --key"/ },
    { code: 7, stderr: /"msg":"no path: connect ECONNREFUSED 127\.0\.0\.1:1"/ },
    { code: 8, stderr: /"msg":"the id 123456789 belongs to another machine"/ }
  ])
  const waiting = startPeer(t, ['connect', '987654321', ...server.args, '--listen', '0', '--wait'])
  await waiting.program.find(/("event":"offline".*){2}/s)
  const late = startPeer(t, ['serve', ...server.args, '--id', '987654321', '--to', '9', '--allow', await waiting.key()])
  await late.program.find(/"event":"registered"/)
  await waiting.program.find(/"event":"online"/)
  const refused = startPeer(t, ['connect', NAS, ...server.args, '--listen', '0', '--wait'])
  t.match(await refused.program.ended, { code: 6 }, 'no waiting changes that')
  nas.program.signal('SIGTERM')
  await nas.program.ended
  await server.restart() // it knows the peer, and has not heard it since
  t.match(await connecting(NAS), { code: 4, stderr: /"msg":"123456789 is offline/ })
})

t.test('several targets: none ends the program', { timeout: 110_000 }, async (t) => {
  const server = await startServer(t)
  const file = join(t.testdir({ 'peer.yaml': 'rustdesk: { connect: [ { id: 987654321, listen: 0 }, { id: office-pc, listen: 0 } ] }\n' }), 'peer.yaml')
  const { program } = startPeer(t, ['--config', file, ...server.args])
  await program.find(/("event":"offline".*){3}/s)
  program.signal('SIGTERM')
  t.match(await program.ended, { code: 0 })
})

t.test('wrong input', { timeout: 110_000 }, async (t) => {
  const key = Buffer.alloc(32, 7).toString('base64')
  const folder = t.testdir({ open: 'uuid x\nkey y\n', wrong: 'uuid x\nkey y\n' })
  for (const [file, mode] of [['open', 0o644], ['wrong', 0o600]] as const) chmodSync(join(folder, file), mode)
  const server = ['--server', '127.0.0.1', '--key', key]
  const serve = (...args: string[]): string[] => ['serve', ...server, ...args]
  const wrong: Array<[args: string[], said: RegExp]> = [
    [serve('--id', NAS, '--to', '22'), /^--allow: nobody may connect, expected an id/],
    [serve('--id', NAS, '--allow', 'any'), /^--to: missing/],
    [serve('--to', '22', '--allow', 'any'), /^--id: missing, expected an id/],
    [serve('--id', 'x', '--to', '22', '--allow', 'any'), /^--id: not an id \("x"\), expected an id such as/],
    [serve('--id', NAS, '--to', '22', '--allow', 'x'), /^--allow: not whom to allow \("x"\)/],
    [serve('--id', NAS, '--to', '22', '--allow', '@/nowhere'), /^--allow: cannot be read \("\/nowhere"\): no such file/],
    [['serve', '--server', 'x', '--key', 'short', '--id', NAS, '--to', '22', '--allow', 'any'], /^--key: not a key \("short"\), expected a public key: 32 bytes in base64/],
    [['serve', '--key', key, '--id', NAS, '--to', '22', '--allow', 'any'], /^--server: missing/],
    [['connect', NAS, '--server', 'a:b', '--key', key, '--listen', '0'], /^--server: not the address of a server/],
    [['connect', NAS, ...server], /^--listen: missing/],
    [['connect', 'x', ...server, '--listen', '0'], /^TARGET: not an id/],
    [['connect', NAS, ...server, '--listen', '0', '--id', NAS], /^TARGET: 123456789 is the id of this peer itself/],
    [['connect', NAS, ...server, '--listen', '0', '--identity', join(folder, 'open')], /^--identity: others can read the key, or write it/],
    [['connect', NAS, ...server, '--listen', '0', '--identity', join(folder, 'wrong')], /^--identity: not the identity of a peer/],
    [['connect', NAS, ...server, '--listen', '0', '--identity', folder], /^--identity: not a file/]
  ]
  for (const [args, said] of wrong) {
    const { code, stdout, stderr } = await runProgram(t, 'peer', ['rustdesk', ...args])
    t.equal(code, 2, args.join(' '))
    t.match(stderr, said)
    t.equal(stdout, '')
  }
  for (const command of [[], ['serve'], ['connect']]) t.match((await runProgram(t, 'peer', ['rustdesk', ...command, '--help'])).stdout.replaceAll(/\s+/g, ' '), /a RustDesk desktop client does not show a screen with it\. .*Exit codes: /)
})
