/** Several protocols in one process: candy, and one of the test's own (`echo-program.ts`). */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { homeEnv } from '../helpers/programs/homes.ts'
import { readCapture } from '../helpers/pcapng.ts'
import { askControl } from '../helpers/cli/control.ts'
import { config, joined, network } from '../helpers/cli/candy.ts'
import { startProgram, startScript, type Ended, type Program } from '../helpers/programs/program.ts'

const script = fileURLToPath(new URL('../helpers/cli/echo-program.ts', import.meta.url))
const TOKEN = 'token-of-echo'
const ECHO = `echo:\n  listen: 127.0.0.1:0\n  token: ${TOKEN}\n`
const CANDY = config(network('/a', 'secret-a'))

interface Machine {
  env: Record<string, string>
  file: string
  write (text: string): void
  begin (program: 'relay' | 'peer', ...args: string[]): Program
  end (program: 'relay' | 'peer', ...args: string[]): Promise<Ended>
  /** Asks the one with the usual socket, as the commands do, but without a process each time. */
  ask (program: 'relay' | 'peer', command: 'status' | 'reload'): Promise<any>
}

/** A machine with a file and with programs that find each other. */
function machine (t: Test, text: string): Machine {
  const env = homeEnv()
  const file = join(t.testdir(), 'config.yaml')
  const write = (text: string): void => { writeFileSync(file, text, { mode: 0o600 }) }
  write(text)
  const begin: Machine['begin'] = (program, ...args) => startScript(t, script, [program, ...args], { env })
  return {
    env,
    file,
    write,
    begin,
    end: (program, ...args) => begin(program, ...args).ended,
    ask: (program, command) => askControl(env, program, command)
  }
}

const ECHO_READY = /^ready echo tcp:\/\/127\.0\.0\.1:(\d+)$/m
const CANDY_READY = /^ready candy (ws:.*)$/m

async function echoed (port: string, says: string): Promise<string> {
  const socket = connect(Number(port), '127.0.0.1')
  socket.end(says)
  return await text(socket)
}

t.test('both run, in one process', async (t) => {
  const { file, env, begin, end, ask } = machine(t, `${CANDY}${ECHO}`)
  const relay = begin('relay', '--config', file, '--metrics', '0')
  const [, port] = await relay.find(ECHO_READY)
  const [, url] = await relay.find(CANDY_READY)
  const [, metrics] = await relay.find(/^ready metrics (.*)$/m)
  t.equal(await echoed(port, 'hello'), 'hello')
  await joined(t, `${url}/a`, 'secret-a', '10.77.0.1')
  t.match(await (await fetch(`${metrics}/metrics`)).text(), /^tunpipe_candy_peers\{network="\/a"\} 1$/m)
  t.equal((await fetch(`${metrics}/healthz`)).status, 200)
  t.match(await ask('relay', 'status'), { health: 'ok', services: [{ protocol: 'candy', peers: 1 }, { protocol: 'echo', url: `tcp://127.0.0.1:${port}` }] })
  t.match(await end('relay', 'status'), { code: 0, stdout: new RegExp(`, ok\\ncandy ws:.*: 1 peer, [^]*\\necho tcp://127\\.0\\.0\\.1:${port}: 0 connections\\n$`) })
  t.match(await startProgram(t, 'relay', ['status'], { env }).ended, { code: 0, stdout: /\necho\n$/ }, 'a program that does not know it shows its name')
  relay.signal('SIGTERM')
  const { code, stdout, stderr } = await relay.ended
  t.equal(code, 0)
  t.match(stderr, /"protocol":"echo","length":13,"msg":"echoes"/)
  t.notMatch(stdout + stderr, TOKEN)
})

t.test('what runs is what was asked for', async (t) => {
  const { file, write, begin, end } = machine(t, `${CANDY}${ECHO}`)
  for (const [name, other, ready] of [['candy', 'echo', CANDY_READY], ['echo', 'candy', ECHO_READY]] as const) {
    const relay = begin('relay', name, '--config', file, '--metrics', '0')
    await relay.find(ready)
    await relay.find(/^ready metrics/m) // comes last
    t.notMatch(relay.stdout, `ready ${other}`)
    relay.signal('SIGTERM')
    t.match(await relay.ended, { code: 0 })
  }
  write('json: true\n')
  t.match(await end('relay', '--config', file), { code: 2, stdout: '', stderr: `${file}: no protocol, expected a section candy, gotunnel, natpass, rustdesk, showchain or echo\n` })
  t.match(await end('peer'), { code: 2, stderr: 'missing command, expected candy, gotunnel, natpass, rustdesk, showchain or echo (or --config FILE); see --help\n' })
  write(`${CANDY}echo:\n  listen: 5x\n`)
  t.match(await end('relay', 'candy', '--config', file), { code: 2, stderr: /config\.yaml:8: echo\.listen: not an address to listen on/ }, 'what does not run is checked all the same')
  const { stdout } = await end('relay', '--help')
  t.match(stdout, /^Usage: relay \[options\]\n +relay candy\|gotunnel\|natpass\|rustdesk\|showchain\|echo \[options\]\n/)
})

t.test('a secret comes from its own variable', async (t) => {
  const { file, write, env, begin } = machine(t, `${CANDY}${ECHO}`)
  env.TUNPIPE_TOKEN = 'longer-token-of-echo'
  const relay = begin('relay', '--config', file)
  await relay.find(ECHO_READY)
  await relay.find(/"length":20/, 'stderr')
  write(CANDY)
  const alone = begin('relay', '--config', file, '--metrics', '0', '--control', 'none')
  await alone.find(/^ready metrics/m)
  t.notMatch(alone.stdout, /echo/, 'which alone starts nothing')
})

t.test('all or nothing', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1')
  t.teardown(() => { taken.close() })
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  const { file, write, begin, end, ask } = machine(t, `${CANDY}${ECHO.replace(':0', `:${port}`)}`)
  t.match(await end('relay', '--config', file), { code: 1, stdout: /^ready candy [^\n]*\n$/, stderr: `relay: cannot listen on 127.0.0.1:${port}: address already in use\n` })

  write(`${CANDY}${ECHO}`)
  const relay = begin('relay', '--config', file)
  const [, url] = await relay.find(CANDY_READY)
  const [, echoPort] = await relay.find(ECHO_READY)
  const a = await joined(t, `${url}/a`, 'secret-a', '10.77.0.1')
  let gone = false
  void a.closed.then(() => { gone = true })
  const more = config(network('/a', 'secret-a'), network('/b', 'secret-b'))
  write(`${more}${ECHO.replace(':0', `:${port}`)}`)
  t.match(await end('relay', 'reload'), { code: 1, stdout: '', stderr: `relay: echo: cannot listen on 127.0.0.1:${port}: address already in use\n` })
  t.match(relay.stderr, /"reason":"echo: cannot listen on [^"]*","msg":"not reloaded: what was there before stays in force"/)
  t.same((await ask('relay', 'status')).services[0].networks.map(({ path }: any) => path), ['/a'], 'candy is as it was')
  t.notOk(gone, 'and a client whose settings were the same has not noticed')
  t.equal(await echoed(echoPort, 'x'), 'x')

  write(`${more}${ECHO.replace(TOKEN, 'other-token-of-echo')}`)
  t.same(await ask('relay', 'reload'), {
    program: 'relay',
    services: [{ protocol: 'candy', added: ['/b'], removed: [], ended: 0 }, { protocol: 'echo', moved: `tcp://127.0.0.1:${echoPort}` }],
    restart: ['echo.token'],
    warnings: []
  })
  t.equal((await end('relay', 'reload')).stdout, 'reloaded candy: 0 connections ended\nreloaded echo\nfrom the next start on: echo.token\n')
  t.notMatch(relay.stdout + relay.stderr, /token-of-echo|secret-[ab]/)
})

t.test('sections that come and go hold from the next start on', async (t) => {
  const { file, write, begin, end, ask } = machine(t, CANDY)
  const relay = begin('relay', '--config', file)
  await relay.find(CANDY_READY)
  write(`${CANDY}${ECHO}metrics: 0\n`)
  t.match(JSON.parse((await end('relay', 'reload', '--config', file, '--json')).stdout), { services: [{ protocol: 'candy' }], restart: ['metrics', 'echo'] })
  write(ECHO)
  t.match(await ask('relay', 'reload'), { services: [], restart: ['echo', 'candy'] })
  t.match((await ask('relay', 'status')).services, [{ protocol: 'candy', networks: [{ path: '/a' }] }], 'it goes on')
  write(`${CANDY}${ECHO.replace(TOKEN, '5')}`)
  t.match(await end('relay', 'reload'), { code: 2, stderr: /echo\.token: not text/ }, 'what will hold is checked now')
  write('{}\n')
  t.match(await end('relay', 'reload'), { code: 2, stderr: /: no protocol, expected a section candy, gotunnel, natpass, rustdesk, showchain or echo\n$/ })
})

t.test('captures are of those that can be captured', async (t) => {
  const { file, begin, end } = machine(t, `${CANDY}${ECHO}`)
  const relay = begin('relay', '--config', file)
  await relay.find(ECHO_READY)
  const [out, other] = ['x.pcapng', 'y.pcapng'].map((name) => join(t.testdirName, name))
  const capture = begin('relay', 'capture', '--write', out) // candy's, as there is no other
  await capture.find(/^capturing to /m, 'stderr')
  capture.signal('SIGINT')
  t.match(await capture.ended, { code: 0 })
  t.same(readCapture(readFileSync(out)).packets, [])
  t.match(await end('relay', 'capture', '--write', other, '--protocol', 'echo'), { code: 2, stderr: '--protocol: does not run here, or has no capture ("echo"), expected candy\n' })
  t.match(await end('relay', 'capture', '--write', other, '--protocol', 'x'), { code: 2, stderr: '--protocol: not a protocol ("x"), expected candy, gotunnel, natpass, rustdesk, showchain or echo\n' })
  relay.signal('SIGTERM')
  await relay.ended
  const single = begin('relay', 'echo', '--listen', '0')
  await single.find(ECHO_READY)
  t.match(await end('relay', 'capture', '--write', other), { code: 2, stderr: 'no capture can be made of echo\n' })
  t.match(await end('relay', 'status', '--protocol', 'candy'), { code: 2, stderr: '--protocol: does not run here ("candy"), expected echo\n' })
  t.match(await end('relay', 'reload', '--protocol', 'candy'), { code: 2, stderr: '--protocol: does not run here ("candy"), expected echo\n' })
  t.notOk(existsSync(other))
})

t.test('it is well when all are', async (t) => {
  const { file, write, begin, ask } = machine(t, '')
  const other = machine(t, CANDY)
  const relay = other.begin('relay', '--config', other.file)
  const [, url] = await relay.find(CANDY_READY)
  write(`candy:\n  url: ${url}/a\n  password: secret-a\n  tun: none\n${ECHO}`)
  const peer = begin('peer', '--config', file, '--json')
  await peer.find(/"event":"online"/)
  t.match(await ask('peer', 'status'), { health: 'ok', services: [{ protocol: 'candy', state: 'online' }, { protocol: 'echo' }] })
  relay.signal('SIGTERM')
  await peer.find(/"event":"offline"/)
  t.match(await ask('peer', 'status'), { health: 'offline' })
})

t.test('several processes on one machine are told apart', async (t) => {
  const { env, file, write, begin, end } = machine(t, ECHO)
  const shown = async (...args: string[]): Promise<string[]> => JSON.parse((await end('peer', 'status', '--json', ...args)).stdout).services.map(({ protocol }: any) => protocol)
  const socket = (name: string): string => join(env.RUNTIME_DIRECTORY, `${name}.sock`)
  const echo = begin('peer', 'echo', '--listen', '0')
  await echo.find(ECHO_READY)
  t.same(await shown(), ['echo'], 'the only one there is')
  const candy = begin('peer', 'candy', '--url', 'ws://127.0.0.1:1/', '--password', 'x', '--tun', 'none', '--metrics', '0')
  await candy.find(/^ready metrics/m)
  write(`candy:\n  url: ws://127.0.0.1:1/\n  password: x\n  name: home\n  tun: none\n${ECHO}`)
  const both = begin('peer', '--config', file)
  await both.find(ECHO_READY)
  for (const [args, expected] of [
    [[], ['candy']],
    [['--protocol', 'candy'], ['candy']],
    [['--protocol', 'echo'], ['echo']],
    [['--config', file], ['candy', 'echo']],
    [['--name', 'home', '--protocol', 'echo'], ['echo']]
  ] as const) t.same(await shown(...args), expected, args.join(' '))
  t.match(await end('peer', 'status', '--name', 'x'), { code: 1, stderr: `peer: nobody listens at ${socket('peer-x')}, expected --control ${socket('peer-echo')}, ${socket('peer-home')} or ${socket('peer')}\n` })
  candy.signal('SIGKILL') // its socket stays behind
  await candy.ended
  t.match(await end('peer', 'status'), { code: 1, stderr: `peer: nobody listens at ${socket('peer')}, expected --control ${socket('peer-echo')} or ${socket('peer-home')}\n` })
  echo.signal('SIGTERM')
  await echo.ended
  t.same(await shown(), ['candy', 'echo'])
  t.match(await end('relay', 'status'), { code: 1, stderr: /^relay: nobody listens at .*\/relay\.sock: is it running\?/ }, 'a peer is no relay')
})
