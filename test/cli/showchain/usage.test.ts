/** Wrong input of `relay showchain` and `peer showchain`, and the commands that run once. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { parsePeer } from '../../../src/cli/peer-command.ts'
import { parseRelay } from '../../../src/cli/relay-command.ts'
import { complaint } from '../../helpers/cli/complaint.ts'
import { keyFolder, NAS } from '../../helpers/cli/showchain.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram } from '../../helpers/programs/program.ts'

t.test('keygen and id', async (t) => {
  const file = join(t.testdir(), 'new.pem')
  const made = await runProgram(t, 'peer', ['showchain', 'keygen', '--out', file, '--bits', '2048'])
  t.match(made, { code: 0, stderr: /^(looking for primes of a key of \d+ bits, which may take some seconds\n)?$/, stdout: /^[0-9a-f]{64}\n$/ })
  t.equal(statSync(file).mode & 0o777, 0o600)
  t.same(await runProgram(t, 'peer', ['showchain', 'id', '--identity', file]), { code: 0, stdout: made.stdout, stderr: '' })
  const { stdout } = await runProgram(t, 'peer', ['showchain', 'id', '--identity', file, '--json'])
  t.same(JSON.parse(stdout), { id: made.stdout.trim(), file, bits: 2048 })
  const before = readFileSync(file)
  t.match(await runProgram(t, 'peer', ['showchain', 'keygen', '--out', file, '--bits', '2048']), { code: 2, stdout: '', stderr: /^--out: .* is there already, expected a new file/ })
  t.same(readFileSync(file), before)
})

t.test('a busy port is named', async (t) => {
  const folder = keyFolder(t, 'laptop')
  const tcp = createServer().listen(0, '127.0.0.1')
  const udp = createSocket('udp4').bind(0)
  t.teardown(() => {
    tcp.close()
    udp.close()
  })
  await Promise.all([once(tcp, 'listening'), once(udp, 'listening')])
  const run = (listen: number, port: number) => runProgram(t, 'peer', ['showchain', 'connect', NAS, '--identity', join(folder, 'laptop.pem'), '--bootstrap', '127.0.0.1:1', '--listen', String(listen), '--port', String(port)], { env: homeEnv() })
  const { port: busy } = tcp.address() as AddressInfo
  t.match(await run(busy, 0), { code: 1, stdout: '', stderr: new RegExp(`cannot listen on tcp://127\\.0\\.0\\.1:${busy}: address already in use\n$`) })
  t.match(await run(0, udp.address().port), { code: 1, stdout: '', stderr: new RegExp(`cannot listen on udp://0\\.0\\.0\\.0:${udp.address().port}: address already in use\n$`) })
})

t.test('wrong input', async (t) => {
  const folder = keyFolder(t, 'relay', 'nas')
  const [key, empty] = [join(folder, 'nas.pem'), join(folder, 'empty')]
  writeFileSync(empty, '# nobody\n')
  const said = (argv: string[]): string => complaint(t, () => argv[0] === 'relay' ? parseRelay(argv.slice(1)) : parsePeer(argv.slice(1)))
  const serve = ['peer', 'showchain', 'serve', '--identity', key, '--bootstrap', '192.0.2.7:7700']
  const connect = ['peer', 'showchain', 'connect']
  const rest = ['--identity', key, '--bootstrap', '192.0.2.7:7700']
  const relay = ['relay', 'showchain', '--identity', join(folder, 'relay.pem')]
  for (const [argv, expected] of [
    [[...serve, '--to', '22'], /^--allow: nobody may connect, expected an id of 64 hexadecimal digits, @FILE with one a line, or any$/],
    [[...serve, '--allow', 'any'], /^--to: missing/],
    [[...serve, '--to', '22', '--allow', 'everybody'], /^--allow/],
    [[...serve, '--to', '22', '--allow', `@${empty}`], /^--allow: nobody may connect, as there is no id in/],
    [[...serve, '--to', '22', '--allow', `@${folder}/missing`], /^--allow: cannot be read/],
    [[...serve, '--to', '0', '--allow', 'any'], /^--to: not a service/],
    [[...serve, '--to', '22', '--allow', 'any', '--identity', `${folder}/x.pem`], /^--identity: there is no such file .*peer showchain keygen --out/],
    [['peer', 'showchain', 'serve', '--identity', key, '--to', '22', '--allow', 'any'], /^--bootstrap: missing/],
    [[...serve, '--to', '22', '--allow', 'any', '--bootstrap', 'relay'], /^--bootstrap: not a list of relays/],
    [[...connect, NAS, ...rest], /^--listen: missing/],
    [[...connect, NAS, ...rest, '--listen', '2222'], /^ID: that is the id of this node itself, by its key, expected that of another one$/],
    [[...connect, 'nas', ...rest, '--listen', '2222'], /^ID: not a node \("nas"\), expected an id of 64 hexadecimal digits, or ID@HOST:PORT$/],
    [[...connect, `${NAS}@192.0.2.1`, ...rest, '--listen', '2222'], /^ID: not a node/],
    [[...connect, ...rest, '--listen', '2222'], /missing required argument 'id'/],
    [[...relay], /^--listen: missing/],
    [[...relay, '--listen', '0.0.0.0:7700'], /^--listen: not an address to listen on .* expected udp:\/\/HOST:PORT/],
    [[...relay, '--listen', 'udp://0.0.0.0:7700', '--proxy', 'yes'], /^--proxy: not a choice/],
    [[...relay, '--listen', 'udp://0.0.0.0:7700', '--max-sessions', '0'], /^--max-sessions: not a whole number in range/],
    [[...relay, '--listen', 'udp://0.0.0.0:7700', '--byte-rate', '1'], /^--byte-rate: not a whole number in range/],
    [[...relay, '--listen', 'udp://0.0.0.0:7700', '--bootstrap', '192.0.2.1:0'], /^--bootstrap: not a list of helpers/]
  ] as const) t.match(said([...argv]), expected, argv.join(' '))
  t.match(await runProgram(t, 'peer', ['showchain', 'serve', '--to', '22', '--identity', key, '--bootstrap', '127.0.0.1:1'], { env: homeEnv() }), { code: 2, stdout: '', stderr: /^--allow: nobody may connect/ })
})

t.test('help', async (t) => {
  t.match(await runProgram(t, 'peer', ['showchain', '--help']), { code: 0, stdout: /^Usage: peer showchain .*Examples:.*keygen.*Exit codes: /s })
  t.match(await runProgram(t, 'peer', ['showchain', 'connect', '--help']), { code: 0, stdout: /^Usage: peer showchain connect .*<id>.*--listen <host:port>.*Examples:/s })
  t.match(await runProgram(t, 'relay', ['showchain', '--help']), { code: 0, stdout: /^Usage: relay showchain .*--listen <url>.*--proxy <on\|off>.*Examples:/s })
})
