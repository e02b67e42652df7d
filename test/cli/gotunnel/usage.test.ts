/** What can be said to `relay gotunnel` and `peer gotunnel`, and what is wrong with the rest. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from '../../../src/cli/command.ts'
import type { Flags } from '../../../src/cli/config/settings.ts'
import { load, type LoadedProgram } from '../../../src/cli/config/load.ts'
import type { GotunnelPeerSettings, GotunnelRelaySettings } from '../../../src/cli/gotunnel/settings.ts'
import { ownName } from '../../../src/nodes/gotunnel/peer/options.ts'
import type { IdentityInit } from '../../../src/nodes/gotunnel/index.ts'
import { createPeerCommand } from '../../../src/cli/peer-command.ts'
import { PEER_PROTOCOLS, RELAY_PROTOCOLS } from '../../../src/cli/protocols.ts'
import { createRelayCommand } from '../../../src/cli/relay-command.ts'
import { ca, cert, key } from '../../helpers/certificates.ts'
import { newHome } from '../../helpers/programs/homes.ts'
import { complaint } from '../../helpers/cli/complaint.ts'
import { runProgram } from '../../helpers/programs/program.ts'

delete process.env.TUNPIPE_TOKEN

const flagsOf = (create: typeof createRelayCommand, argv: string[]): Flags => {
  let flags: Flags | undefined
  parse(create((given) => { flags = given }, () => {}), argv)
  return flags as Flags
}

interface LoadedRelay extends LoadedProgram {
  gotunnel: GotunnelRelaySettings
  identities: ReadonlyArray<Omit<IdentityInit, 'name'>>
}

function loadRelay (...argv: string[]): LoadedRelay {
  const program = load({ program: 'relay', protocols: RELAY_PROTOCOLS, flags: flagsOf(createRelayCommand, argv) })
  const gotunnel = program.services[0].settings as GotunnelRelaySettings
  return { gotunnel, identities: gotunnel.identities ?? [{ ...gotunnel, token: gotunnel.token ?? '' }], ...program }
}

interface LoadedPeer extends LoadedProgram { gotunnel: GotunnelPeerSettings }

function loadPeer (...argv: string[]): LoadedPeer {
  const program = load({ program: 'peer', protocols: PEER_PROTOCOLS, flags: flagsOf(createPeerCommand, argv) })
  return { gotunnel: program.services[0].settings as GotunnelPeerSettings, ...program }
}

const relay = (...argv: string[]): LoadedRelay => loadRelay('gotunnel', '--listen', '192.0.2.7:17000', '--token', 'a-token', ...argv)
const peer = (...argv: string[]): LoadedPeer => loadPeer('gotunnel', '--server', '192.0.2.7:17000', '--token', 'a-token', '--map', '10022:22', ...argv)

function written (name: string, text: string): string {
  const file = join(newHome(), name)
  writeFileSync(file, text)
  chmodSync(file, 0o600)
  return file
}

t.test('flags become settings', async (t) => {
  const { gotunnel, identities, secrets, warnings } = relay(
    '--ports', '10000-20000,30022', '--max-ports', '5', '--max-users', '50', '--byte-rate', '1000000', '--mode', 'strict', '--bind', '::1', '--max-users-total', '60', '--users-per-source', '7', '--max-per-source', '8', '--max-half-open', '9',
    '--max-connections', '10', '--max-waiting', '11', '--buffer-total', '1048576', '--auth-failures', '12', '--trusted-proxy', '10.0.0.0/8'
  )
  t.match(gotunnel, {
    listen: { scheme: undefined, host: '192.0.2.7', port: 17000 },
    mode: 'strict',
    bind: '::1',
    maxUsersTotal: 60,
    usersPerSource: 7,
    maxPerSource: 8,
    maxHalfOpen: 9,
    maxConnections: 10,
    maxWaiting: 11,
    bufferTotal: 1_048_576,
    authFailures: 12,
    trustedProxies: ['10.0.0.0/8']
  })
  t.match(identities, [{ token: 'a-token', ports: { text: '10000-20000,30022' }, maxPorts: 5, maxUsers: 50, byteRate: 1_000_000 }])
  t.same(secrets, ['a-token'])
  t.same(warnings, [])
  t.match(relay().gotunnel, { mode: 'auto', maxPorts: 64, maxUsers: Infinity, maxUsersTotal: undefined, identities: undefined, tls: undefined, trustedProxies: undefined })

  const { gotunnel: other } = peer('--map', 'tcp:15432:db.local:5432', '--map', '10080:[::1]:80', '--name', 'nas', '--mode', 'compatible', '--proxy-protocol', '--ping-interval', '5', '--probe-interval', '0', '--max-connections', '3', '--buffer-total', '2000000')
  t.match(other, {
    server: { host: '192.0.2.7', port: 17000 },
    maps: [
      { remotePort: 10022, local: { host: '127.0.0.1', port: 22 } },
      { remotePort: 15432, local: { host: 'db.local', port: 5432 } },
      { remotePort: 10080, local: { host: '::1', port: 80 } }
    ],
    mode: 'compatible',
    proxyProtocol: true,
    pingInterval: 5000,
    probeInterval: 0,
    maxConnections: 3,
    bufferTotal: 2_000_000,
    token: 'a-token',
    name: 'nas',
    tls: false
  })
  t.match(peer().gotunnel, { mode: 'auto', pingInterval: 10_000, probeInterval: 30_000, tls: false, proxyProtocol: false })
  t.equal(peer().gotunnel.name, ownName())
  t.equal(ownName('-my machine.example'), 'my-machine.example')
  t.equal(ownName('---'), 'peer')
})

t.test('files', async (t) => {
  const file = written('relay.yaml', [
    'gotunnel:', '  listen: "[::]:17000"', '  identities:', '    - name: home', '      token: token-of-home', '      ports: [10000-20000, 30022]', '      max-ports: 5', '    - name: work', '      token: token-of-work', '      ports: 30023', ''
  ].join('\n'))
  t.match(loadRelay('--config', file).identities, [{ name: 'home', token: 'token-of-home', ports: { text: '10000-20000,30022' }, maxPorts: 5 }, { name: 'work', token: 'token-of-work', ports: { text: '30023' } }])
  t.same(loadRelay('--config', file).secrets, ['token-of-home', 'token-of-work'])
  process.env.TUNPIPE_TOKEN = 'from-the-environment'
  t.teardown(() => { delete process.env.TUNPIPE_TOKEN })
  t.match(loadRelay('--config', file).identities, [{ token: 'token-of-home' }, {}], 'the variable is for one identity')
  const single = written('relay.yaml', 'gotunnel:\n  listen: 0.0.0.0:17000\n  token: from-the-file\n')
  t.equal(loadRelay('--config', single).identities[0].token, 'from-the-environment')
  t.equal(loadRelay('gotunnel', '--config', single, '--token', 'from-a-flag').identities[0].token, 'from-a-flag')
  delete process.env.TUNPIPE_TOKEN
  chmodSync(single, 0o644)
  t.match(loadRelay('--config', single).warnings, [/holds a token and others can read it: chmod 600/])
  const secret = written('token', 'from-a-token-file\n')
  t.equal(loadRelay('gotunnel', '--config', single, '--token-file', secret).identities[0].token, 'from-a-token-file')

  const peerFile = written('peer.yaml', 'gotunnel:\n  server: tls://tunnel.example.org:443\n  token: x\n  map:\n    - 10022:22\n    - 10080:[::1]:80\n')
  t.match(loadPeer('--config', peerFile), { gotunnel: { server: { scheme: 'tls' }, maps: [{ remotePort: 10022 }, { local: { host: '::1', port: 80 } }], ca: undefined, insecure: false } })
  t.match(loadPeer('gotunnel', '--config', peerFile, '--map', '5:6').gotunnel.maps, [{ remotePort: 5, local: { port: 6 } }], 'maps of the command line are instead of those of the file')
  t.match(loadPeer('--config', written('peer.yaml', 'gotunnel: {server: "h:1", token: x, map: "5:6"}\n')).gotunnel.maps, [{ remotePort: 5 }])
})

t.test('the token that everybody knows', async (t) => {
  const KNOWN = 'the token "changeme" is the default of the original programs, which everybody knows'
  for (const listen of ['127.0.0.1:0', '[::1]:0', 'localhost:0', '127.9.9.9:1']) {
    const { identities, warnings, secrets } = loadRelay('gotunnel', '--listen', listen)
    t.equal(identities[0].token, 'changeme', listen)
    t.same(warnings, [`${KNOWN}: only programs of this machine may connect`])
    t.same(secrets, [])
  }
  const missing = '--token: missing, expected a token (or a token-file, or TUNPIPE_TOKEN)'
  for (const listen of ['0.0.0.0:0', '[::]:0', 'host.example:1', '192.0.2.7:1']) {
    t.equal(complaint(t, () => loadRelay('gotunnel', '--listen', listen)), missing, listen)
    t.match(complaint(t, () => loadRelay('gotunnel', '--listen', listen, '--token', 'changeme')), `--token: ${KNOWN}, expected another one`)
  }
  t.equal(complaint(t, () => loadRelay('gotunnel', '--listen', '127.0.0.1:0', '--trusted-proxy', '127.0.0.1')), missing, 'a proxy brings others')
  t.match(complaint(t, () => loadRelay('gotunnel', '--listen', '0.0.0.0:0', '--token-file', written('token', 'changeme\n'))), `--token-file: ${KNOWN}`)
  process.env.TUNPIPE_TOKEN = 'changeme'
  t.teardown(() => { delete process.env.TUNPIPE_TOKEN })
  t.match(complaint(t, () => loadRelay('gotunnel', '--listen', '0.0.0.0:0')), `TUNPIPE_TOKEN: ${KNOWN}`)
  delete process.env.TUNPIPE_TOKEN
  const identities = 'gotunnel:\n  listen: 0.0.0.0:0\n  identities:\n    - name: a\n      token: changeme\n'
  t.match(complaint(t, () => loadRelay('--config', written('relay.yaml', identities))), `relay.yaml:5: gotunnel.identities.0.token: ${KNOWN}`)

  t.match(loadPeer('gotunnel', '--server', 'localhost:17000', '--map', '1:2'), { gotunnel: { token: 'changeme' }, warnings: [KNOWN] })
  t.equal(complaint(t, () => loadPeer('gotunnel', '--server', '192.0.2.7:17000', '--map', '1:2')), missing)
  t.match(loadPeer('gotunnel', '--server', '192.0.2.7:17000', '--map', '1:2', '--token', 'changeme'), { gotunnel: { token: 'changeme' }, warnings: [KNOWN] }, 'the server may be one of those')
})

t.test('whatever is wrong is told in one line that names it', async (t) => {
  const folder = t.testdir({ 'cert.pem': cert, 'key.pem': key, 'ca.pem': ca, empty: '', two: 'a\nb\n', long: 'x'.repeat(601) })
  const MAP = 'expected REMOTE:LOCAL or REMOTE:HOST:LOCAL, such as 10022:22 or 10080:[::1]:80'
  const long = 'x'.repeat(601)
  const cases: Array<[load: () => unknown, message: string]> = [
    [() => loadRelay('gotunnel', '--token', 'x'), '--listen: missing, expected HOST:PORT such as 0.0.0.0:17000'],
    [() => relay('--listen', '17000'), '--listen: not an address to listen on ("17000"), expected HOST:PORT such as 0.0.0.0:17000'],
    [() => relay('--listen', ':17000'), '--listen: not an address to listen on (":17000"), expected HOST:PORT such as 0.0.0.0:17000'],
    [() => relay('--listen', 'ws://h:1'), '--listen: not an address to listen on ("ws://h:1"), expected HOST:PORT such as 0.0.0.0:17000'],
    [() => relay('--listen', 'h:65536'), '--listen: not an address to listen on ("h:65536"), expected HOST:PORT such as 0.0.0.0:17000'],
    [() => relay('--ports', '0'), '--ports: not a list of ports ("0"), expected ports and ranges such as 10000-20000,30022'],
    [() => relay('--max-ports', '0'), '--max-ports: not a whole number in range ("0"), expected 1 to 65535'],
    [() => relay('--byte-rate', '10'), '--byte-rate: not a whole number in range ("10"), expected 1500 to 999999999'],
    [() => relay('--mode', 'loose'), '--mode: not a choice ("loose"), expected auto, strict or compatible'],
    [() => relay('--bind', 'eth0'), '--bind: not an address ("eth0"), expected one of this machine such as 192.0.2.7 or ::'],
    [() => relay('--trusted-proxy', 'x'), '--trusted-proxy: not a list of networks ("x"), expected addresses or CIDRs such as 10.0.0.0/8,2001:db8::/32'],
    [() => relay('--tls-cert', join(folder, 'cert.pem')), '--tls-key: missing, expected a PEM file, since there is a tls-cert'],
    [() => relay('--listen', 'tls://h:1'), '--tls-cert: missing, expected a PEM file, since listen is tls://'],
    [() => relay('--listen', 'tcp://h:1', '--tls-cert', 'x', '--tls-key', 'y'), '--tls-cert: of no use with listen tcp://, expected tls:// there'],
    [() => loadRelay('gotunnel', '--listen', 'h:1', '--token', ''), '--token: empty, expected a token (or a token-file, or TUNPIPE_TOKEN)'],
    [() => loadRelay('gotunnel', '--listen', 'h:1', '--token', long), '--token: too long, expected at most 600 characters'],
    [() => loadRelay('gotunnel', '--listen', 'h:1', '--token-file', join(folder, 'empty')), '--token-file: empty, expected a token (or a token-file, or TUNPIPE_TOKEN)'],
    [() => loadRelay('gotunnel', '--listen', 'h:1', '--token-file', join(folder, 'two')), '--token-file: more than one line, expected nothing but the token'],
    [() => loadRelay('gotunnel', '--listen', 'h:1', '--token-file', join(folder, 'none')), `--token-file: cannot be read ("${folder}/none"): no such file or directory`],
    [() => loadPeer('gotunnel', '--server', 'h:1', '--map', '1:2', '--token', long), '--token: too long, expected at most 600 characters'],
    [() => loadPeer('gotunnel', '--server', 'h:1', '--map', '1:2', '--token-file', join(folder, 'long')), '--token-file: too long, expected at most 600 characters'],
    [() => relay('--max-port', '5'), "unknown option '--max-port', did you mean --max-ports?"],
    [() => loadPeer('gotunnel', '--token', 'x', '--map', '1:2'), '--server: missing, expected HOST:PORT such as 192.0.2.7:17000'],
    [() => peer('--server', 'h:0'), '--server: not the address of a server ("h:0"), expected HOST:PORT such as 192.0.2.7:17000'],
    [() => peer('--server', 'a b:5'), '--server: not the address of a server ("a b:5"), expected HOST:PORT such as 192.0.2.7:17000'],
    [() => loadPeer('gotunnel', '--server', 'h:1', '--token', 'x'), `--map: missing, ${MAP}`],
    [() => peer('--map', '22'), `--map: not a map ("22"), ${MAP}`],
    [() => peer('--map', '5:65536'), `--map: not a map ("5:65536"), ${MAP}`],
    [() => peer('--map', '0:5'), `--map: not a map ("0:5"), ${MAP}`],
    [() => peer('--map', '5:::1:80'), `--map: not a map ("5:::1:80"), ${MAP}`],
    [() => peer('--map', '10022:23'), '--map: the port 10022 of the server leads elsewhere already, expected another one'],
    [() => peer('--map', 'udp:53:53'), `--map: udp is not carried ("udp:53:53"): the protocol is for TCP only, ${MAP}`],
    [() => peer('--name', 'my nas'), '--name: not a name ("my nas"), expected at most 64 letters, digits, ".", "_", "@" or "-", a letter or digit first'],
    [() => peer('--mode', 'x'), '--mode: not a choice ("x"), expected auto, strict or compatible'],
    [() => peer('--ping-interval', '60'), '--ping-interval: not a whole number in range ("60"), expected 1 to 25'],
    [() => peer('--probe-interval', '-1'), '--probe-interval: not a whole number in range ("-1"), expected 0 to 86400'],
    [() => peer('--ca', join(folder, 'ca.pem')), '--ca: of no use without tls, expected tls as well'],
    [() => peer('--insecure'), '--insecure: of no use without tls, expected tls as well'],
    [() => peer('--tls', '--insecure', '--ca', join(folder, 'ca.pem')), '--insecure: contradicts ca, expected one of them'],
    [() => peer('--tls', '--server', 'tcp://h:1'), '--tls: contradicts server tcp://, expected one of them'],
    [() => peer('--tls', '--ca', join(folder, 'empty')), '--ca: no certificate in it, expected PEM'],
    [() => peer('--listen', '0.0.0.0:1'), "unknown option '--listen'"]
  ]
  for (const [load, message] of cases) {
    const told = complaint(t, load)
    t.equal(told, message)
    t.notMatch(told, /a-token|x{600}/)
  }
})

t.test('the same in files, with the line', async (t) => {
  const head = 'gotunnel:\n  listen: 0.0.0.0:1\n'
  const two = (first: string, second: string): string => `${head}  identities:\n    - ${first}\n    - ${second}\n`
  const cases: Array<[text: string, message: string]> = [
    [`${head}  token: 5\n`, '3: gotunnel.token: not text, expected text (put digits in quotes)'],
    [`${head}  tokn: x\n`, '3: gotunnel.tokn: unknown key, did you mean token?'],
    [`${head}  password: x\n`, '3: gotunnel.password: a key of candy, expected token'],
    [`${head}  token: x\n  identities:\n    - {name: a, token: aaa}\n`, '3: gotunnel.token: of no use beside identities, expected below one of them'],
    [`${head}  max-users-total: 5\n  identities:\n    - {name: a, token: aaa, reserve-users: 3}\n    - {name: b, token: bbb, reserve-users: 3}\n`, '3: gotunnel.max-users-total: 5, expected at least what identities reserve (reserve-users), 6'],
    [`${head}  max-users: 5\n  identities:\n    - {name: a, token: aaa}\n`, '3: gotunnel.max-users: of no use beside identities, expected below one of them'],
    [`${head}  identities: []\n`, '3: gotunnel.identities: empty, expected one section or more, each with "-" in front'],
    [two('{name: a, token: hunter-1}', '{name: b}'), '5: gotunnel.identities.1.token: missing, expected a token (or a token-file)'],
    [two('{name: a, token: hunter-1}', '{name: a, token: hunter-2}'), '5: gotunnel.identities.1.name: the name a is that of another identity as well, expected one of its own'],
    [two('{name: a, token: hunter-1}', '{name: b, token: hunter-1}'), '5: gotunnel.identities.1.token: the token is that of another identity as well, expected one of its own'],
    [two('{name: a, token: hunter-1}', '{name: b, token: hunter-2, ports: 5-1}'), '5: gotunnel.identities.1.ports: not a list of ports ("5-1"), expected ports and ranges such as 10000-20000,30022'],
    [two('{name: a, token: hunter-1}', '{token: hunter-2}'), '5: gotunnel.identities.1.name: missing, expected at most 64 letters, digits, ".", "_", "@" or "-", a letter or digit first']
  ]
  for (const [text, message] of cases) {
    const file = written('relay.yaml', text)
    const told = complaint(t, () => loadRelay('--config', file))
    t.equal(told, `${file}:${message}`)
    t.notMatch(told, /hunter/)
  }
  const file = written('peer.yaml', 'gotunnel:\n  server: h:1\n  token: x\n  map:\n    - 10022:22\n    - udp:53:53\n')
  t.match(complaint(t, () => loadPeer('--config', file)), `${file}:6: gotunnel.map.1: udp is not carried`)
  t.match(complaint(t, () => loadPeer('gotunnel', '--config', file, '--map', '5:6', '--map', '7')), '--map: not a map ("7")', 'what is named is what was wrong')
})

t.test('the programs say it, and leave with 2', async (t) => {
  t.same(await runProgram(t, 'peer', ['gotunnel', '--server', 'h:1', '--token', 'a-token', '--map', 'udp:53:53']), {
    code: 2,
    stdout: '',
    stderr: '--map: udp is not carried ("udp:53:53"): the protocol is for TCP only, expected REMOTE:LOCAL or REMOTE:HOST:LOCAL, such as 10022:22 or 10080:[::1]:80\n'
  })
  t.same(await runProgram(t, 'relay', ['gotunnel', '--listen', '0.0.0.0:17000']), { code: 2, stdout: '', stderr: '--token: missing, expected a token (or a token-file, or TUNPIPE_TOKEN)\n' })
})

t.test('a token and a file with one contradict each other', async (t) => {
  const file = written('token', 'another-token\n')
  t.equal(complaint(t, () => relay('--token-file', file)), '--token-file: contradicts token, expected one of them')
  const identities = written('relay.yaml', `gotunnel:\n  listen: 127.0.0.1:0\n  identities:\n    - name: home\n      token: a-token\n      token-file: ${file}\n`)
  t.match(complaint(t, () => loadRelay('--config', identities)), /identities\.0\.token-file: contradicts token, expected one of them$/)
})

t.test('a key that others can read is told, and a file without certificates is none to trust', async (t) => {
  const [certFile, keyFile] = [written('cert.pem', cert), written('key.pem', key)]
  const tls = ['--tls-cert', certFile, '--tls-key', keyFile]
  t.same(relay(...tls).warnings, [])
  chmodSync(keyFile, 0o644)
  t.same(relay(...tls).warnings, [`${keyFile} holds a key and others can read it: chmod 600 ${keyFile}`])
  t.match(complaint(t, () => peer('--tls', '--ca', keyFile)), /^--ca: no certificate in it, expected PEM$/)
})
