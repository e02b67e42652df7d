/** Configuration files of the original programs, as programs load them: their values pass the checks of our options, and errors have their names. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { load, type LoadedProgram } from '../../../../src/cli/config/load.ts'
import { natpassYaml } from '../../../../src/cli/natpass/original/config.ts'
import { natpassPeer } from '../../../../src/cli/natpass/peer.ts'
import type { Protocol } from '../../../../src/cli/protocol.ts'
import { sectionsOf, verifyListenerTls } from '../../../../src/nodes/common/options/groups.ts'
import type { Options } from '../../../../src/nodes/common/options/option.ts'
import { peerOptions as ownPeerOptions, verifyPeerOptions } from '../../../../src/nodes/natpass/peer/options.ts'
import { ruleOptions } from '../../../../src/nodes/natpass/peer/rules.ts'
import { relayOptions } from '../../../../src/nodes/natpass/relay/options.ts'
import { cert, key } from '../../../helpers/certificates.ts'
import { complaint } from '../../../helpers/cli/complaint.ts'

delete process.env.TUNPIPE_SECRET

const peerOptions = { ...ownPeerOptions, rules: sectionsOf(ruleOptions) } as const satisfies Options

const common = {
  name: 'natpass',
  description: '',
  examples: { program: '', command: '' },
  async start () { throw new Error('has no node') },
  statusText: () => ''
}
const relay: Protocol<typeof relayOptions> = { ...common, options: relayOptions, foreign: natpassYaml('relay'), verify: verifyListenerTls, finish: (settings) => settings }
const peer: Protocol<typeof peerOptions> = {
  ...common,
  options: peerOptions,
  foreign: natpassYaml('peer'),
  verify: verifyPeerOptions,
  finish: (settings) => settings
}

function loaded (t: Test, program: 'relay' | 'peer', text: string, flags = {}, protocol = (program === 'relay' ? relay : peer) as Protocol): LoadedProgram {
  const config = join(t.testdir(), 'np.yaml')
  writeFileSync(config, text, { mode: 0o600 })
  const source = { values: { natpass: flags }, name: (path: readonly string[]) => `--${path[path.length - 1]}` }
  return load({ program, protocols: [protocol], flags: { config, protocol: 'natpass', source } })
}

const settingsOf = (t: Test, program: 'relay' | 'peer', text: string, flags = {}): object => loaded(t, program, text, flags).services[0].settings

const refused = (t: Test, program: 'relay' | 'peer', text: string): string => complaint(t, () => loaded(t, program, text)).replace(/^.*\/np\.yaml/, 'np.yaml')

const pems = t.testdir({ 'c.pem': cert, 'k.pem': key, password: 'hunter2' })

t.test('a server', async (t) => {
  const { services: [{ settings, isForeign }], secrets } = loaded(t, 'relay', 'listen: 6154\nsecret: 0123456789\n')
  t.match(settings, { listen: { host: '0.0.0.0', port: 6154 }, secret: '0123456789', tls: undefined, strict: false })
  t.same([isForeign, secrets], [true, []])
  t.match(settingsOf(t, 'relay', `secret: x\ntls:\n  crt: ${pems}/c.pem\n  key: ${pems}/k.pem\n`), { tls: { cert, key } })
  t.match(settingsOf(t, 'relay', 'listen: 6154\nsecret: x\n', { listen: '[::1]:1', strict: true }), { listen: { host: '::1', port: 1 }, secret: 'x', strict: true }, 'options win')
})

t.test('a client', async (t) => {
  const rule = 'name: a\n  target: b\n  type: '
  t.match(settingsOf(t, 'peer', `secret: x\nid: me\nserver: h:1\nssl: { enabled: true, insecure: true }\nrules:\n- ${rule}shell\n  env: [A=b]\n`), {
    id: 'me', server: { host: 'h', port: 1 }, secret: 'x', tls: true, insecure: true, rules: [{ name: 'a', target: 'b', type: 'shell', env: ['A=b'], localAddr: '127.0.0.1', localPort: 0 }]
  })
  t.match(settingsOf(t, 'peer', `secret: x\nrules:\n- ${rule}tcp\n  remote_port: 22\n  local_addr: "::"\n  local_port: 2222\n`), { id: 'unset', rules: [{ type: 'tcp', remoteAddr: '127.0.0.1', remotePort: 22, localAddr: '::', localPort: 2222 }] })
  t.match(settingsOf(t, 'peer', 'secret: x\nssl: { insecure: true }\n'), { insecure: false, rules: undefined })
})

t.test('the page of a client, by the password that options or the environment give', async (t) => {
  const dashboard = 'secret: x\nid: me\ndashboard: { listen: 0.0.0.0, port: 81 }\n'
  const page = (flags = {}): object => {
    const { services: [{ settings }], warnings } = loaded(t, 'peer', dashboard, flags)
    return [(settings as { page?: unknown }).page, warnings.length]
  }
  const secretFile = join(pems, 'password')
  chmodSync(secretFile, 0o600)
  t.same(page(), [{ host: '127.0.0.1', port: 81 }, 1])
  t.same(page({ 'page-password': 'hunter2' }), [{ host: '0.0.0.0', port: 81 }, 0])
  t.same(page({ 'page-password-file': secretFile }), [{ host: '0.0.0.0', port: 81 }, 0])
  t.same(page({ page: '127.0.0.1:82' }), [{ host: '127.0.0.1', port: 82 }, 0])
  process.env.TUNPIPE_PAGE_PASSWORD = 'hunter2'
  t.teardown(() => { delete process.env.TUNPIPE_PAGE_PASSWORD })
  t.same(page(), [{ host: '0.0.0.0', port: 81 }, 0])
  process.env.TUNPIPE_PAGE_PASSWORD = ''
  t.same(page(), [{ host: '127.0.0.1', port: 81 }, 1], 'an empty variable is none')
})

t.test('what is wrong', async (t) => {
  const rule = '- { name: a, target: b, type: '
  const wrong: Array<[program: 'relay' | 'peer', text: string, message: string]> = [
    ['relay', 'listen: 6154\n', 'np.yaml: secret: missing, expected a secret (or a secret-file, or TUNPIPE_SECRET)'],
    ['relay', 'listen: 6154\nsecret:\n', 'np.yaml:2: secret: missing, expected a secret (or a secret-file, or TUNPIPE_SECRET)'],
    ['relay', 'secret: x\nlisten: 65536\n', 'np.yaml:2: listen: not an address to listen on ("65536"), expected HOST:PORT such as 0.0.0.0:6154'],
    ['relay', 'secret: x\ntls:\n  key: /k\n', 'np.yaml:2: tls.crt: missing, expected a PEM file, since there is a tls-key'],
    ['relay', 'secret: x\ntls:\n  key: /nowhere/k\n  crt: /nowhere/c\n', 'np.yaml:4: tls.crt: cannot be read ("/nowhere/c"): no such file or directory'],
    ['peer', 'secret: x\nserver: h\n', 'np.yaml:2: server: not the address of a server ("h"), expected HOST:PORT such as 192.0.2.7:6154'],
    ['peer', 'secret: x\n\nid: a b\n', 'np.yaml:3: id: not an id ("a b"), expected at most 64 letters, digits, ".", "_", "@" or "-", but not server or any'],
    ['peer', 'secret: x\ndashboard:\n  listen: no host\n', 'np.yaml:3: dashboard.listen: not an address to listen on ("no host:8080"), expected HOST:PORT or PORT (then on 127.0.0.1)'],
    ['peer', `secret: x\nrules:\n${rule}shell }\n${rule}vnc }\n`, 'np.yaml:4: rules.1.name: the name a is that of another rule as well, expected one of its own'],
    ['peer', `secret: x\nrules:\n${rule}tcp }\n`, 'np.yaml:3: rules.0.remote_port: missing, expected 1 to 65535, since it is a rule of type tcp'],
    ['peer', `secret: x\nrules:\n${rule}ssh }\n`, 'np.yaml:3: rules.0.type: not a choice ("ssh"), expected shell, vnc, bench, code-server, tcp or udp']
  ]
  for (const [program, text, message] of wrong) t.equal(refused(t, program, text), message)
  t.equal(refused(t, 'relay', 'natpass:\n  listen: 6154\n'), 'np.yaml:2: natpass.listen: not an address to listen on (6154), expected HOST:PORT such as 0.0.0.0:6154', 'a file of ours')
})

t.test('warnings come with what was loaded', async (t) => {
  const { warnings } = loaded(t, 'relay', 'secret: x\ncolor: red\nlog:\n  size: 1M\n')
  t.match(warnings, [/np\.yaml:2: unknown key, it is ignored$/, /np\.yaml:3: log is ignored: lines go to stderr$/])
  t.equal(warnings.length, 2)
  t.match(loaded(t, 'peer', '#include none.d/*.yaml\nsecret: x\n').warnings, [/np\.yaml:1: #include: no such file, it is ignored$/])
  const toItself = 'secret: x\nid: a\ndashboard: { enabled: false }\nrules:\n- { name: me, target: a, type: shell, local_addr: 127.0.0.1 }\n- { name: b, target: b, type: shell, local_addr: 127.0.0.1 }\n'
  t.match(loaded(t, 'peer', toItself, {}, natpassPeer as Protocol).warnings, [/^the rule me leads to this peer itself/])
})
