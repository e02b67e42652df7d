/** Configuration files of the original programs, as they are. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { isNatpassYaml, natpassYaml } from '../../../../src/cli/natpass/original/config.ts'
import { readOriginalPeer, readOriginalRelay } from '../../../../src/cli/natpass/original/read.ts'
import type { ConfigFile } from '../../../../src/cli/config/settings.ts'
import { UsageError } from '../../../../src/cli/usage-error.ts'
import { complaint } from '../../../helpers/cli/complaint.ts'
import { sample } from '../../../helpers/sample.ts'

const latin1 = (text: string): string => Buffer.from(text).toString('latin1')
const parsed = (program: 'relay' | 'peer', text: string, file = 'np.yaml'): ConfigFile => natpassYaml(program).parse(file, latin1(text))
const relay = (text: string): ConfigFile => parsed('relay', text)
const peer = (text: string): ConfigFile => parsed('peer', text)

/** Without the warnings that have nothing to do with what is tested. */
const warningsOf = ({ warnings }: ConfigFile): string[] => warnings.filter((warning) => !/: (id|local_addr|dashboard) is missing: /.test(warning))

const SERVER = `listen: 6154       # port
secret: 0123456789 # the default
link:
  read_timeout: 1s
  write_timeout: 1m30s
log:
  dir: /opt/natpass/logs
  size: 50M
  rotate: 7
tls:
  key: /etc/natpass/key.pem
  crt: /etc/natpass/crt.pem
`

const CLIENT = `id: this
server: 127.0.0.1:6154
secret: 0123456789
ssl:
  enabled: true
  insecure: true
link:
  read_timeout: 1s
  write_timeout: 0
dashboard:
  enabled: true
  listen: 127.0.0.1
  port: 8081
codedir: /var/code
log: { dir: ./logs, size: 1MiB, rotate: 3 }
rules:
  - name: console
    target: that
    type: shell
    local_addr: 0.0.0.0
    local_port: 2222
    exec: /bin/bash
    env:
      - TERM=xterm
      - N=1
  - { name: desk, target: that, type: vnc, local_addr: 127.0.0.1, local_port: 5900, fps: 10 }
  - { name: bench, target: that, type: bench, local_addr: 127.0.0.1 }
  - { name: code, target: that, type: code-server, local_addr: 127.0.0.1 }
  - { name: rdp, target: that, type: tcp, local_addr: 127.0.0.1, local_port: 3389, remote_addr: 192.0.2.7, remote_port: 3389 }
  - { name: dns, target: that, type: udp, local_addr: 127.0.0.1, remote_port: 53 }
`

t.test('a file of a server, with every key', async (t) => {
  const config = relay(SERVER)
  t.same(config.values, { natpass: { listen: '0.0.0.0:6154', secret: '0123456789', 'tls-key': '/etc/natpass/key.pem', 'tls-cert': '/etc/natpass/crt.pem' } })
  t.equal(config.isForeign, true)
  t.same(config.warnings, ['np.yaml:6: log is ignored: lines go to stderr', 'np.yaml:3: link is ignored: time-outs are fixed here'])
  t.same(readOriginalRelay('np.yaml', SERVER).values, {
    listen: '0.0.0.0:6154',
    secret: '0123456789',
    'tls.key': '/etc/natpass/key.pem',
    'tls.crt': '/etc/natpass/crt.pem',
    'link.read_timeout': 1000,
    'link.write_timeout': 90_000,
    'log.dir': '/opt/natpass/logs',
    'log.size': 50_000_000,
    'log.rotate': 7
  })
  for (const [path, name] of [
    [['natpass', 'listen'], 'np.yaml:1: listen'], [['natpass', 'secret'], 'np.yaml:2: secret'], [['natpass', 'tls-key'], 'np.yaml:11: tls.key'], [['natpass', 'tls-cert'], 'np.yaml:12: tls.crt'],
    [['natpass', 'legacy-md5'], 'np.yaml: legacy-md5'], [['natpass'], 'np.yaml: natpass']
  ] as const) t.equal(config.name(path), name)
})

t.test('a file of a client, with every key', async (t) => {
  const config = peer(CLIENT)
  const { natpass: { rules, ...rest } } = config.values as { natpass: { rules: object[] } }
  t.same(rest, { server: '127.0.0.1:6154', secret: '0123456789', id: 'this', tls: true, insecure: true, page: '127.0.0.1:8081', codedir: '/var/code' })
  t.same(rules.slice(0, 2), [
    { name: 'console', target: 'that', type: 'shell', local_addr: '0.0.0.0', local_port: '2222', exec: '/bin/bash', env: ['TERM=xterm', 'N=1'] },
    { name: 'desk', target: 'that', type: 'vnc', local_addr: '127.0.0.1', local_port: '5900', fps: '10' }
  ])
  t.same(config.warnings.map((warning) => warning.replace(/ is ignored.*/, '')), ['np.yaml:15: log', 'np.yaml:7: link'])
  const { values, rules: read } = readOriginalPeer('np.yaml', CLIENT)
  t.same(values, {
    server: '127.0.0.1:6154',
    secret: '0123456789',
    id: 'this',
    'ssl.enabled': true,
    'ssl.insecure': true,
    'link.read_timeout': 1000,
    'link.write_timeout': 5000,
    'dashboard.enabled': true,
    'dashboard.listen': '127.0.0.1',
    'dashboard.port': 8081,
    codedir: '/var/code',
    'log.dir': './logs',
    'log.size': 2 ** 20,
    'log.rotate': 3
  })
  t.same(read.map(({ rule }) => rule.type), ['shell', 'vnc', 'bench', 'code-server', 'tcp', 'udp'])
  t.match(read[0].rule, { localPort: 2222, exec: '/bin/bash', env: ['TERM=xterm', 'N=1'] })
  t.match(read[4].rule, { remoteAddr: '192.0.2.7', remotePort: 3389, localPort: 3389 })
  t.match(read[5].rule, { remoteAddr: '127.0.0.1', remotePort: 53, localPort: 0 })
  for (const [path, name] of [
    [['rules', '0', 'local_port'], 'np.yaml:21: rules.0.local_port'], [['rules', '0', 'env', '1'], 'np.yaml:23: rules.0.env.1'], [['rules', '2', 'exec'], 'np.yaml:27: rules.2.exec'], [['rules'], 'np.yaml:16: rules'],
    [['tls'], 'np.yaml:5: ssl.enabled'], [['insecure'], 'np.yaml:6: ssl.insecure'], [['page'], 'np.yaml:12: dashboard.listen'], [['codedir'], 'np.yaml:14: codedir']
  ] as const) t.equal(config.name(['natpass', ...path]), name)
})

t.test('defaults, but for the secret', async (t) => {
  t.same(relay('tls:\n').values, { natpass: { listen: '0.0.0.0:6154' } })
  t.same(peer('rules:\n').values, { natpass: { server: '127.0.0.1:6154', id: 'unset', page: '127.0.0.1:8080' } })
  t.same(peer('rules: []\n').warnings, [
    'np.yaml: dashboard is missing: the page of all rules is at 127.0.0.1:8080, where the original listens on all addresses',
    'np.yaml: id is missing: others call this peer unset, as the original does'
  ])
  t.same(readOriginalRelay('np.yaml', 'listen:').values, {
    listen: '0.0.0.0:6154', secret: undefined, 'tls.key': undefined, 'tls.crt': undefined, 'link.read_timeout': 1000, 'link.write_timeout': 1000, 'log.dir': './logs', 'log.size': 52_428_800, 'log.rotate': 7
  })
  t.same(readOriginalPeer('np.yaml', '').values, {
    server: '127.0.0.1:6154',
    secret: undefined,
    id: 'unset',
    'ssl.enabled': false,
    'ssl.insecure': false,
    'link.read_timeout': 1000,
    'link.write_timeout': 1000,
    'dashboard.enabled': true,
    'dashboard.listen': undefined,
    'dashboard.port': 8080,
    codedir: undefined,
    'log.dir': './logs',
    'log.size': 52_428_800,
    'log.rotate': 7
  })
  for (const nothing of ['', '# nothing\n', '~\n', 'null', '---\n', '\ufeff']) t.same(relay(nothing).values, { natpass: { listen: '0.0.0.0:6154' } }, JSON.stringify(nothing))
})

t.test('values as they are written', async (t) => {
  for (const [secret, text] of [['0123456789', '0123456789'], ['"a b"', 'a b'], ["'it''s'", "it's"], ['1e3', '1e3'], ['0x10', '0x10'], ['true', 'true'], ['密钥', '密钥'], ['a#b', 'a#b'], ['|\n  line', 'line\n'], ['1_000', '1_000'], ['007 # agent', '007'], ['""', undefined], ['~', undefined], ['', undefined]] as const) {
    t.equal((relay(`listen: 1\nsecret: ${secret}\n`).values.natpass as { secret?: string }).secret, text, secret)
  }
  const listen = (text: string): unknown => (relay(`listen: ${text}`).values.natpass as { listen: string }).listen
  t.same(['6154', '":6154"', '"6154"', '127.0.0.1:1', 'x'].map(listen), ['0.0.0.0:6154', '0.0.0.0:6154', '0.0.0.0:6154', '127.0.0.1:1', 'x'])
  const tls = (text: string): unknown => (({ tls, insecure }) => [tls, insecure])(peer(text).values.natpass as Record<string, unknown>)
  t.same(tls('ssl: { enabled: yes, insecure: on }'), [true, true])
  t.same(tls('ssl: { enabled: false, insecure: true }'), [undefined, undefined], 'without TLS nothing is verified anyway')
  t.same(tls('ssl: { enabled: true }'), [true, undefined])
  const fps = (text: string): unknown => readOriginalPeer('x', `rules: [{ name: a, target: b, type: vnc, fps: ${text} }]`).rules[0].rule.fps
  t.same(['0', '1', '50', '60', '""'].map(fps), [10, 1, 50, 50, 10])
})

/** The page of a file, and what is said about it. @param given - what options or the environment give */
function pageOf (dashboard: string | undefined, ...given: string[]): [page: unknown, warnings: readonly string[]] {
  const { values, warnings } = natpassYaml('peer').parse('np.yaml', `id: a\n${dashboard === undefined ? '' : `dashboard: ${dashboard}\n`}`, (key) => given.includes(key))
  return [(values.natpass as { page?: unknown }).page, warnings]
}

t.test('the dashboard is the page of all rules, and nobody else reaches it without a password', async (t) => {
  const missing = 'np.yaml:2: dashboard.listen is missing: 127.0.0.1 takes its place, where the original listens on all addresses'
  const closed = (host: string): string => `np.yaml:2: dashboard.listen: the page is on 127.0.0.1 in place of ${host}, as it has no password: --page-password-file FILE or TUNPIPE_PAGE_PASSWORD sets one`
  t.same(pageOf('{ listen: 127.0.0.1, port: 81 }'), ['127.0.0.1:81', []])
  t.same(pageOf('{ listen: "::1", enabled: true }'), ['[::1]:8080', []])
  t.same(pageOf('{ listen: "[::1]", port: 0 }'), ['[::1]:0', []])
  for (const empty of ['', '{}', '{ listen: "" }', '{ listen: }']) t.same(pageOf(empty), ['127.0.0.1:8080', [missing]], empty)
  for (const open of ['0.0.0.0', '::', '192.0.2.7', 'nas.lan']) {
    const quoted = JSON.stringify(open)
    t.same(pageOf(`{ listen: ${quoted}, port: 81 }`), ['127.0.0.1:81', [closed(open)]], open)
    for (const key of ['page-password', 'page-password-file']) t.same(pageOf(`{ listen: ${quoted}, port: 81 }`, key), [open === '::' ? '[::]:81' : `${open}:81`, []], `${open} with a ${key}`)
  }
  t.same(pageOf('{ port: 81 }', 'page-password'), ['127.0.0.1:81', [missing]], 'a password alone opens nothing')
  t.same(pageOf('{ enabled: false, listen: 0.0.0.0 }'), [undefined, []])
  t.same(pageOf('{ listen: "no host", port: 81 }'), ['no host:81', []], 'which the check of the option refuses')
  for (const any of [undefined, '', '{ listen: 0.0.0.0 }']) t.same(pageOf(any, 'page'), [undefined, []], 'an option wins, and there is nothing to tell')
})

t.test('the folder of code-server', async (t) => {
  const codedir = (text: string, file: string, ...given: string[]): [codedir: unknown, warnings: readonly string[]] => {
    const { values, warnings } = natpassYaml('peer').parse(file, `id: a\ncodedir: ${text}\ndashboard: { enabled: false }\n`, (key) => given.includes(key))
    return [(values.natpass as { codedir?: unknown }).codedir, warnings]
  }
  t.same(codedir('/var/code', '/etc/natpass/np.yaml'), ['/var/code', []])
  t.same(codedir('./code', '/etc/natpass/np.yaml'), ['/etc/natpass/code', ['/etc/natpass/np.yaml:2: codedir is /etc/natpass/code: relative to this file, where that of the original is relative to its program']])
  t.same(codedir('./code', '/etc/natpass/np.yaml', 'codedir'), [undefined, []], 'an option wins')
  t.same(codedir('', '/etc/natpass/np.yaml'), [undefined, []], 'the default is ours')
  t.same(codedir('code', 'np.yaml')[0], join(process.cwd(), 'code'))
  const folder = t.testdir({ parts: { 'code.yaml': 'codedir: ../code\n' } })
  t.equal((parsed('peer', '#include parts/code.yaml\nid: a\n', join(folder, 'np.yaml')).values.natpass as { codedir?: string }).codedir, join(folder, 'code'), 'relative to the file that it is in')
})

t.test('a file that others are included in', async (t) => {
  const folder = t.testdir({ 'common.yaml': 'secret: x\nunknown: 1\n', 'rules.d': { 'a.yaml': '- name: a\n  target: b\n  type: shell\n  local_port: 1\n', 'b.yaml': '- name: b\n  target: b\n  type: bench\n  local_port: 70000\n' } })
  chmodSync(join(folder, 'common.yaml'), 0o644)
  const file = join(folder, 'client.yaml')
  const text = '#include common.yaml\nid: a\nrules:\n  #include rules.d/*.yaml\n'
  t.equal(complaint(t, () => parsed('peer', text, file)), `${folder}/rules.d/b.yaml:4: rules.1.local_port: not a whole number in range ("70000"), expected 0 to 65535`)
  writeFileSync(join(folder, 'rules.d/b.yaml'), '- name: b\n  target: b\n  type: bench\n')
  const config = parsed('peer', text, file)
  t.equal(config.name(['natpass', 'rules', '1', 'type']), `${folder}/rules.d/b.yaml:3: rules.1.type`)
  t.equal(config.name(['natpass', 'secret']), `${folder}/common.yaml:1: secret`)
  t.same(warningsOf(config), [`${folder}/common.yaml:2: unknown key, it is ignored`, `${folder}/common.yaml holds a secret and others can read it: chmod 600 ${folder}/common.yaml`])
  t.equal(complaint(t, () => parsed('peer', '#include common.yaml\nsecret: y', file)), `${file}:2: secret: given twice, expected once (the first is at ${folder}/common.yaml:1)`)
  writeFileSync(join(folder, 'common.yaml'), 'log:\n  dir: a: b\n')
  t.match(complaint(t, () => parsed('peer', text, file)), /\/common\.yaml:2: not YAML: nested mappings/)
})

t.test('unknown keys, and those of the other program, are ignored with one warning each', async (t) => {
  t.same(warningsOf(relay('listen: 1\nsecrt: x\nserver: y\nrules: [x]\ntls: { kay: 1, crt: }\ncolour: { a: b }\n')), [
    'np.yaml:2: unknown key, it is ignored (did you mean secret?)', 'np.yaml:3: server is ignored: a key of the client', 'np.yaml:4: rules is ignored: a key of the client',
    'np.yaml:5: unknown key, it is ignored (did you mean key?)', 'np.yaml:6: unknown key, it is ignored'
  ])
  t.same(warningsOf(peer('listen: 1\n"ssl.enabled": true\nrules:\n- { name: a, target: b, type: vnc, exec: x, remote_port: 1, locl_port: 1, "": 1 }\n')), [
    'np.yaml:1: listen is ignored: a key of the server', 'np.yaml:2: unknown key, it is ignored',
    'np.yaml:4: unknown key, it is ignored (did you mean local_port?)', 'np.yaml:4: unknown key, it is ignored',
    'np.yaml:4: exec is ignored: a rule of type vnc has none', 'np.yaml:4: remote_port is ignored: a rule of type vnc has none'
  ])
  t.match(peer('rules:\n- { name: a, target: b, type: bench }\n').warnings, [/^np\.yaml:2: local_addr is missing: 127\.0\.0\.1 takes its place, where the original listens on all addresses$/, /dashboard is missing/, /id is missing/])
  t.same(warningsOf(peer('dashboard: { enabled: false }')), [])
  const { warnings } = relay(Array.from({ length: 1000 }, (_, i) => `hunter${i}: hunter2\n`).join(''))
  t.same([warnings.length, warnings.at(-1)], [21, 'np.yaml: 980 more warnings'])
  t.notMatch(warnings.join(), /hunter2/)
})

/** What is written, and the only line that the user gets. */
const wrong: Array<[program: 'relay' | 'peer', text: string, message: string]> = [
  ['relay', '- a\n', 'np.yaml:1: not a section, expected "key: value"'],
  ['relay', 'listen\n', 'np.yaml:1: not a section, expected "key: value"'],
  ['relay', 'listen: [1]\n', 'np.yaml:1: listen: not a port (a list), expected a port such as 6154'],
  ['relay', 'secret: { a: b }\n', 'np.yaml:1: secret: not text (a section), expected text'],
  ['relay', '\ntls: x\n', 'np.yaml:2: tls: not a section ("x"), expected keys such as tls.key'],
  ['relay', 'link:\n- a\n', 'np.yaml:1: link: not a section (a list), expected keys such as link.read_timeout'],
  ['relay', 'link:\n  read_timeout: soon\n', 'np.yaml:2: link.read_timeout: not a duration ("soon"), expected one such as 1s or 1m30s'],
  ['relay', 'link:\n  read_timeout: 0\n', 'np.yaml:2: link.read_timeout: not a duration ("0"), expected one such as 1s or 1m30s'],
  ['relay', 'log: { size: big }\n', 'np.yaml:1: log.size: not a size ("big"), expected one such as 50M or 50MiB'],
  ['relay', 'log: { rotate: -1 }\n', 'np.yaml:1: log.rotate: not a number ("-1"), expected a whole number'],
  ['relay', 'a: 1\nlisten: 1\nlisten: 2\n', 'np.yaml:3: listen: given twice, expected once (the first is on line 2)'],
  ['relay', 'tls:\n  key: a\n  key: b\n', 'np.yaml:3: tls.key: given twice, expected once (the first is on line 2)'],
  ['relay', '"a\\nb": 1\n"a\\nb": 1\n', 'np.yaml:2: a\\x0ab: given twice, expected once (the first is on line 1)'],
  ['relay', '1: 2\n', 'np.yaml:1: a key that is not text, expected a name'],
  ['relay', '<<: { a: b }\n', 'np.yaml:1: "<<" merges nothing here, expected the keys themselves'],
  ['relay', 'listen: 1\nsecret: *hidden\n', 'np.yaml:2: an alias that means nothing here; put the text in quotes'],
  ['relay', 'listen: 1\nsecret: &hidden x\n', 'np.yaml:2: an anchor that means nothing here; put the text in quotes'],
  ['relay', 'listen: 1\nsecret: !hidden x\n', 'np.yaml:2: a tag that means nothing here; put the text in quotes'],
  ['relay', 'listen: 1\n---\nlisten: 2\n', 'np.yaml:2: more than one document, expected one'],
  ['peer', 'ssl: { enabled: maybe }\n', 'np.yaml:1: ssl.enabled: not a boolean ("maybe"), expected true or false'],
  ['peer', 'dashboard: { port: 70000 }\n', 'np.yaml:1: dashboard.port: not a port ("70000"), expected a port such as 8080'],
  ['peer', 'rules: x\n', 'np.yaml:1: rules: not a list ("x"), expected rules, each with "-" in front'],
  ['peer', 'rules: { name: a }\n', 'np.yaml:1: rules: not a list (a section), expected rules, each with "-" in front'],
  ['peer', `rules:\n${'- a\n'.repeat(257)}`, 'np.yaml:1: rules: too many, expected at most 256'],
  ['peer', 'rules:\n- a\n', 'np.yaml:2: rules.0: not a rule ("a"), expected keys such as name, target and type'],
  ['peer', 'rules:\n- { name: a, target: b, type: shell }\n-\n', 'np.yaml:3: rules.1: not a rule (""), expected keys such as name, target and type'],
  ['peer', 'rules:\n- name: a\n  target: b\n  type: ssh\n', 'np.yaml:4: rules.0.type: not a choice ("ssh"), expected shell, vnc, bench, code-server, tcp or udp'],
  ['peer', 'rules:\n- name: a\n  target: b\n', 'np.yaml:2: rules.0.type: missing, expected shell, vnc, bench, code-server, tcp or udp'],
  ['peer', 'rules:\n- target: b\n  type: shell\n', 'np.yaml:2: rules.0.name: missing, expected at most 64 printable characters'],
  ['peer', 'rules:\n- name: a\n  target:\n  type: shell\n', 'np.yaml:2: rules.0.target: missing, expected at most 64 letters, digits, ".", "_", "@" or "-", but not server or any'],
  ['peer', 'rules:\n- name: [a]\n  target: b\n  type: shell\n', 'np.yaml:2: rules.0.name: not a name (a list), expected at most 64 printable characters'],
  ['peer', 'rules:\n- name: a\n  target: b\n  type: shell\n  local_port: 22 22\n', 'np.yaml:5: rules.0.local_port: not a whole number in range ("22 22"), expected 0 to 65535'],
  ['peer', 'rules:\n- name: a\n  target: b\n  type: shell\n  local_addr: here\n', 'np.yaml:5: rules.0.local_addr: not an address ("here"), expected one of this machine such as 192.0.2.7 or ::'],
  ['peer', 'rules:\n- name: a\n  target: b\n  type: shell\n  env: A=b\n', 'np.yaml:5: rules.0.env: not a list ("A=b"), expected a list of NAME=VALUE'],
  ['peer', 'rules:\n- name: a\n  target: b\n  type: shell\n  env:\n  - A=b\n  - C\n', 'np.yaml:5: rules.0.env: not a variable ("C"), expected NAME=VALUE'],
  ['peer', 'rules:\n- name: a\n  target: b\n  type: vnc\n  fps: many\n', 'np.yaml:5: rules.0.fps: not a whole number in range ("many"), expected 1 to 50'],
  ['peer', 'rules:\n- name: a\n  name: b\n', 'np.yaml:3: rules.0.name: given twice, expected once (the first is on line 2)']
]

t.test('what is wrong is told by file, line and key', async (t) => {
  for (const [program, text, message] of wrong) t.equal(complaint(t, () => parsed(program, text)), message)
  t.match(complaint(t, () => relay('listen: "1\n')), /^np\.yaml:\d: not YAML: /)
  t.equal(complaint(t, () => natpassYaml('relay').parse('np.yaml', 'secret: \xe9')), '--config: not text ("np.yaml"), expected UTF-8')
})

t.test('files of the original are known by their keys', async (t) => {
  const theirs = ['listen: 1', 'secret: x\nfoo: y', 'foo: 1\r\nrules:\r\n', '"server": x', "'id' : x", 'ssl:\n  enabled: true', 'link: {}', 'dashboard:', 'codedir: x', 'tls: x', 'log: x', '\ufeffid: x', '# a comment\n#include common.yaml\n', '#include a\nrules:\n  #include b\n']
  for (const text of theirs) t.ok(isNatpassYaml(latin1(text)), text)
  const others = ['', '# comment', 'natpass:\n  secret: x', 'secret: x\nnatpass:\n', 'candy:\n  listen: x', 'metrics: 9100', '  id: x', '- id: x', 'id', 'idx: 1', '{ id: x }', '"id: x', '#included\n', '#include a\n- b\n']
  for (const text of others) t.notOk(isNatpassYaml(latin1(text)), text)
  for (const long of [' '.repeat(60_000), '"'.repeat(60_000), 'a'.repeat(60_000), 'a\t'.repeat(30_000), '#'.repeat(60_000)]) t.notOk(isNatpassYaml(`${long}x`))
})

const isToldWell = (message: string): boolean => /^(np\.yaml:\d+: [^\n]+|--config: not text \("np\.yaml"\), expected UTF-8)$/.test(message)

t.test('any text is taken or refused, and nothing else happens', async (t) => {
  const refusals = new Map<string, number>()
  const attempt = (t: Test, program: 'relay' | 'peer', bytes: string): void => {
    isNatpassYaml(bytes)
    try {
      const { values, warnings, name } = natpassYaml(program).parse('np.yaml', bytes)
      if (warnings.some((warning) => warning.includes('\n'))) t.fail(warnings.join())
      for (const key of Object.keys(values.natpass as object)) name(['natpass', key])
      refusals.set('none', (refusals.get('none') ?? 0) + 1)
    } catch (err) {
      if (!(err instanceof UsageError) || !isToldWell(err.message)) throw err
      refusals.set('some', (refusals.get('some') ?? 0) + 1)
    }
  }
  const piece = fc.oneof(fc.constantFrom(':', '-', '"', "'", '#', '\n', '\r\n', ' ', '\t', '[', ']', '{', '}', ',', '|', '>', '&a ', '*a', '!t', '? ', '%', '@', '`', '\0', '\u00a0', '密', '\xff', '---\n', '...\n', '<<: ', '  ', '0', '~', '\ufeff', '#include\n', '#include [\n'), fc.string({ maxLength: 4 }))
  const whole = fc.constantFrom<string>(SERVER, CLIENT)
  const edits = fc.array(fc.record({ at: fc.nat(CLIENT.length), remove: fc.nat(12), insert: piece }), { maxLength: 6 })
  fc.assert(fc.property(whole, edits, fc.constantFrom('relay' as const, 'peer' as const), fc.constantFrom('utf8' as const, 'latin1' as const), (text, edits, program, encoding) => {
    const mutated = edits.reduce((text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove), text)
    attempt(t, program, Buffer.from(mutated, encoding).toString('latin1'))
  }), { numRuns: sample('damaged files', { short: 400, long: 40_000 }) })
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.constantFrom('relay' as const, 'peer' as const), (text, program) => { attempt(t, program, latin1(text)) }))
  t.ok((refusals.get('none') ?? 0) > 50, `${refusals.get('none')} were taken`)
  t.ok((refusals.get('some') ?? 0) > 50, `${refusals.get('some')} were refused`)
})

t.test('files as large as they may be', async (t) => {
  const texts = [
    `secret: ${'x'.repeat(60_000)}`, `rules: ${'['.repeat(30_000)}`, `rules:\n${'- '.repeat(30_000)}`, `a: ${'{a: '.repeat(2000)}${'}'.repeat(2000)}`, 'a: 1\n'.repeat(13_000), `rules:\n- env: [${'a,'.repeat(30_000)}]`,
    `link: { read_timeout: ${'1'.repeat(60_000)} }`, Array.from({ length: 6000 }, (_, i) => `k${i}: 1\n`).join('')
  ]
  for (const text of texts) {
    for (const program of ['relay', 'peer'] as const) {
      try {
        t.ok(parsed(program, text).warnings.length < 30)
      } catch (err) {
        t.ok(err instanceof UsageError && err.message.length < 300, text.slice(0, 20))
      }
    }
  }
})
