/** What the environment of the originals, and of their containers, gives. */
import { join } from 'node:path'
import t from 'tap'
import { environmentOf, type Environment } from '../../../../src/cli/rustdesk/original/environment.ts'
import { secretFile } from '../../../../src/cli/rustdesk/original/given-keys.ts'
import { finishRelay, type RustdeskRelaySettings } from '../../../../src/cli/rustdesk/settings.ts'
import type { RustdeskSettings } from '../../../../src/cli/rustdesk/options.ts'
import { rejectOption } from '../../../../src/nodes/common/options/option.ts'
import { complaint } from '../../../helpers/cli/complaint.ts'

const warnings: string[] = []
const warn = (message: string): void => { warnings.push(message) }

t.beforeEach(() => { warnings.length = 0 })

const environment = (variables: Record<string, string>): Environment => environmentOf(warn, 'none', variables)

const finished = (settings: Partial<RustdeskSettings>, variables: Record<string, string>): RustdeskRelaySettings =>
  finishRelay({ data: '.', ...settings } as RustdeskSettings, { warn, reject: rejectOption, nameOf: (key) => `--${key}` }, environment(variables))

t.test('defaults', async (t) => {
  t.match(finished({}, {}), { port: 21116, relayPort: 21117, serial: 0, key: undefined, bind: undefined, singleBandwidth: undefined, alwaysUseRelay: false, database: 'db_v2.sqlite3' })
})

t.test('variables of both programs', async (t) => {
  const env = { SINGLE_BANDWIDTH: '64', LIMIT_SPEED: '0.5', DOWNGRADE_START_CHECK: '60', ALWAYS_USE_RELAY: 'y', DB_URL: 'sqlite:///data/x.sqlite3?mode=rwc', KEY: 'a key', BIND: ' 127.0.0.1 ', 'relay-servers': 'a.example', Serial: '3', RENDEZVOUS_SERVERS: 'b.example', MASK: '10.0.0.0/8', LOCAL_IP: '10.0.0.1', SOFTWARE_URL: 'u-1', RMEM: '0' }
  t.match(finished({}, env), { singleBandwidth: 64, limitSpeed: 0.5, downgradeStartCheck: 60_000, alwaysUseRelay: true, database: '/data/x.sqlite3', key: 'a key', bind: '127.0.0.1', relayServers: ['a.example'], serial: 3, rendezvousServers: ['b.example'], mask: '10.0.0.0/8', localIp: '10.0.0.1', softwareUrl: 'u-1', rmem: 0 })
  t.match(finished({ singleBandwidth: 7, alwaysUseRelay: false, key: '', bind: '::1', serial: 0, database: 'y' }, env), { singleBandwidth: 7, alwaysUseRelay: false, key: '', bind: '::1', serial: 0, database: 'y' }, 'options and files win')
  t.match(finished({}, { KEY: '', BIND: '', RELAY_SERVERS: '', LOCAL_IP: '10.0.0.1' }), { key: '', bind: undefined, relayServers: undefined, localIp: undefined }, 'an empty key is one; an address of a network that is not there is none')
  t.same(warnings, [])
})

t.test('the port of the relay is the one after that of the rendezvous server', async (t) => {
  t.match(finished({}, { PORT: '22116' }), { port: 22116, relayPort: 22117 })
  t.match(finished({ port: 5000 }, { PORT: '22116' }), { port: 5000, relayPort: 22117 })
  t.match(finished({ port: 0 }, { PORT: '22116' }), { port: 0, relayPort: 22117 })
  t.match(finished({ relayPort: 0 }, { port: '22116' }), { port: 22116, relayPort: 0 })
  t.match(finished({ port: 0 }, { PORT: '2' }), { relayPort: 21117 }, 'the original relay ignores what is no port')
  t.match(warnings, [/^ignored: PORT in the environment: not a port/])
  for (const PORT of ['', '0', '2', '65533', 'http', '-1']) t.match(complaint(t, () => finished({}, { PORT })), /^PORT in the environment: not a port of the rendezvous server \(".*"\), expected 3 to 65532$/, PORT)
  t.throws(() => finished({ relayPort: 22115 }, { PORT: '22116' }), { message: /^relayPort: 22115 or the second after it is a port/ })
})

t.test('variables of containers', async (t) => {
  t.match(finished({}, { RELAY: 'a.example,b.example:5', RELAY_SERVERS: 'c.example', ENCRYPTED_ONLY: '1', KEY: 'x' }), { relayServers: ['a.example', 'b.example:5'], key: '-' })
  t.match(finished({}, { RELAY: '', RELAY_SERVERS: 'c.example', ENCRYPTED_ONLY: '0' }), { relayServers: ['c.example'], key: undefined })
  t.match(finished({ relayServers: ['c.example'], key: '' }, { RELAY: 'a.example', ENCRYPTED_ONLY: '1' }), { relayServers: ['c.example'], key: '' })
  t.match(finished({}, { KEY_PUB: 'public', KEY_PRIV: 'private' }), { keyPub: 'public', keyPriv: 'private' })
  t.match(finished({}, { KEY_PUB: '', KEY_PRIV: '' }), { keyPub: undefined, keyPriv: undefined })
  const folder = t.testdir({ key_pub: 'from a secret\n', folder: {} })
  t.equal(secretFile('key_pub', folder), 'from a secret')
  t.equal(secretFile('key_priv', folder), undefined)
  t.match(complaint(t, () => secretFile('folder', folder)), /^the secret folder: cannot be read/)
})

t.test('what makes no sense', async (t) => {
  t.match(finished({}, { TOTAL_BANDWIDTH: 'all', SERIAL: 'x', MASK: 'x' }), { totalBandwidth: undefined, serial: 0, mask: undefined })
  t.match(warnings, [/^MASK in the environment is ignored: not a network/, /^SERIAL in the environment is ignored: /, /^TOTAL_BANDWIDTH in the environment is ignored: not a speed/])
  t.equal(complaint(t, () => finished({}, { DB_URL: ':memory:' })), 'DB_URL in the environment: no path of a database, expected a path such as ./db_v2.sqlite3')
  t.match(complaint(t, () => finished({}, { BIND: 'eth0' })), /^BIND in the environment: not an address \("eth0"\)/, 'it would listen everywhere')
  const KEY = 'secret'.repeat(1000)
  t.equal(complaint(t, () => finished({}, { KEY })), 'KEY in the environment: too long, expected at most 4096 characters')
})

t.test('a file .env wins over the environment', async (t) => {
  const folder = t.testdir({ '.env': 'HOME=elsewhere\nlimit-speed=8\n', other: { '.env': {} }, odd: { '.env': 'export KEY=secret\n[s]\nA=b\n' } })
  const read = (...path: string[]): Environment => environmentOf(warn, join(folder, ...path), { LIMIT_SPEED: '9', PATH: '/bin' })
  const env = read('.env')
  t.same([env.get('HOME'), env.get('LIMIT_SPEED'), env.get('PATH')], [{ text: 'elsewhere', from: '.env' }, { text: '8', from: '.env' }, { text: '/bin', from: 'the environment' }])
  t.equal(read('none').get('LIMIT_SPEED')?.text, '9')
  t.same(warnings, [])
  t.equal(read('other', '.env').get('LIMIT_SPEED')?.text, '9')
  t.match(warnings, [/^ignored: \.env: cannot be read/])
  t.equal(read('odd', '.env').get('A'), undefined)
  t.equal(warnings[1], '.env:1: ignored, expected NAME=VALUE, and so are 2 other lines')
})

t.test('the .env of another folder is not read', async (t) => {
  const data = t.testdir({ '.env': 'KEY=x', none: {} })
  t.ok(finished({ data: join(data, 'none') }, {}))
  t.same(warnings, [])
  t.equal(finished({ data }, {}).key, undefined)
  t.same(warnings, [`${join(data, '.env')} is not read: the one of the working folder is`])
})

t.test('of several spellings the one in upper case counts', async (t) => {
  const counts = (...names: string[]): string | undefined => environment(Object.fromEntries(names.map((name) => [name, name]))).get('LOCAL_IP')?.text
  t.equal(counts('local_ip', 'LOCAL-IP', 'LOCAL_IP', 'Local_IP', 'local-ip'), 'LOCAL-IP')
  t.equal(counts('local_ip', 'LOCAL_IP', 'Local_IP', 'local-ip'), 'LOCAL_IP')
  t.equal(counts('local_ip', 'Local_IP', 'local-ip'), 'local-ip')
  t.equal(counts('local_ip', 'Local_IP'), 'local_ip')
})
