/** `relay natpass` as its users run it. */
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'
import { join as joinRelay, SECRET } from '../../helpers/natpass/client.ts'
import { data, isType, openLink, request } from '../../helpers/natpass/messages.ts'

const READY = /^ready natpass tcp:\/\/127\.0\.0\.1:([1-9]\d*)$/m
const LISTEN = ['natpass', '--listen', '127.0.0.1:0']

t.test('help', async (t) => {
  t.match(await runProgram(t, 'relay', ['natpass', '--help']), { code: 0, stderr: '', stdout: /^Usage: relay natpass .*--rule <rule>.*Examples:\n {2}relay natpass --listen 0\.0\.0\.0:6154 .*Exit codes: /s })
})

t.test('two clients, metrics, status, a capture, a reload, and an orderly end', async (t) => {
  const folder = t.testdir({ 'relay.yaml': `natpass:\n  listen: 127.0.0.1:0\n  secret: ${SECRET}\n` })
  const [file, pcap, env] = [join(folder, 'relay.yaml'), join(folder, 'b.pcapng'), homeEnv()]
  const relay = startProgram(t, 'relay', ['--config', file, '--metrics', '0'], { env })
  const [, port] = await relay.find(READY)
  const [, metrics] = await relay.find(/^ready metrics (.*)$/m)
  const [a, b] = [await joinRelay(t, Number(port), 'a'), await joinRelay(t, Number(port), 'b')]
  await openLink(a, b)
  t.match(await runProgram(t, 'relay', ['status'], { env }), { code: 0, stdout: /natpass tcp:\/\/127\.0\.0\.1:\d+: 2 clients, 1 link \(shell 1\), 1 since the start, 0 half-open\n\nCLIENT .*\na .*\nb /s })
  const { stdout } = await runProgram(t, 'relay', ['status', '--json'], { env })
  t.match(JSON.parse(stdout), { health: 'ok', services: [{ protocol: 'natpass', clients: 2, links: { shell: 1 }, members: [{ id: 'a', links: 1 }, { id: 'b' }] }] })
  const numbers = await (await fetch(`${metrics}/metrics`)).text()
  for (const line of ['clients 2', 'links{type="shell"} 1', 'opened_total 1', 'drops_total{reason="not_owner"} 0', 'refused_total{reason="secret"} 0', 'ended_links_total{reason="stalled"} 0']) t.ok(numbers.includes(`\ntunpipe_natpass_${line}\n`), line)

  const capture = startProgram(t, 'relay', ['capture', '--client', 'b', '--write', pcap], { env })
  await capture.find(/capturing to/, 'stderr')
  a.send(data('b', 'to be captured'))
  await b.next(isType('shellData'))
  capture.signal('SIGINT')
  t.match(await capture.ended, { code: 0 })
  t.ok(readFileSync(pcap).includes('to be captured'))

  writeFileSync(file, `natpass:\n  listen: 127.0.0.1:0\n  secret: ${SECRET}\n  rule: [ deny:any:any:any ]\n`)
  t.match(await runProgram(t, 'relay', ['reload'], { env }), { code: 0, stdout: /1 link ended, listens on tcp:\/\/127\.0\.0\.1:\d+/ })
  await b.next(isType('disconnect'))
  a.send(request('b', 'another'))
  t.match(await a.next(isType('connectRep')), { crep: { ok: false } })
  writeFileSync(file, 'natpass:\n  listen: 127.0.0.1:0\n')
  t.match(await runProgram(t, 'relay', ['reload'], { env }), { code: 2, stderr: /relay\.yaml:1: natpass\.secret: missing/ })

  relay.signal('SIGTERM')
  t.match(await relay.ended, { code: 0 })
  await Promise.all([a.closed, b.closed])
  t.notMatch(relay.stdout + relay.stderr, SECRET)
})

t.test('the configuration of the original server', async (t) => {
  const folder = t.testdir({ 'server.yaml': '#include common.yaml\nlisten: 127.0.0.1:0\nlog:\n  dir: ./logs\n', 'common.yaml': `secret: ${SECRET}\n` })
  const relay = startProgram(t, 'relay', ['natpass', '--config', join(folder, 'server.yaml')], { env: homeEnv() })
  const [, port] = await relay.find(READY)
  await joinRelay(t, Number(port), 'a')
  t.match(relay.stderr, /log/)
})

t.test('wrong input', async (t) => {
  const folder = t.testdir({ secret: SECRET, 'bad.yaml': 'natpass:\n  listen: 127.0.0.1:0\n  secrets: x\n' })
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  t.teardown(() => { taken.close() })
  for (const [args, code, stderr] of [
    [LISTEN, 2, /^--secret: missing, expected a secret \(or a secret-file, or TUNPIPE_SECRET\)\n$/],
    [['natpass', '--secret', 'x'], 2, /^--listen: missing, expected /],
    [[...LISTEN, '--secret', ''], 2, /^--secret: empty/],
    [[...LISTEN, '--secret', 'x', '--rule', 'allow:a:b'], 2, /^--rule: not a rule \("allow:a:b"\), expected allow:FROM:TO:TYPES/],
    [[...LISTEN, '--secret', 'x', '--rule', 'allow:a:b:ftp'], 2, /^--rule: not a rule/],
    [[...LISTEN, '--secret', 'x', '--max-links', '0'], 2, /^--max-links: not a whole number in range/],
    [[...LISTEN, '--secret', 'x', '--tls-cert', 'x.pem'], 2, /tls-key/],
    [['natpass', '--listen', 'tls://127.0.0.1:0', '--secret', 'x'], 2, /^--tls-cert: missing/],
    [[...LISTEN, '--secret', 'x', '--password', 'x'], 2, /--password/],
    [['natpass', '--config', join(folder, 'bad.yaml')], 2, /bad\.yaml:3: natpass\.secrets: /],
    [['natpass', '--listen', `127.0.0.1:${(taken.address() as AddressInfo).port}`, '--secret-file', join(folder, 'secret')], 1, /cannot listen on 127\.0\.0\.1:\d+/]
  ] as const) {
    const ended = await runProgram(t, 'relay', args, { env: homeEnv() })
    t.match(ended, { code, stderr }, args.join(' '))
    t.notMatch(ended.stdout, /ready/)
  }
})

t.test('the secret that everybody knows has to be written out, and is told', async (t) => {
  const relay = startProgram(t, 'relay', [...LISTEN, '--secret', '0123456789', '--legacy-md5'], { env: homeEnv() })
  await relay.find(READY)
  t.match(relay.stderr, /is the default of the original programs, which everybody knows/)
  t.match(relay.stderr, /legacy-md5 takes a proof that never changes/)
})
