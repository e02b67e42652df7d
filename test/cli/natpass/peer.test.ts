/** `peer natpass` as its users run it. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { SECRET } from '../../helpers/natpass/client.ts'
import { serve } from '../../helpers/natpass/serve.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'

async function udpEchoPort (t: Test): Promise<number> {
  const service = createSocket('udp4', (data, { port, address }) => { service.send(data, port, address) }).bind(0, '127.0.0.1')
  t.teardown(() => { service.close() })
  await once(service, 'listening')
  return service.address().port
}

async function echoPort (t: Test): Promise<number> {
  const server = createServer({ allowHalfOpen: true }, (socket) => { socket.pipe(socket) }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  return (server.address() as AddressInfo).port
}

t.test('help', async (t) => {
  t.match(await runProgram(t, 'peer', ['natpass', '--help']), { code: 0, stderr: '', stdout: /^Usage: peer natpass .*--allow <types>.*Examples:\n {2}peer natpass --server .*Exit codes: /s })
})

t.test('both ends, ports, status, metrics, and an orderly end', async (t) => {
  const { port } = await serve(t)
  const folder = t.testdir({
    secret: SECRET,
    'nas.yaml': 'natpass:\n  id: nas\n  allow:\n    - { from: laptop, types: [tcp, udp], ports: ["127.0.0.0/8:*"] }\n',
    'laptop.yaml': `natpass:\n  server: 127.0.0.1:${port}\n  secret-file: ./secret\n  id: laptop\n  rules:\n    - { name: web, target: nas, type: tcp, remote_port: ${await echoPort(t)} }\n    - { name: dns, target: nas, type: udp, remote_port: ${await udpEchoPort(t)} }\n`
  })
  const [env, nasEnv, secret] = [homeEnv(), homeEnv(), join(folder, 'secret')]
  const nas = startProgram(t, 'peer', ['natpass', '--server', `127.0.0.1:${port}`, '--secret-file', secret, '--config', join(folder, 'nas.yaml'), '--metrics', '0'], { env: nasEnv })
  await nas.find(new RegExp(`^ready natpass tcp://127\\.0\\.0\\.1:${port}$`, 'm'))
  const [, metrics] = await nas.find(/^ready metrics (.*)$/m)
  const laptop = startProgram(t, 'peer', ['--config', join(folder, 'laptop.yaml')], { env, cwd: folder })
  const [, local, udp] = await laptop.find(/^ready natpass tcp:\/\/127\.0\.0\.1:(\d+)\n.*^ready natpass udp:\/\/127\.0\.0\.1:(\d+)\n.*^ready natpass tcp:\/\/127\.0\.0\.1:\d+$/ms)
  const user = connect({ port: Number(local), host: '127.0.0.1', allowHalfOpen: true })
  user.end('hello')
  t.equal(await text(user), 'hello')
  const datagrams = createSocket('udp4')
  t.teardown(() => { datagrams.close() })
  datagrams.send('a datagram', Number(udp), '127.0.0.1')
  t.match(await once(datagrams, 'message'), [Buffer.from('a datagram'), { port: Number(udp) }])
  t.match(await runProgram(t, 'peer', ['status', '--protocol', 'natpass'], { env: nasEnv }), { code: 0, stdout: /natpass nas at 127\.0\.0\.1:\d+: online for .*\nlinks of others here: 1, 2 since the start, 0 refused$/m })
  t.match(await runProgram(t, 'peer', ['status', '--config', join(folder, 'laptop.yaml')], { env }), { code: 0, stdout: /RULE .*\nweb +tcp +nas +tcp:\/\/127\.0\.0\.1:\d+ +0 +1 +5 B +5 B +-/ })
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  for (const line of ['online 1', 'links 1', 'accepted_total 2', 'refused_total 0', 'lost_datagrams_total{reason="credit"} 0', 'evicted_sources_total 0']) t.ok(numbers.includes(`\ntunpipe_natpass_${line}\n`), line)
  for (const peer of [laptop, nas]) {
    peer.signal('SIGTERM')
    t.match(await peer.ended, { code: 0 })
    t.notMatch(peer.stdout + peer.stderr, SECRET)
  }
})

t.test('the configuration of the original client', async (t) => {
  const { port } = await serve(t)
  const folder = t.testdir({ 'client.yaml': `id: old\nserver: 127.0.0.1:${port}\nsecret: ${SECRET}\nssl:\n  enabled: false\ndashboard: { listen: 0.0.0.0, port: 0 }\nrules:\n  - name: sh\n    target: nas\n    type: shell\n    local_addr: 127.0.0.1\n` })
  const peer = startProgram(t, 'peer', ['natpass', '--config', join(folder, 'client.yaml')], { env: homeEnv() })
  const [, page] = await peer.find(/^ready natpass http:\/\/127\.0\.0\.1:\d+\nready natpass (http:\/\/127\.0\.0\.1:\d+)$/m)
  await peer.find(/^ready natpass tcp:/m)
  t.same(await (await fetch(`${page}/api/info`)).json(), { rules: 1, virtual_links: 0, sessions: 0 })
  t.match(peer.stderr, /dashboard\.listen: the page is on 127\.0\.0\.1 in place of 0\.0\.0\.0/)
  t.match(peer.stderr, /this one allows nothing, --allow says what others may open/)
})

t.test('wrong input', async (t) => {
  const base = ['natpass', '--server', '127.0.0.1:1', '--secret', 'x', '--id', 'a']
  const folder = t.testdir({
    'open.yaml': 'natpass:\n  server: 127.0.0.1:1\n  secret: x\n  id: a\n  rules:\n    - { name: sh, target: b, type: shell, local_addr: 0.0.0.0 }\n',
    'type.yaml': 'natpass:\n  server: 127.0.0.1:1\n  secret: x\n  id: a\n  rules:\n    - { name: sh, target: b, type: telnet }\n',
    'port.yaml': 'natpass:\n  server: 127.0.0.1:1\n  secret: x\n  id: a\n  rules:\n    - { name: web, target: b, type: tcp }\n'
  })
  const config = (name: string): string[] => ['natpass', '--config', join(folder, name)]
  for (const [args, stderr] of [
    [['natpass', '--server', '127.0.0.1:1', '--id', 'a'], /^--secret: missing/],
    [['natpass', '--server', '127.0.0.1:1', '--secret', 'x'], /^--id: missing/],
    [['natpass', '--server', '127.0.0.1:1', '--secret', 'x', '--id', 'server'], /^--id: not an id/],
    [[...base, '--allow', 'ftp'], /^--allow: not what a client may open \("ftp"\)/],
    [[...base, '--insecure'], /^--insecure: of no use without tls/],
    [config('open.yaml'), /open\.yaml:6: natpass\.rules\.0\.local_addr: .*page-password/],
    [config('type.yaml'), /type\.yaml:6: natpass\.rules\.0\.type: not a choice \("telnet"\)/],
    [config('port.yaml'), /port\.yaml:6: natpass\.rules\.0.*remote_port: missing/]
  ] as const) t.match(await runProgram(t, 'peer', args, { env: homeEnv() }), { code: 2, stdout: '', stderr }, args.join(' '))
})
