import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, closeSync, constants, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createPeerCommand } from '../../../src/cli/peer-command.ts'
import { createRelayCommand } from '../../../src/cli/relay-command.ts'
import { parse } from '../../../src/cli/command.ts'
import type { Flags } from '../../../src/cli/config/settings.ts'
import { keysOf } from '../../../src/cli/config/keys.ts'
import { SHARED_KEYS } from '../../../src/cli/config/program.ts'
import { formatCidr } from '../../../src/net/ipv4.ts'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'
import { complaint } from '../../helpers/cli/complaint.ts'
import { peerOf, relayOf, type LoadedRelay } from '../../helpers/cli/loaded.ts'

function loadRelay (...argv: string[]): LoadedRelay & { password: string } {
  let flags: Flags | undefined
  parse(createRelayCommand((given) => { flags = given }, () => {}), argv)
  const loaded = relayOf(flags as Flags)
  return { ...loaded, password: loaded.networks[0].password }
}

function loadPeer (...argv: string[]): ReturnType<typeof peerOf> {
  let flags: Flags | undefined
  parse(createPeerCommand((given) => { flags = given }, () => {}), argv)
  return peerOf(flags as Flags)
}

function withEnvironment (t: Test, password: string): void {
  process.env.TUNPIPE_PASSWORD = password
  t.teardown(() => { delete process.env.TUNPIPE_PASSWORD })
}

delete process.env.TUNPIPE_PASSWORD
const LISTEN = ['--listen', 'ws://127.0.0.1:0']
const URL = ['--url', 'ws://127.0.0.1:80/']

t.test('flags become settings', async (t) => {
  const { settings, candy, networks, password, warnings } = loadRelay(
    'candy', ...LISTEN, '--password', 'x', '--dhcp', '10.77.0.0/24', '--sdwan', '10.77.0.0/24,10.1.0.0/16,10.77.0.2', '--source-check', 'strict', '--takeover', 'same-device',
    '--lenient', '--broadcast-rate', '5000', '--metrics', '0', '--json', '--log-level', 'debug'
  )
  t.match(settings, { metrics: { host: '127.0.0.1', port: 0 }, json: true, 'log-level': 'debug' })
  t.match(candy, { listen: { isSecure: false, host: '127.0.0.1', port: 0 }, dhcp: { prefix: 24 }, sdwan: [{ destination: { prefix: 16 } }], sourceCheck: 'strict', takeover: 'same-device', lenient: true, broadcastRate: 5000 })
  t.equal(networks[0], candy)
  t.equal(password, 'x')
  t.same(warnings, [])
  t.equal(loadRelay('--json', '--log-level', 'warn', 'candy', ...LISTEN, '--password', 'x', '--log-level', 'error').settings['log-level'], 'error', 'the nearer one wins')
  t.equal(loadRelay('--json', 'candy', ...LISTEN, '--password', 'x').settings.json, true, 'shared options may stand in front')
})

t.test('defaults are closed', async (t) => {
  t.match(loadRelay('candy', ...LISTEN, '--password', 'x').candy, { password: 'x', allowEmptyPassword: false, lenient: false, isolate: false, sourceCheck: 'routes', maxPerSource: 256, networks: undefined, trustedProxies: undefined, tls: undefined, dhcp: undefined })
  t.match(loadPeer('candy', ...URL, '--password', 'x').candy, { url: 'ws://127.0.0.1:80/', password: 'x', allowEmptyPassword: false, mtu: 1400, offload: true, insecure: false, ca: undefined, address: undefined })
})

t.test('flags win over the file', async (t) => {
  const file = join(t.testdir({ 'relay.yaml': 'candy:\n  listen: ws://127.0.0.1:1\n  password: from-file\n  dhcp: 10.0.0.0/24\njson: true\n' }), 'relay.yaml')
  chmodSync(file, 0o600)
  const { candy, settings, password, warnings } = loadRelay('candy', '--config', file, ...LISTEN, '--source-check', 'off')
  t.match(candy, { listen: { port: 0 }, dhcp: { prefix: 24 }, sourceCheck: 'off' })
  t.equal(settings.json, true)
  t.equal(password, 'from-file')
  t.same(warnings, [])
  t.equal(complaint(t, () => loadRelay('candy', '--config', file, '--dhcp', 'x')), '--dhcp: not a CIDR ("x"), expected a.b.c.d/8 to /30', 'named by where it came from')
  t.equal(loadRelay('--config', file, '--metrics', '9100').settings.metrics?.port, 9100)
})

t.test('one password, in this order', async (t) => {
  const folder = t.testdir({ secret: 'from-secret-file\n', 'other.secret': 'from-other-file\r\n' })
  const secret = join(folder, 'secret')
  const config = (text: string): string => {
    const file = join(folder, 'relay.yaml')
    writeFileSync(file, `candy:\n  listen: ws://127.0.0.1:0\n${text}`)
    return file
  }
  const both = config(`  password: from-config\n  password-file: ${join(folder, 'other.secret')}\n`)
  t.equal(complaint(t, () => loadRelay('candy', '--config', both)), `${both}:4: candy.password-file: contradicts password, expected one of them`)
  const file = config('  password: from-config\n')
  const relay = (...argv: string[]): string => loadRelay('candy', '--config', file, ...argv).password
  t.equal(relay(), 'from-config')
  t.equal(loadRelay('--config', file).password, 'from-config')
  withEnvironment(t, 'from-environment')
  t.equal(relay(), 'from-environment')
  t.equal(loadRelay('--config', file).password, 'from-environment')
  t.equal(relay('--password-file', secret), 'from-secret-file')
  t.equal(relay('--password', 'from-flag'), 'from-flag')
  t.equal(complaint(t, () => relay('--password-file', secret, '--password', 'from-flag')), '--password-file: contradicts password, expected one of them')
})

t.test('what is wrong with passwords', async (t) => {
  const folder = t.testdir({ empty: '\n', lines: 'a\nb\n', folder: {}, long: 'x'.repeat(4097) })
  const file = (name: string): string[] => ['--password-file', join(folder, name)]
  const ask = '(or a password-file, or TUNPIPE_PASSWORD, or allow-empty-password)'
  const relay = (...argv: string[]): string => complaint(t, () => loadRelay('candy', ...LISTEN, ...argv))
  t.equal(relay(), `--password: missing, expected a password ${ask}`)
  t.equal(relay('--password', ''), `--password: empty, expected a password ${ask}`)
  t.equal(relay(...file('empty')), `--password-file: empty, expected a password ${ask}`)
  t.equal(relay(...file('lines')), '--password-file: more than one line, expected nothing but the password')
  t.equal(relay(...file('none')), `--password-file: cannot be read (${JSON.stringify(join(folder, 'none'))}): no such file or directory`)
  t.equal(relay(...file('folder')), `--password-file: cannot be read (${JSON.stringify(join(folder, 'folder'))}): illegal operation on a directory`)
  t.equal(relay(...file('long')), `--password-file: too large (${JSON.stringify(join(folder, 'long'))}), expected at most 4 KiB`)
  t.equal(loadRelay('candy', ...LISTEN, '--allow-empty-password').password, '')
  t.equal(loadRelay('candy', ...LISTEN, '--password', '', '--allow-empty-password').password, '')
  t.equal(loadPeer('candy', ...URL, '--allow-empty-password').candy.password, '')
  t.match(complaint(t, () => loadPeer('candy', ...URL)), /^--password: missing, /)
})

t.test('a password from a pipe', async (t) => {
  const pipe = join(t.testdir(), 'pipe')
  execFileSync('mkfifo', [pipe])
  const load = (): string => loadRelay('candy', ...LISTEN, '--password-file', pipe).password
  t.equal(complaint(t, load), `--password-file: a pipe that nobody writes to (${JSON.stringify(pipe)})`)

  const kept = openSync(pipe, constants.O_RDONLY | constants.O_NONBLOCK) // so that a writer can come and go before we read
  execFileSync('sh', ['-c', 'echo from-pipe > "$0"', pipe])
  t.equal(load(), 'from-pipe')

  const writer = spawn('sh', ['-c', 'exec 3> "$0"; echo open; "$1" -e ""; echo from-slow-pipe >&3', pipe, process.execPath], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(writer.stdout, 'data')
  t.equal(load(), 'from-slow-pipe', 'one that has yet to write is waited for')
  closeSync(kept)
})

t.test('a variable alone starts nothing', async (t) => {
  withEnvironment(t, 'x')
  const file = join(t.testdir({ 'relay.yaml': 'json: true\n' }), 'relay.yaml')
  t.equal(complaint(t, () => loadRelay('--config', file)), `${file}: no protocol, expected a section candy, gotunnel, natpass, rustdesk or showchain`)
})

t.test('several networks', async (t) => {
  const folder = t.testdir({
    secret: 'from-secret-file\n',
    'relay.yaml': 'candy:\n  listen: ws://127.0.0.1:0\n  networks:\n  - path: /a\n    password: one\n    dhcp: 10.0.0.0/24\n    isolate: true\n    max-peers: 5\n    broadcast-rate: 2000000\n  - path: /b\n    password-file: PATH\n    broadcast: off\n    packet-rate: 1000\n  - path: /c\n'
  })
  const file = join(folder, 'relay.yaml')
  const secret = join(folder, 'secret')
  writeFileSync(file, readFileSync(file, 'utf8').replace('PATH', secret))
  chmodSync(secret, 0o600)
  withEnvironment(t, 'from-environment')
  t.equal(complaint(t, () => loadRelay('--config', file)), `${file}:14: candy.networks.2.password: missing, expected a password (or a password-file, or allow-empty-password)`, 'the variable is for one network')
  writeFileSync(file, `${readFileSync(file, 'utf8')}    allow-empty-password: true\n`)
  const { networks, secrets, warnings } = loadRelay('--config', file)
  t.match(networks, [
    { path: '/a', password: 'one', dhcp: { prefix: 24 }, isolate: true, maxPeers: 5, broadcastRate: 2_000_000 },
    { path: '/b', password: 'from-secret-file', broadcast: false, packetRate: 1000 },
    { path: '/c', password: '' }
  ])
  t.same(secrets, ['one', 'from-secret-file', ''])
  t.same(warnings, [`${file} holds a password and others can read it: chmod 600 ${file}`])
  t.equal(complaint(t, () => loadRelay('candy', '--config', file, '--dhcp', '10.0.0.0/24')), '--dhcp: of no use beside networks, expected below one of them')
  t.match(loadRelay('candy', '--config', file, '--listen', 'ws://127.0.0.1:9', '--trusted-proxy', '10.0.0.0/8, ::1').candy, { listen: { port: 9 }, trustedProxies: ['10.0.0.0/8', '::1'] })
})

t.test('a file that others can read', async (t) => {
  const folder = t.testdir({ 'relay.yaml': 'candy:\n  listen: ws://127.0.0.1:0\n  password: x\n', secret: 'x' })
  const file = join(folder, 'relay.yaml')
  const secret = join(folder, 'secret')
  chmodSync(file, 0o640)
  chmodSync(secret, 0o604)
  const told = (name: string): string => `${name} holds a password and others can read it: chmod 600 ${name}`
  t.same(loadRelay('--config', file).warnings, [told(file)])
  t.same(loadRelay('candy', ...LISTEN, '--password-file', secret).warnings, [told(secret)])
  chmodSync(file, 0o600)
  t.same(loadRelay('--config', file).warnings, [])
})

t.test('peers', async (t) => {
  const addressed = (...argv: string[]): unknown[] => {
    const { candy: { address, tun } } = loadPeer(...argv)
    return [address && formatCidr(address), tun]
  }
  t.same(addressed('candy', ...URL, '--password', 'x', '--tun', '10.77.0.2/24'), ['10.77.0.2/24', undefined], 'as candy calls it')
  const file = join(t.testdir({ 'peer.yaml': 'candy:\n  url: ws://127.0.0.1:80/\n  password: x\n  tun: 10.77.0.3/24\n' }), 'peer.yaml')
  t.same(addressed('--config', file), ['10.77.0.3/24', undefined])
  t.same(addressed('candy', '--config', file, '--tun', '10.77.0.4/24'), ['10.77.0.4/24', undefined])
  t.same(addressed('candy', '--config', file, '--tun', 'vpn0'), ['10.77.0.3/24', 'vpn0'])
  t.same(addressed('candy', '--config', file, '--address', '10.77.0.5/24'), ['10.77.0.5/24', undefined], 'the upper layer wins over either')
  t.match(loadPeer('candy', ...URL, '--password', 'x', '--mtu', '1300').candy, { mtu: 1300 })

  for (const routes of ['private', 'all', 'none', '8.8.8.0/24', 'private,8.8.8.0/24,10.1.0.0/16']) t.equal(loadPeer('candy', ...URL, '--password', 'x', '--routes', routes).candy.routes.text, routes)
  const routes = 'private, all, none, or networks such as 10.1.0.0/16,10.2.0.0/16'
  const direct = (...argv: string[]): object => loadPeer('candy', ...URL, '--password', 'x', ...argv).candy
  t.match(direct(), { direct: true, stun: undefined, port: 0, localhost: undefined, discovery: 0, route: 0, noPortMapping: false })
  t.match(direct('--direct', 'off', '--stun', 'none', '--no-port-mapping'), { direct: false, stun: ['none'], noPortMapping: true })
  t.match(direct('--stun', 'a', '--stun', 'stun://192.0.2.1:5', '--port', '5', '--localhost', '192.0.2.9', '--discovery', '300', '--route', '5'), {
    stun: [{ host: 'a', port: 3478 }, { host: '192.0.2.1', port: 5 }], port: 5, localhost: '192.0.2.9', discovery: 300, route: 5
  })
  const stun = 'HOST[:PORT], stun://HOST[:PORT], or none'
  const wrong: Array<[argv: string[], message: string]> = [
    [['--tun', '10.77.0.0/24'], '--tun: the network address of its network ("10.77.0.0/24"), expected a host and its network such as 10.77.0.2/24'],
    [['--tun', '10.77.0.2/24', '--address', '10.77.0.3/24'], 'an address was given twice (--tun and --address)'],
    ...['all', 'default'].map((name): [string[], string] => [['--tun', name], `--tun: Linux lets no interface be called ${name}, expected another name: at most 15 letters, digits, ".", "_" or "-", or none, or an address such as 10.77.0.2/24`]),
    [['--tun', 'a-very-long-name'], '--tun: not an interface name ("a-very-long-name"), expected at most 15 letters, digits, ".", "_" or "-", or none, or an address such as 10.77.0.2/24'],
    [['--name', '../x'], '--name: not a name ("../x"), expected at most 32 letters, digits, ".", "_" or "-", a letter or digit first'],
    [['--mtu', '575'], '--mtu: not a whole number in range ("575"), expected 576 to 1450'],
    [['--mtu', '1451'], '--mtu: not a whole number in range ("1451"), expected 576 to 1450'],
    [['--mtu', '1e3'], '--mtu: not a whole number in range ("1e3"), expected 576 to 1450'],
    [['--routes', ''], `--routes: empty, expected ${routes}`],
    [['--routes', 'some'], `--routes: no network ("some"), expected ${routes}`],
    [['--routes', '10.1.0.0/16, 10.2.0.0/16'], `--routes: no network (" 10.2.0.0/16"), expected ${routes}`],
    [['--routes', 'private,10.1.2.0/16'], `--routes: host bits in 10.1.2.0/16, expected ${routes}`],
    [['--routes', '10.1.0.0/16,0.0.0.0/0'], `--routes: all networks (0.0.0.0/0) is written all, expected ${routes}`],
    [['--direct', 'maybe'], '--direct: not a choice ("maybe"), expected on or off'],
    [['--stun', ''], `--stun: empty, expected ${stun}`],
    [['--stun', 'turn://h'], `--stun: not a STUN server ("turn://h"), expected ${stun}`],
    [['--stun', 'h:0'], `--stun: not a STUN server ("h:0"), expected ${stun}`],
    [['--stun', 'h', '--stun', 'none'], '--stun: none beside servers, expected one of both'],
    [['a', 'b', 'c', 'd', 'e'].flatMap((host) => ['--stun', host]), '--stun: too many, expected at most 4'],
    [['--port', '65536'], '--port: not a whole number in range ("65536"), expected 0 to 65535'],
    [['--localhost', '::1'], '--localhost: not an IPv4 address ("::1"), expected an IPv4 address of this machine such as 192.168.1.10'],
    [['--discovery', '-1'], '--discovery: not a whole number in range ("-1"), expected 0 to 86400'],
    [['--route', '1001'], '--route: not a whole number in range ("1001"), expected 0 to 1000'],
    [['--ca', 'x'], '--ca: of no use with a ws:// url, expected wss:// there'],
    [['--insecure'], '--insecure: of no use with a ws:// url, expected wss:// there'],
    [['--url', 'wss://h/', '--insecure', '--ca', 'x'], '--insecure: contradicts ca, expected one of them']
  ]
  for (const [argv, message] of wrong) t.equal(complaint(t, () => loadPeer('candy', ...URL, '--password', 'x', ...argv)), message)
})

t.test('the command line itself', async (t) => {
  const wrong: Array<[argv: string[], message: string]> = [
    [['candy', '--lsten', 'x'], "unknown option '--lsten', did you mean --listen?"],
    [['--confg', 'x'], "unknown option '--confg', did you mean --config?"],
    [['candy', '--zzz'], "unknown option '--zzz'"],
    [['candy', '--pasword=hunter2'], "unknown option '--pasword', did you mean --password?"],
    [['--pasword=hunter2'], "unknown option '--pasword'"],
    [['candy', '--jsn'], "unknown option '--jsn', did you mean --json?"],
    [['candy', '--hepl'], "unknown option '--hepl', did you mean --help?"],
    [['candy', '--lenient=hunter2'], '--lenient: takes no value'],
    [['candy', '-phunter2'], "unknown option '-p', options are written with -- and in full"],
    [['candy', '-p', 'hunter2'], "unknown option '-p', options are written with -- and in full"],
    [['candy', '-password=hunter2'], "unknown option '-p', options are written with -- and in full"],
    [['cndy'], "unknown command 'cndy', did you mean candy?"],
    [['zzz'], "unknown command 'zzz', expected candy, gotunnel, natpass, rustdesk, showchain, status, explain, capture or reload"],
    [['candy', 'extra'], "too many arguments for 'candy'. Expected 0 arguments but got 1."],
    [['candy', '--listen'], "option '--listen <url>' argument missing"]
  ]
  for (const [argv, message] of wrong) t.equal(complaint(t, () => loadRelay(...argv)), message)
  t.equal(complaint(t, () => loadPeer()), 'missing command, expected candy, gotunnel, natpass, rustdesk or showchain (or --config FILE); see --help')
})

t.test('every flag is a key, and every key a flag', async (t) => {
  for (const [command, protocols] of [
    [createRelayCommand(() => {}, () => {}), RELAY_PROTOCOLS],
    [createPeerCommand(() => {}, () => {}), PEER_PROTOCOLS]
  ] as const) {
    const names = (options: typeof command.options): string[] => options.map((option) => option.name()).filter((name) => !['config', 'version'].includes(name))
    const shared = SHARED_KEYS.filter((key) => key !== 'workers') // of relays, and there of those that can use several
    t.same(names(command.options).sort(), [...(protocols === RELAY_PROTOCOLS ? SHARED_KEYS : shared)].sort())
    for (const [i, { name, options, maxWorkers = 1 }] of protocols.entries()) {
      t.equal(command.commands[i].name(), name)
      const keys = keysOf(options).filter(({ sections }) => sections === undefined).map(({ name }) => name) // several of them take a file
      t.same(names(command.commands[i].options).sort(), [...keys, ...(maxWorkers > 1 ? SHARED_KEYS : shared)].sort())
    }
  }
})
