/** What ends `relay rustdesk` at its start: one line that says what is wrong, and files as they were. */
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { chmodSync, readdirSync, readFileSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { parseRelay } from '../../../src/cli/relay-command.ts'
import { complaint } from '../../helpers/cli/complaint.ts'
import { freePort } from '../../helpers/free-ports.ts'
import { executable } from '../../helpers/programs/executables.ts'
import { homeEnv } from '../../helpers/programs/homes.ts'
import { runProgram, startCommand, startProgram } from '../../helpers/programs/program.ts'

t.test('of the command line and of files', async (t) => {
  const folder = t.testdir({ 'bad.ini': 'port=high', 'bad.yaml': 'rustdesk:\n  prot: 1', 'torn.yaml': 'rustdesk: [', binary: Buffer.from([0xff, 0xfe, 0x3d]), 'other.yaml': 'rustdesk: { mask: 10 }' })
  const file = (name: string): string => join(folder, name)
  for (const [args, message] of [
    [['--port', '0', '--relay-port', '0'], /^--relay-port: of no use with port 0, expected one of both to run$/],
    [['--port', '2'], /^--port: too low \(2\), expected 0, or 3 at least/],
    [['--port', 'high'], /^--port: not a whole number in range \("high"\), expected 0 to 65533$/],
    [['--relay-port', '21118'], /^--relay-port: 21118 or the second after it is a port of the rendezvous server as well/],
    [['--mask', '10.0.0.0/99'], /^--mask: not a network/],
    [['--bind', 'eth0'], /^--bind: not an address \("eth0"\)/],
    [['--relay-servers', 'a,,b'], /^--relay-servers: not a list of servers/],
    [['--database', ':memory:'], /^--database: no path of a database, expected a path such as /],
    [['--database', 'x?mode=ro'], /^--database: a database cannot be opened with mode=ro, expected a path such as /],
    [['--rmem', '-5'], /^--rmem: not a whole number in range/],
    [['--prot', '1'], /^unknown option '--prot', did you mean --port\?$/],
    [['-x', '1'], /^unknown option '-x', expected -p, -b, -k, .* or -c; others are written with -- and in full$/],
    [['hbbs'], /^too many arguments/],
    [['-c', 'none.ini'], /^--config: cannot be read \("none\.ini"\): no such file or directory$/],
    [['-c', file('bad.ini')], /bad\.ini:1: PORT: not a whole number in range \("high"\), expected 0 to 65533$/],
    [['-c', file('bad.yaml')], /bad\.yaml:2: rustdesk\.prot: unknown key, did you mean port\?$/],
    [['-c', file('torn.yaml')], /torn\.yaml:\d+: not YAML: /],
    [['-c', file('other.yaml')], /other\.yaml:1: rustdesk\.mask: not a network/],
    [['-c', file('binary')], /binary: not text, expected UTF-8$/]
  ] as const) t.match(complaint(t, () => parseRelay(['rustdesk', ...args])), message, args.join(' '))
})

t.test('of folders, files and ports', async (t) => {
  const folder = t.testdir({ bad: { id_ed25519: 'no key' }, torn: { 'db_v2.sqlite3': 'no database' }, file: '', good: {}, pair: {} })
  const [port, relayPort] = [await freePort(), await freePort()]
  const run = async (args: readonly string[], env = {}): Promise<{ code: number | null, stdout: string, stderr: string }> =>
    await runProgram(t, 'relay', ['rustdesk', '--bind', '127.0.0.1', '--port', String(port), '--relay-port', String(relayPort), ...args], { env: { ...homeEnv(), ...env } })
  for (const [args, stderr, env = {}] of [
    [['--data', join(folder, 'nowhere')], /^relay: the folder of data .*nowhere cannot be used: no such file or directory\n$/],
    [['--data', join(folder, 'file')], /^relay: the folder of data .*file cannot be used: not a directory\n$/],
    [['--data', join(folder, 'bad')], /^relay: .*id_ed25519 has no secret key[^\n]*\n$/],
    [['--data', join(folder, 'torn')], /^relay: the database .*torn\/db_v2\.sqlite3 cannot be used: [^\n]*\n$/],
    [['--data', join(folder, 'good'), '--database', 'nowhere/db'], /^relay: the folder of the database .*nowhere cannot be used: no such file or directory\n$/],
    [['--data', join(folder, 'good'), '--key', Buffer.alloc(64, 7).toString('base64')], /^relay: the option key has a secret key whose second half is not the public key of the first\n$/],
    [['--data', join(folder, 'pair')], /^relay: KEY_PRIV is of no use without the public key of the pair: both are needed, or neither\n$/, { KEY_PRIV: 'anything' }]
  ] as ReadonlyArray<[string[], RegExp, object?]>) {
    const ended = await run(args, env)
    t.match(ended, { code: 1, stderr }, args.join(' '))
    t.notMatch(ended.stdout, /ready/)
  }
  t.equal(readFileSync(join(folder, 'bad/id_ed25519'), 'utf8'), 'no key')
  t.equal(readFileSync(join(folder, 'torn/db_v2.sqlite3'), 'utf8'), 'no database')
  t.same(readdirSync(join(folder, 'pair')), [])

  const udp = createSocket('udp4').bind(0, '127.0.0.1')
  const tcp = createServer().listen(0, '127.0.0.1')
  t.teardown(() => {
    udp.close()
    tcp.close()
  })
  await Promise.all([once(udp, 'listening'), once(tcp, 'listening')])
  for (const [option, taken] of [['--port', udp.address().port], ['--relay-port', (tcp.address() as AddressInfo).port]] as const) {
    t.match(await run(['--data', join(folder, 'good'), option, String(taken)]), { code: 1, stderr: new RegExp(`^relay: cannot listen on 127\\.0\\.0\\.1:${taken}: address already in use\\n$`) }, option)
  }
})

t.test('what permissions forbid', { skip: process.platform === 'win32' }, async (t) => {
  const folder = t.testdir({ closed: {}, database: { 'db_v2.sqlite3': '' }, key: { id_ed25519: '' }, list: { 'blocklist.txt': {} } })
  chmodSync(join(folder, 'database/db_v2.sqlite3'), 0o400)
  chmodSync(join(folder, 'key/id_ed25519'), 0)
  chmodSync(join(folder, 'closed'), 0o500)
  const bound = process.getuid?.() === 0 ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search'] : [] // permissions bind this root
  const [port, relayPort] = [await freePort(), await freePort()]
  for (const [name, stderr] of [
    ['closed', /^relay: .*closed\/id_ed25519 cannot be written: permission denied\n$/],
    ['key', /^relay: .*key\/id_ed25519 cannot be read: permission denied\n$/],
    ['database', /^relay: the database .*db_v2\.sqlite3 cannot be used: permission denied\n$/],
    ['list', /^relay: (?:.*blocklist\.txt|a list of addresses) cannot be read: illegal operation on a directory\n$/]
  ] as const) {
    const [command, ...args] = [...bound, process.execPath, executable('relay'), 'rustdesk', '--bind', '127.0.0.1', '--port', String(port), '--relay-port', String(relayPort), '--data', join(folder, name)]
    t.match(await startCommand(t, command, args, { env: homeEnv() }).ended, { code: 1, stderr }, name)
  }
  t.same(readdirSync(join(folder, 'closed')), [])
})

t.test('the environment, .env and keys of a container', async (t) => {
  const folder = t.testdir({ '.env': 'PORT=nonsense' })
  const ended = await startProgram(t, 'relay', ['rustdesk'], { cwd: folder, env: homeEnv() }).ended
  t.match(ended, { code: 2, stderr: 'PORT in .env: not a port of the rendezvous server ("nonsense"), expected 3 to 65532\n' })
  t.same(readdirSync(folder), ['.env'])
})
