/** A relay with several workers as whoever runs it sees it. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { dialWebSocket } from '../../../src/transports/websocket.ts'
import { forward, type CandyClient } from '../../helpers/candy/client.ts'
import { until } from '../../helpers/ends.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { config, joined, network, start } from '../../helpers/cli/candy.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'

/** Loaded before a program: SIGUSR2 has its workers end by an error. */
const mortal = 'data:text/javascript,' + encodeURIComponent(`const workers = []
process.on('worker', (worker) => { workers.push(worker) })
process.on('SIGUSR2', () => { for (const worker of workers) worker.postMessage(null) })`)

t.test('status, reload, and an end by a signal', async (t) => {
  const text = config(network('/a', 'secret-a'))
  const { relay, url, env, write, reload, status } = await start(t, `workers: 2\n${text}`)
  const members: CandyClient[] = []
  for (let i = 1; i <= 8; i++) members.push(await joined(t, `${url}/a`, 'secret-a', `10.77.0.${i}`)) // each worker has some, one may suppose
  for (const [i, client] of members.entries()) client.send(...members.map((_client, to) => forward(`10.77.0.${i + 1}`, `10.77.0.${to + 1}`)))
  await until(() => members.every(({ inbox }) => inbox.length === members.length))
  t.match((await status()).services, [{ protocol: 'candy', url, workers: 2, connections: 8, peers: 8 }])
  const { stdout } = await runProgram(t, 'relay', ['status'], { env })
  t.match(stdout, /^candy ws:\/\/127\.0\.0\.1:\d+: 8 peers, 8 connections, 0 half-open; 2 workers$/m)
  t.match(await runProgram(t, 'relay', ['candy', '--listen', url, '--password', 'x', '--workers', '2'], { env: homeEnv() }), { code: 1, stderr: `relay: cannot listen on ${url}: address already in use\n` })
  t.match(await runProgram(t, 'relay', ['candy', '--listen', url, '--password', 'x'], { env: homeEnv() }), { code: 1, stderr: `relay: cannot listen on ${url}: address already in use\n` }, 'nor one without workers')

  const port = await freePort()
  write(`workers: 3\n${text.replace('127.0.0.1:0', `127.0.0.1:${port}`)}`)
  t.match(await reload(), { restart: ['workers'] })
  const next = await joined(t, `ws://127.0.0.1:${port}/a`, 'secret-a', '10.77.0.100')
  members[0].inbox.length = 0
  next.send(forward('10.77.0.100', '10.77.0.1'))
  await members[0].next()
  await t.rejects(dialWebSocket(`${url}/a`), { code: 'ECONNREFUSED' })

  relay.signal('SIGTERM')
  const { code, stderr } = await relay.ended
  t.equal(code, 0)
  t.notMatch(stderr, /could not drain/)
  for (const client of [...members, next]) t.equal((await client.closed).code, 1000)
})

t.test('a worker that dies ends the relay', async (t) => {
  const { relay, url } = await start(t, `workers: 2\n${config(network('/a', 'secret-a'))}`, homeEnv(), [], [mortal])
  const client = await joined(t, `${url}/a`, 'secret-a', '10.77.0.1')
  relay.signal('SIGUSR2')
  const { code, stderr } = await relay.ended
  t.equal(code, 1)
  t.match(stderr, /"level":60/)
  t.notMatch(stderr, /could not drain/)
  await client.closed
})

t.test('where it is of no use', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'peer.yaml')
  writeFileSync(file, 'workers: 2\ncandy:\n  url: ws://127.0.0.1:1/\n  password: x\n', { mode: 0o600 })
  t.match(await runProgram(t, 'peer', ['--config', file]), { code: 2, stdout: '', stderr: /peer\.yaml:1: workers: of no use in a peer, expected no such key\n$/ })
  for (const bad of ['0', '17', 'many']) t.match(await runProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', 'x', '--workers', bad]), { code: 2, stderr: /^--workers: / }, bad)
  const relay = join(folder, 'relay.yaml')
  writeFileSync(relay, 'workers: 2\ngotunnel:\n  listen: 127.0.0.1:0\n  token: hunter-2\n', { mode: 0o600 })
  const program = startProgram(t, 'relay', ['--config', relay, '--json'])
  await program.find(/"event":"ready","protocol":"gotunnel"/)
  await program.find(/"level":40.*"msg":"this protocol uses one thread"/, 'stderr')
})
