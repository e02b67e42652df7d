import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseConfig, readConfigFile } from '../../../src/cli/config/config-file.ts'
import { resolveProgram } from '../../../src/cli/config/load.ts'
import { RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'
import { complaint } from '../../helpers/cli/complaint.ts'

const check = (text: string): unknown => resolveProgram(RELAY_PROTOCOLS, 'relay', [parseConfig('relay.yaml', text)]).values
const RELAY_KEYS = 'listen, password, password-file, allow-empty-password, dhcp, sdwan, source-check, takeover, broadcast, isolate, path, max-peers, frame-rate, packet-rate, byte-rate, broadcast-rate, networks, lenient, max-per-source, max-half-open, max-connections, auth-failures, trusted-proxy, tls-cert, tls-key, stun-listen, stun-second or state-dir'
const NETWORKS = 'candy:\n  listen: ws://127.0.0.1:0\n  networks:\n  - path: /a\n    password: x\n'
const HEAD = 'candy:\n  listen: ws://127.0.0.1:0\n  password: x\n'

t.test('values and their names', async (t) => {
  const config = parseConfig('relay.yaml', `# comment\n\n${HEAD}metrics: 9100\n`)
  t.same(config.values, { candy: { listen: 'ws://127.0.0.1:0', password: 'x' }, metrics: 9100 })
  t.equal(config.name(['candy', 'password']), 'relay.yaml:5: candy.password')
  t.equal(config.name(['candy', 'dhcp']), 'relay.yaml:3: candy.dhcp', 'what is missing stands at its section')
  t.equal(config.name(['json']), 'relay.yaml: json')
  t.same(parseConfig('relay.yaml', '# nothing\n').values, {})
  t.same(parseConfig('relay.yaml', `\uFEFF${HEAD}`).values, { candy: config.values.candy }, 'a byte order mark is no part of a key')
  t.same(check(HEAD), { candy: { listen: { isSecure: false, host: '127.0.0.1', port: 0 }, password: 'x' }, json: false, 'log-level': 'info' })
})

/** What is written, and the only line that the user gets. */
const wrong: Array<[text: string, message: string]> = [
  [`${HEAD}  dhcp: 10.0.0/24\n`, 'relay.yaml:4: candy.dhcp: not a CIDR ("10.0.0/24"), expected a.b.c.d/8 to /30'],
  [`${HEAD}  dhcp: 10.0.0.0/31\n`, 'relay.yaml:4: candy.dhcp: not a CIDR ("10.0.0.0/31"), expected a.b.c.d/8 to /30'],
  [`${HEAD}  dhcp: 10.0.0.0/7\n`, 'relay.yaml:4: candy.dhcp: not a CIDR ("10.0.0.0/7"), expected a.b.c.d/8 to /30'],
  [`${HEAD}  dhcp: 10\n`, 'relay.yaml:4: candy.dhcp: not a CIDR (10), expected a.b.c.d/8 to /30'],
  [`${HEAD}  dhcp:\n`, 'relay.yaml:4: candy.dhcp: empty, expected a.b.c.d/8 to /30'],
  [`${HEAD}metrics: { host: 127.0.0.1, port: 1 }\n`, 'relay.yaml:4: metrics: not an address to listen on (a section), expected HOST:PORT or PORT (then on 127.0.0.1)'],
  [`${HEAD}  dhcp: [10.0.0.0/24]\n`, 'relay.yaml:4: candy.dhcp: not a CIDR (a list), expected a.b.c.d/8 to /30'],
  [`${HEAD}  dhcp: { a: 1 }\n`, 'relay.yaml:4: candy.dhcp: not a CIDR (a section), expected a.b.c.d/8 to /30'],
  [`${HEAD}  dhcp: "10.0.0.0\\e[31m"\n`, 'relay.yaml:4: candy.dhcp: not a CIDR ("10.0.0.0\\u001b[31m"), expected a.b.c.d/8 to /30'],
  [`${HEAD}  sdwan: ""\n  dhcp: x\n`, 'relay.yaml:5: candy.dhcp: not a CIDR ("x"), expected a.b.c.d/8 to /30'],
  ['candy:\n  password: x\n', 'relay.yaml:1: candy.listen: missing, expected ws://HOST:PORT or wss://HOST:PORT'],
  ['candy:\n  listen: 8080\n  password: x\n', 'relay.yaml:2: candy.listen: not an address to listen on (8080), expected ws://HOST:PORT or wss://HOST:PORT'],
  ['candy:\n  listen: ws://0.0.0.0\n', 'relay.yaml:2: candy.listen: not an address to listen on ("ws://0.0.0.0"), expected ws://HOST:PORT or wss://HOST:PORT'],
  ['candy:\n  listen: ws://0.0.0.0:65536\n', 'relay.yaml:2: candy.listen: not an address to listen on ("ws://0.0.0.0:65536"), expected ws://HOST:PORT or wss://HOST:PORT'],
  ['candy:\n  listen: http://0.0.0.0:80\n', 'relay.yaml:2: candy.listen: not an address to listen on ("http://0.0.0.0:80"), expected ws://HOST:PORT or wss://HOST:PORT'],
  ['candy:\n  listen: ws://0.0.0.256:80\n', 'relay.yaml:2: candy.listen: not an address to listen on ("ws://0.0.0.256:80"), expected ws://HOST:PORT or wss://HOST:PORT'],
  ['candy:\n  listen: wss://0.0.0.0:443\n', 'relay.yaml:1: candy.tls-cert: missing, expected a PEM file, since listen is wss://'],
  ['candy:\n  listen: wss://0.0.0.0:443\n  tls-cert: a.pem\n', 'relay.yaml:1: candy.tls-key: missing, expected a PEM file, since there is a tls-cert'],
  [`${HEAD}  tls-cert: a.pem\n`, 'relay.yaml:4: candy.tls-cert: of no use with listen ws://127.0.0.1:0, expected wss://HOST:PORT there'],
  [`${HEAD}  source-check: strikt\n`, 'relay.yaml:4: candy.source-check: not a choice ("strikt"), expected strict, routes or off'],
  [`${HEAD}  source-check: off\n  lenient: yes\n`, 'relay.yaml:5: candy.lenient: not a boolean ("yes"), expected true or false'],
  [`${HEAD}  dchp: 10.0.0.0/24\n`, 'relay.yaml:4: candy.dchp: unknown key, did you mean dhcp?'],
  [`${NETWORKS}  - path: /b/\n    password: x\n`, 'relay.yaml:6: candy.networks.1.path: not a path ("/b/"), expected / or /name or /name/name of letters, digits, ".", "_", "~", "@" and "-"'],
  [`${NETWORKS}  - path: /a\n    password: x\n`, 'relay.yaml:6: candy.networks.1.path: the path /a is that of another network as well, expected one of its own'],
  [`${NETWORKS}\n  - password: x\n`, 'relay.yaml:7: candy.networks.1.path: missing, expected a path such as /name, since there are several networks'],
  [`${NETWORKS}    dhcp: 10.0.0.0/31\n`, 'relay.yaml:6: candy.networks.0.dhcp: not a CIDR ("10.0.0.0/31"), expected a.b.c.d/8 to /30'],
  [`${NETWORKS}    listen: ws://127.0.0.1:0\n`, `relay.yaml:6: candy.networks.0.listen: unknown key, expected ${RELAY_KEYS.replace(/^listen, | or state-dir|, networks.*/g, '').replace(/, broadcast-rate/, ' or broadcast-rate')}`],
  [`${NETWORKS}  dhcp: 10.0.0.0/24\n`, 'relay.yaml:6: candy.dhcp: of no use beside networks, expected below one of them'],
  [`${HEAD}  broadcast-rate: 0\n`, 'relay.yaml:4: candy.broadcast-rate: not a whole number in range ("0"), expected 1 to 999999999'],
  [`${NETWORKS}    broadcast-rate: fast\n`, 'relay.yaml:6: candy.networks.0.broadcast-rate: not a whole number in range ("fast"), expected 1 to 999999999'],
  [`${NETWORKS}  isolate: true\n`, 'relay.yaml:6: candy.isolate: of no use beside networks, expected below one of them'],
  [`${HEAD}  sdwan: [10.77.0.0/24, 10.1.0.0/16, 10.77.0.2]\n`, 'relay.yaml:4: candy.sdwan: not a list of rules (a list), expected dev-cidr,dst-cidr,nexthop;... with network addresses and without blanks'],
  [`${HEAD}  dhcp: { address: 1, prefix: 32, mask: 4294967295, network: 1, broadcast: 1 }\n`, 'relay.yaml:4: candy.dhcp: not a CIDR (a section), expected a.b.c.d/8 to /30'],
  ['candy:\n  listen: { isSecure: false, host: 127.0.0.1, port: 0 }\n  password: x\n', 'relay.yaml:2: candy.listen: not an address to listen on (a section), expected ws://HOST:PORT or wss://HOST:PORT'],
  [`${HEAD}  sdwan: []\n`, 'relay.yaml:4: candy.sdwan: not a list of rules (a list), expected dev-cidr,dst-cidr,nexthop;... with network addresses and without blanks'],
  [`${NETWORKS}  source-check: routes\n`, 'relay.yaml:6: candy.source-check: of no use beside networks, expected below one of them'],
  [`${NETWORKS}  broadcast: off\n`, 'relay.yaml:6: candy.broadcast: of no use beside networks, expected below one of them'],
  [`${NETWORKS}  - 7\n`, 'relay.yaml:6: candy.networks.1: not a section (7), expected keys such as password, password-file, allow-empty-password'],
  [`${HEAD}  networks: /a\n`, 'relay.yaml:4: candy.networks: not a list ("/a"), expected one section or more, each with "-" in front'],
  [`${HEAD}  networks: []\n`, 'relay.yaml:4: candy.networks: empty, expected one section or more, each with "-" in front'],
  [`${NETWORKS}  - path: /b\n    path: /c\n`, 'relay.yaml:7: candy.networks.1.path: given twice, expected once (the first is on line 6)'],
  [`${HEAD}  trusted-proxy: [10.0.0.0/8, x]\n`, 'relay.yaml:4: candy.trusted-proxy: not a list of networks ("10.0.0.0/8,x"), expected addresses or CIDRs such as 10.0.0.0/8,2001:db8::/32'],
  [`${HEAD}  broadcast: true\n`, 'relay.yaml:4: candy.broadcast: not a choice (true), expected on or off'],
  [`${HEAD}  byte-rate: 1499\n`, 'relay.yaml:4: candy.byte-rate: not a whole number in range ("1499"), expected 1500 to 999999999'],
  [`${HEAD}  colour: red\n`, `relay.yaml:4: candy.colour: unknown key, expected ${RELAY_KEYS}`],
  [`${HEAD}  __proto__: {}\n`, `relay.yaml:4: candy.__proto__: unknown key, expected ${RELAY_KEYS}`],
  [`${HEAD}cndy: {}\n`, 'relay.yaml:4: cndy: unknown key, did you mean candy?'],
  [`${HEAD}metric: 1\n`, 'relay.yaml:4: metric: unknown key, did you mean metrics?'],
  [`${HEAD}metrics: 65536\n`, 'relay.yaml:4: metrics: not an address to listen on ("65536"), expected HOST:PORT or PORT (then on 127.0.0.1)'],
  [`${HEAD}log-level: loud\n`, 'relay.yaml:4: log-level: not a choice ("loud"), expected fatal, error, warn, info, debug or trace'],
  [`${HEAD}json: 1\n`, 'relay.yaml:4: json: not a boolean (1), expected true or false'],
  [`${HEAD}\ncandy:\n  lenient: true\n`, 'relay.yaml:5: candy: given twice, expected once (the first is on line 1)'],
  [`${HEAD}  password: y\n`, 'relay.yaml:4: candy.password: given twice, expected once (the first is on line 3)'],
  ['candy:\n  listen: ws://127.0.0.1:0\n  password: 12345678\n', 'relay.yaml:3: candy.password: not text, expected text (put digits in quotes)'],
  ['candy:\n  listen: ws://127.0.0.1:0\n  password:\n', 'relay.yaml:3: candy.password: empty, expected text'],
  ['candy: 5\n', 'relay.yaml:1: candy: not a section (5), expected keys such as listen, password, password-file'],
  ['\ncandy:\n', 'relay.yaml:2: candy: empty, expected keys such as listen, password, password-file'],
  ['- candy\n', 'relay.yaml:1: not a section, expected "key: value"'],
  ['just words\n', 'relay.yaml:1: not a section, expected "key: value"'],
  ['candy:\n  1: 2\n', 'relay.yaml:2: a key that is not text, expected a name'],
  ['? [a]\n: b\n', 'relay.yaml:1: a key that is not text, expected a name'],
  ['candy:\n\tlisten: x\n', 'relay.yaml:2: not YAML: tabs are not allowed as indentation'],
  ['candy: {\n', 'relay.yaml:2: not YAML: flow map in block collection must be sufficiently indented and end with a }'],
  ['candy: "x\n', 'relay.yaml:2: not YAML: missing closing "quote'],
  ['a: 1\n---\nb: 2\n', 'relay.yaml:2: more than one document, expected one'],
  ['candy: &it {}\n', 'relay.yaml:1: an anchor that means nothing here; put the text in quotes'],
  [`${HEAD}<<: { json: true }\n`, 'relay.yaml:4: "<<" merges nothing here, expected the keys themselves'],
  [`${HEAD}  <<: *here\n`, 'relay.yaml:4: an alias that means nothing here; put the text in quotes']
]

/** Passwords without quotes that YAML takes for something else. */
const unquoted: Array<[password: string, message: string]> = [
  ['*hunter2', 'an alias that means nothing here; put the text in quotes'],
  ['&hunter2', 'an anchor that means nothing here; put the text in quotes'],
  ['&hunter2 x', 'an anchor that means nothing here; put the text in quotes'],
  ...['!hunter2', '!hunter2 x', '!!hunter2', '!h!unter2', '!<hunter2> x', '!hunter2 { a: 1 }', '!!hunter2 [a]'].map((password) => [password, 'a tag that means nothing here; put the text in quotes'] as [string, string]),
  ['|hunter2', 'not YAML: block scalar header includes extra characters'],
  ['>hunter2', 'not YAML: block scalar header includes extra characters'],
  ['"\\hunter2"', 'not YAML: a backslash that means nothing here; put the text in single quotes'],
  [']hunter2', 'not YAML: unexpected flow-seq-end token in YAML stream'],
  ['@hunter2', 'not YAML: plain value cannot start with reserved character @'],
  ['"x" hunter2', 'not YAML: unexpected scalar at node end'],
  ['[hunter2', 'not YAML: flow sequence in block collection must be sufficiently indented and end with a ]']
]

t.test('no complaint quotes a password', async (t) => {
  for (const [password, message] of unquoted) {
    const line = complaint(t, () => check(`candy:\n  listen: ws://127.0.0.1:0\n  password: ${password}\n`))
    t.equal(line.replace(/^relay\.yaml:\d: /, ''), message, password)
    t.notMatch(line, /hunter2|unter/, password)
  }
  t.equal(complaint(t, () => check('%hunter2\n---\n')), 'relay.yaml:1: a directive that means nothing here; put the text in quotes')
})

for (const [text, message] of wrong) {
  t.test(JSON.stringify(text), async (t) => {
    t.equal(complaint(t, () => check(text)), message)
  })
}

t.test('sdwan names the rule', async (t) => {
  const rules: Array<[text: string, message: RegExp]> = [
    ['10.0.0.0/24,10.1.0.0/16', /rule 1 is not device,destination,nexthop/],
    ['10.0.0.0/24,10.1.0.0/16,10.0.0.1;;', /rule 2 /],
    ['10.0.0.0/24,10.1.0.0/16,10.0.0.1; 10.0.0.0/24,10.2.0.0/16,10.0.0.1', /rule 2: the device network is not/],
    ['10.0.0.5/24,10.1.0.0/16,10.0.0.1', /rule 1: the device network has host bits/],
    ['10.0.0.0/24,10.1.0.0,10.0.0.1', /rule 1: the destination network is not/],
    ['10.0.0.0/24,10.1.0.0/16,gateway', /rule 1: the next hop is not/]
  ]
  for (const [sdwan, message] of rules) {
    const line = complaint(t, () => check(`${HEAD}  sdwan: "${sdwan}"\n`))
    t.match(line, message)
    t.match(line, /^relay\.yaml:4: candy\.sdwan: rule .*, expected dev-cidr,dst-cidr,nexthop;\.\.\. with network addresses and without blanks$/)
  }
  t.doesNotThrow(() => check(`${HEAD}  sdwan: 10.0.0.0/24,10.1.0.0/16,10.0.0.1;10.0.0.0/24,10.2.0.0/16,10.0.0.2,ignored;\n`))
})

t.test('what would exhaust a parser is refused', async (t) => {
  const bomb = ['a: &a [x, x, x, x, x, x, x, x, x]', ...'bcdefgh'.split('').map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(', ')}]`)].join('\n')
  t.equal(complaint(t, () => check(bomb)), 'relay.yaml:1: an anchor that means nothing here; put the text in quotes')
  for (const text of ['['.repeat(60_000), '- '.repeat(30_000), '{a: '.repeat(15_000), '? '.repeat(30_000), '['.repeat(30_000) + ']'.repeat(30_000), 'a: &a [*a]\n']) {
    t.throws(() => check(text), { code: 'ERR_USAGE' }, text.slice(0, 12))
  }
})

t.test('the file itself', async (t) => {
  const folder = t.testdir({ large: '#'.repeat(65_537), fits: '#'.repeat(65_536), folder: {} })
  const file = (name: string): string => join(folder, name)
  writeFileSync(file('binary'), Buffer.from([0x61, 0xff]))
  const quoted = (name: string): string => JSON.stringify(file(name))
  t.equal(complaint(t, () => readConfigFile('none.yaml', RELAY_PROTOCOLS)), '--config: cannot be read ("none.yaml"): no such file or directory')
  t.equal(complaint(t, () => readConfigFile(file('folder'), RELAY_PROTOCOLS)), `--config: cannot be read (${quoted('folder')}): illegal operation on a directory`)
  t.equal(complaint(t, () => readConfigFile(file('large'), RELAY_PROTOCOLS)), `--config: too large (${quoted('large')}), expected at most 64 KiB`)
  t.equal(complaint(t, () => readConfigFile(file('binary'), RELAY_PROTOCOLS)), `--config: not text (${quoted('binary')}), expected UTF-8`)
  t.same(readConfigFile(file('fits'), RELAY_PROTOCOLS).values, {})
})
