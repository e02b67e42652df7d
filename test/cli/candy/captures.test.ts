/** Captures of running programs, as whoever runs them makes them. */
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { forward, type CandyClient } from '../../helpers/candy/client.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { readCapture } from '../../helpers/pcapng.ts'
import { config, joined, network, start, type Started } from '../../helpers/cli/candy.ts'
import { runProgram, startProgram, type Program } from '../../helpers/programs/program.ts'

t.test('a capture of one peer, and of a network', async (t) => {
  const { url, env } = await start(t, config(network('/a', 'secret-a'), network('/b', 'secret-b')))
  const [a, b, c] = await Promise.all(['10.77.0.1', '10.77.0.2', '10.77.0.3'].map((address) => joined(t, `${url}/a`, 'secret-a', address)))
  const folder = t.testdir({ there: '' })
  const capture = (file: string, ...args: string[]): Program => startProgram(t, 'relay', ['capture', '--write', file, ...args], { env })
  const [one, all] = [join(folder, 'one.pcapng'), join(folder, 'all.pcapng')]
  const captures = [capture(one, '--network', '/a', '--peer', '10.77.0.2'), capture(all, '--network', '/a')]
  await Promise.all(captures.map((program) => program.find(/^capturing to /m, 'stderr')))
  a.send(forward('10.77.0.1', '10.77.0.2', 100), forward('10.77.0.1', '10.77.0.3', 100))
  await b.next()
  b.send(forward('10.77.0.2', '10.77.0.3', 50), Buffer.from('05 0a4d0002 ffffffff'.replaceAll(' ', ''), 'hex'))
  await a.next()
  await c.settled()
  for (const program of captures) {
    program.signal('SIGINT')
    t.match(await program.ended, { code: 0, stderr: /^capturing to .*\nwrote \d.* to .*\.pcapng\n$/ })
  }
  const seen = (file: string): string[] => readCapture(readFileSync(file)).packets.map(({ interfaceId, direction, data }) => `${interfaceId} ${direction} ${data.length}`)
  t.same(seen(one), ['0 out 120', '0 in 70', '1 in 9'])
  t.same(seen(all), ['0 in 120', '0 in 120', '0 in 70', '1 in 9'], 'each once')
  t.equal((statSync(one).mode & 0o777).toString(8), '600')

  for (const [args, message] of [
    [['--write', join(folder, 'there'), '--network', '/a'], /there is there already, expected a new file \(or --overwrite\)$/],
    [['--write', join(folder, 'x')], /^--network: missing, expected \/a or \/b$/],
    [['--write', join(folder, 'x'), '--network', '/c'], /^--network: not a network \("\/c"\), expected \/a or \/b$/],
    [['--write', join(folder, 'x'), '--network', '/a', '--peer', 'x'], /^--peer: not an address \("x"\)/],
    [['--network', '/a'], /^--write: missing/],
    [['--write', join(folder, 'x'), '--network', '/a', '--max-bytes', '4095'], /^--max-bytes: not a whole number in range \("4095"\), expected 4096 to /]
  ] as const) {
    const { code, stdout, stderr } = await runProgram(t, 'relay', ['capture', ...args], { env })
    t.match({ code, stdout, stderr: stderr.trimEnd() }, { code: 2, stdout: '', stderr: message }, args.join(' '))
  }
  t.notOk(existsSync(join(folder, 'x')))

  const bounded = capture(join(folder, 'bounded.pcapng'), '--network', '/a', '--max-bytes', '5000')
  await bounded.find(/^capturing to /m, 'stderr')
  for (let i = 0; i < 40; i++) a.send(forward('10.77.0.1', '10.77.0.3', 100))
  t.match(await bounded.ended, { code: 0, stderr: /, which is as large as it may be\n$/ })
  t.ok(statSync(join(folder, 'bounded.pcapng')).size <= 5000)
})

interface Pair extends Started {
  a: CandyClient
  capture (...args: string[]): Program
}

/** A relay with one network and a client that talks to itself. */
async function pair (t: Test): Promise<Pair> {
  const started = await start(t, config(network('/a', 'secret-a')))
  return { ...started, a: await joined(t, `${started.url}/a`, 'secret-a', '10.77.0.1'), capture: (...args) => startProgram(t, 'relay', ['capture', ...args], { env: started.env }) }
}

t.test('to stdout, for another program', async (t) => {
  const { a, capture } = await pair(t)
  const program = capture('--write', '-')
  const echo = forward('10.77.0.1', '10.77.0.1')
  while (!program.stdout.includes('aaaaaaaa')) { // the payload, once it is there
    a.send(echo)
    await a.next()
  }
  program.child.stdout?.destroy() // `head` has had enough
  while (program.child.exitCode === null) {
    a.send(echo)
    await a.next()
  }
  t.match(await program.ended, { code: 0, stderr: '' })
})

t.test('a file that is replaced is for its owner only', async (t) => {
  const { a, capture } = await pair(t)
  const file = join(t.testdir({ 'old.pcapng': 'x'.repeat(10_000) }), 'old.pcapng')
  const program = capture('--write', file, '--overwrite')
  await program.find(/^capturing to /m, 'stderr')
  a.send(forward('10.77.0.1', '10.77.0.1'))
  await a.next()
  program.signal('SIGINT')
  t.equal((await program.ended).code, 0)
  t.equal((statSync(file).mode & 0o777).toString(8), '600')
  t.equal(readCapture(readFileSync(file)).packets.length, 1)
})

t.test('a disk that is full, and a relay that dies, are one line and exit code 1', async (t) => {
  const { relay, a, capture } = await pair(t)
  const file = join(t.testdir(), 'x.pcapng')
  t.match(await capture('--write', '/dev/full', '--overwrite').ended, { code: 1, stdout: '', stderr: /^capturing to \/dev\/full, until Ctrl-C\nrelay: cannot write \/dev\/full: no space left on device\n$/ })
  const program = capture('--write', file)
  await program.find(/^capturing to /m, 'stderr')
  a.send(forward('10.77.0.1', '10.77.0.1'))
  await a.next()
  relay.signal('SIGKILL')
  t.match(await program.ended, { code: 1, stderr: /\nwrote .*\nrelay: the relay has stopped, or has died, in the middle of the capture\n$/ })
  t.ok(existsSync(file))
})

t.test('a peer: status and capture', async (t) => {
  const { relay, url } = await start(t, config(network('/a', 'secret-a', '      sdwan: 10.77.0.0/24,172.16.0.0/16,10.77.0.9\n')))
  const env = { ...homeEnv(), TUNPIPE_PASSWORD: 'secret-a' }
  const folder = t.testdir()
  const file = join(folder, 'peer.yaml')
  writeFileSync(file, `candy:\n  url: ${url}/a\n  name: home\n  tun: none\n`)
  const peer = startProgram(t, 'peer', ['--config', file, '--json'], { env })
  const [, address] = await peer.find(/"event":"online","protocol":"candy","address":"([^/]*)\/24"/)
  const other = await joined(t, `${url}/a`, 'secret-a', '10.77.0.200')
  const program = startProgram(t, 'peer', ['capture', '--name', 'home', '--write', join(folder, 'peer.pcapng')], { env })
  await program.find(/^capturing to /m, 'stderr')
  const { inbox } = other
  inbox.length = 0
  const request = Buffer.from(forward('10.77.0.200', address, 8))
  Buffer.from('0800f7ff00000000', 'hex').copy(request, 21) // an echo request, which the host behind the peer answers
  request[10] = 1
  request.writeUInt16BE(0, 11)
  let sum = 0
  for (let at = 1; at < 21; at += 2) sum += request.readUInt16BE(at)
  request.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 11)
  other.send(request)
  t.equal(Buffer.from(await other.next())[21], 0, 'an answer')
  program.signal('SIGINT')
  t.match(await program.ended, { code: 0 })
  t.same(readCapture(readFileSync(join(folder, 'peer.pcapng'))).packets.map(({ direction, data }) => `${direction} ${data.length}`), ['in 28', 'out 28'])

  const ask = async (...args: string[]): Promise<string> => (await runProgram(t, 'peer', ['status', ...args], { env })).stdout
  t.match(JSON.parse(await ask('--config', file, '--json')), {
    program: 'peer',
    services: [{ state: 'online', address: `${address}/24`, interface: 'none', packetsIn: 1, packetsOut: 1, roundTrip: Number, queued: 0, pushed: [{ destination: '172.16.0.0/16', gateway: '10.77.0.9' }] }]
  })
  t.match(await ask('--name', 'home'), new RegExp(`^peer .*\\ncandy ${url}/a: online for \\d+ s, ${address}/24 on none, [\\d.]+ ms to the server and back\\nin 1 packet of 28 B, .*\\n0 connections lost or not made\\nroute 172\\.16\\.0\\.0/16 via 10\\.77\\.0\\.9\\ndirect paths: UDP port \\d+, told as .*\\n  STUN 127\\.0\\.0\\.1:3478: .*\\n\\nMEMBER +PATH .*\\n10\\.77\\.0\\.200 +relay +- .*\\n$`))
  t.match(await ask(), /^peer .*\ncandy /, 'the only one there is')
  t.match(await runProgram(t, 'peer', ['status', '--name', 'work'], { env }), { code: 1, stderr: /^peer: nobody listens at .*\/peer-work\.sock, expected --control .*\/peer-home\.sock\n$/ })
  relay.signal('SIGTERM')
  await peer.find(/"event":"offline"/)
  t.match(await ask('--name', 'home'), /: (waiting|connecting), .*\n.*\n\d+ connections? lost or not made, the last: /)
})
