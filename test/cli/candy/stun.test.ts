/** STUN of `relay candy`, as whoever runs it sees it. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import t from 'tap'
import { start } from '../../helpers/cli/candy.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startProgram } from '../../helpers/programs/program.ts'
import { decodeStun, encodeStun } from '../../../src/nat/index.ts'

const text = (more: string): string => `candy:\n  listen: ws://127.0.0.1:0\n  password: correct-horse\n${more}`

t.test('requests are answered and counted, until the relay stops', async (t) => {
  const { relay, env, write, reload, status } = await start(t, text('  stun-listen: 127.0.0.1:0\n'), homeEnv(), ['--metrics', '127.0.0.1:0'])
  const [, url, port] = await relay.find(/"protocol":"stun","url":"(udp:\/\/127\.0\.0\.1:(\d+))"/)
  const client = createSocket('udp4').bind(0, '127.0.0.1')
  t.teardown(() => client.close())
  await once(client, 'listening')
  for (const at of [Number(port), Number(port) + 1]) {
    client.send(encodeStun({ class: 'request', transaction: Buffer.alloc(12, 1) }), at, '127.0.0.1')
    const [data, from] = await once(client, 'message')
    t.equal(from.port, at)
    t.match(decodeStun(data), { class: 'success', xorMappedAddress: { host: '127.0.0.1', port: client.address().port } })
  }
  t.match((await status()).services[0].stun, { url, requests: 2, responses: 2, drops: { malformed: 0, queue: 0 } })
  t.match((await runProgram(t, 'relay', ['status'], { env })).stdout, new RegExp(`^stun ${url}: 2 requests, 2 responses$`, 'm'))
  const [, metrics] = await relay.find(/"protocol":"metrics","url":"([^"]*)"/)
  t.match(await (await fetch(`${metrics}/metrics`)).text(), /^tunpipe_candy_stun_responses_total 2$/m)
  write(text(''))
  t.match(await reload(), { restart: ['candy.stun-listen'] })
  const taken = await runProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', 'correct-horse', '--stun-listen', `127.0.0.1:${port}`], { env: homeEnv() })
  t.match(taken, { code: 1, stdout: '', stderr: `relay: cannot listen for STUN on ${url} and the next port: address already in use\n` })
  relay.signal('SIGTERM')
  t.match(await relay.ended, { code: 0 })
  const next = startProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', 'correct-horse', '--stun-listen', `127.0.0.1:${port}`], { env: homeEnv() })
  await next.find(new RegExp(`^ready stun ${url}$`, 'm'))
})

t.test('without the option there is none', async (t) => {
  const { status } = await start(t, text(''))
  t.equal((await status()).services[0].stun, undefined)
})

t.test('bad usage', async (t) => {
  const cases: Array<[args: string[], stderr: string]> = [
    [['--stun-listen', 'x'], '--stun-listen: not an address to listen on ("x"), expected HOST:PORT or PORT (then on all addresses), at most 65534\n'],
    [['--stun-listen', '65535'], '--stun-listen: not an address to listen on ("65535"), expected HOST:PORT or PORT (then on all addresses), at most 65534\n'],
    [['--stun-second', '127.0.0.2'], '--stun-second: of no use without stun-listen\n'],
    [['--stun-listen', '3478', '--stun-second', '127.0.0.2'], '--stun-second: of no use beside 0.0.0.0, expected one address to listen on in stun-listen\n'],
    [['--stun-listen', '127.0.0.1:3478', '--stun-second', '127.0.0.1'], '--stun-second: the address of stun-listen, expected another one\n']
  ]
  for (const [args, stderr] of cases) {
    t.match(await runProgram(t, 'relay', ['candy', '--listen', 'ws://127.0.0.1:0', '--password', 'x', ...args]), { code: 2, stdout: '', stderr }, args.join(' '))
  }
})
