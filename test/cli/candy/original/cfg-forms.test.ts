/**
 * Every option of the original and every form of value that it takes, as version 6.1.8 was seen to take it: with the same meaning here,
 * or refused by file, line and key.
 */
import { join } from 'node:path'
import { writeFileSync } from 'node:fs'
import * as fc from 'fast-check'
import t, { type Test } from 'tap'
import { formatAddress, formatCidr } from '../../../../src/net/ipv4.ts'
import type { SdwanRule } from '../../../../src/nodes/candy/relay/sdwan.ts'
import { listenUrlText } from '../../../../src/nodes/common/options/addresses.ts'
import type { Flags } from '../../../../src/cli/config/settings.ts'
import { isCandyCfg, parseCandyCfg } from '../../../../src/cli/candy/original/cfg.ts'
import { UsageError } from '../../../../src/cli/usage-error.ts'
import { peerOf, relayOf } from '../../../helpers/cli/loaded.ts'

const CLIENT = 'mode = "client"\nwebsocket = "ws://192.0.2.1"\npassword = "p"\n'
const SERVER = 'mode = "server"\nwebsocket = "ws://192.0.2.1:8080"\npassword = "p"\n'
/** The line behind one of them. */
const LINE = 4

/** What a program makes of a file, or how it refuses it; names of files as `candy.cfg`. */
const ruleText = ({ device, destination, nexthop }: SdwanRule): string => [formatCidr(device), formatCidr(destination), formatAddress(nexthop)].join()

interface Outcome {
  values: Record<string, unknown>
  warnings: string[]
  refused?: string
}

function outcome (t: Test, program: 'relay' | 'peer', text: string | Uint8Array): Outcome {
  const file = join(t.testdir(), 'candy.cfg')
  writeFileSync(file, text, { mode: 0o600 })
  const flags: Flags = { config: file, protocol: undefined, source: { values: {}, name: (path) => `--${path[path.length - 1]}` } }
  const bare = (message: string): string => message.replaceAll(file, 'candy.cfg')
  try {
    if (program === 'peer') {
      const { candy, settings, warnings } = peerOf(flags)
      return { values: { ...candy, address: candy.address && formatCidr(candy.address), level: settings['log-level'] }, warnings: warnings.map(bare) }
    }
    const { candy, settings, warnings } = relayOf(flags)
    return { values: { ...candy, listen: listenUrlText(candy.listen), dhcp: candy.dhcp && formatCidr(candy.dhcp), sdwan: candy.sdwan.map(ruleText).join(';') || undefined, level: settings['log-level'] }, warnings: warnings.map(bare) }
  } catch (err) {
    if (!(err instanceof UsageError)) throw err
    return { values: {}, warnings: [], refused: bare(err.message) }
  }
}

type Row = [line: string, key: string, value: unknown]

/** Rows whose value is a pattern are refused with it, behind file, line and key. */
async function takes (t: Test, program: 'relay' | 'peer', rows: Row[]): Promise<void> {
  const before = program === 'peer' ? CLIENT : SERVER
  for (const [line, key, value] of rows) {
    const { values, refused } = outcome(t, program, `${before}${line}\n`)
    const theirs = line.trim().split(/\s*=/)[0]
    if (value instanceof RegExp) t.match(refused, new RegExp(`^candy\\.cfg:${LINE}: ${theirs}: ${value.source}.*, expected `), line)
    else t.same([values[key], refused], [value, undefined], JSON.stringify(line).replaceAll(/[^ -~]/g, '?'))
  }
}

t.test('lines of candy.cfg: blanks, quotes, semicolons, comments, Windows', async (t) => {
  await takes(t, 'peer', [
    ['password = secret', 'password', 'secret'],
    ['password="secret"', 'password', 'secret'],
    ['\t password\t=  "secret" \t', 'password', 'secret'],
    ['password = "secret";', 'password', 'secret'],
    ['password = "secret" ; ;;', 'password', 'secret'],
    ['password = "a;b;" ;', 'password', 'a;b;'],
    ['password = a;b', 'password', 'a;b'],
    ['password = a = b', 'password', 'a = b'],
    ['password = "', 'password', '"'],
    ['password = "a"b"', 'password', 'a"b'],
    ["password = 'a'", 'password', "'a'"],
    ['password = "a" # b', 'password', '"a" # b'],
    ['password = a // b', 'password', 'a // b'],
    ['password = "a\\"b\\n"', 'password', 'a\\"b\\n'],
    ['password = "  a  "', 'password', '  a  '],
    ['password = "密码 é"', 'password', '密码 é'],
    ['password = a\u00a0', 'password', 'a\u00a0'],
    ['password = "a\u2028b"', 'password', 'a\u2028b'],
    ['password = "a"\r', 'password', 'a'],
    ['password = "a";\r', 'password', '"a";'], // what the original makes of it
    ['#password = a', 'password', 'p'],
    ['   # password = a', 'password', 'p'],
    ['password', 'password', 'p'],
    ['password: a', 'password', 'p'],
    ['Password = a', 'password', 'p'],
    ['password = b\npassword = c', 'password', 'c'],
    ['tun = "10.0.0.2/24"\ntun = ""', 'address', undefined],
    ['debug = true\ndebug = false', 'level', 'info'],
    ['debug = true', 'level', 'debug'],
    ['debug = "true";', 'level', 'debug'],
    ['debug = 1', 'level', 'info'],
    ['debug = TRUE', 'level', 'info']
  ])
  t.equal(outcome(t, 'peer', CLIENT.replaceAll('\n', '\r\n')).refused, undefined, 'CRLF')
  t.equal(outcome(t, 'peer', `\ufeff${CLIENT}`).refused, undefined, 'a byte order mark')
  t.equal(outcome(t, 'peer', `[candy]\n// the = sign\nno sign\n${CLIENT}`).refused, undefined, 'lines that mean nothing in front')
})

t.test('candy.cfg in another encoding: comments do not matter, a value is refused by its line', async (t) => {
  const comment = Buffer.from(`# \xc4\xe3\xba\xc3\ndhcp = "\xff"\n${CLIENT}`, 'latin1')
  t.equal(outcome(t, 'peer', comment).refused, undefined)
  t.equal(outcome(t, 'peer', Buffer.from(`${CLIENT}password = "\xc4\xe3"\n`, 'latin1')).refused, 'candy.cfg:4: password: not text, expected UTF-8')
})

t.test('mode, websocket, tun, name and mtu of a client', async (t) => {
  await takes(t, 'peer', [
    ['mode = client;', 'url', 'ws://192.0.2.1'],
    ['mode = "server"', '', /this is a file for relay/],
    ['mode = "Client"', '', /unknown/],
    ['mode = "mixed"', '', /unknown/],
    ['websocket = "wss://h.example"', 'url', 'wss://h.example'],
    ['websocket = "WS://h.example:8080/A"', 'url', 'WS://h.example:8080/A'],
    ['websocket = "ws://h.example:/a/b"', 'url', 'ws://h.example:/a/b'],
    ['websocket = "ws://h.example/a?b=c#d"', 'url', 'ws://h.example/a'],
    ['websocket = "ws://h.example#d"', 'url', 'ws://h.example'],
    ['websocket = "ws://[2001:db8::1]:80/"', 'url', 'ws://[2001:db8::1]:80/'],
    ['websocket = "ws://user:secret@h.example/"', '', /a URL with a user or a password in it/],
    ['websocket = "http://h.example/"', '', /not a WebSocket URL/],
    ['websocket = "ws://h.example:0/"', '', /not a WebSocket URL/],
    ['websocket = "ws://h.example:70000/"', '', /not a WebSocket URL/],
    ['websocket = "h.example"', '', /not a WebSocket URL/],
    ['tun = "10.77.0.2/24"', 'address', '10.77.0.2/24'],
    ['tun = 10.77.0.2/24 # mine', 'address', '10.77.0.2/24'],
    ['tun = "10.77.0.2 / +024"', 'address', '10.77.0.2/24'],
    ['tun = "10.77.0.2/32"', 'address', '10.77.0.2/32'],
    ['tun = ""', 'address', undefined],
    ['tun = "10.77.0.2"', '', /not an address \("10\.77\.0\.2"\)/],
    ['tun = "10.77.2/24"', '', /not an address/],
    ['tun = "010.77.0.2/24"', '', /not an address/],
    ['tun = "10.77.0.2/-1"', '', /not an address/],
    ['tun = "10.77.0.2/33"', '', /not an address/],
    ['tun = "10.77.0.2/24abc"', '', /not an address/],
    ['tun = "10.77.0.0/24"', '', /the network address of its network/],
    ['tun = "fd00::2/64"', '', /not an address/],
    ['tun = "candy0"', '', /not an address/],
    ['name = "office-berlin_2.x"', 'name', 'office-berlin_2.x'],
    ['name = ""', 'name', undefined],
    ['name = "a b"', '', /not a name/],
    ['name = "../x"', '', /not a name/],
    ['name = "a"b"', '', /not a name/],
    ['name = "x" # mine', '', /not a name/],
    ['name = "公司"', '', /not a name/],
    ['mtu = 1300', 'mtu', 1300],
    ['mtu="1300";', 'mtu', 1300],
    ['mtu = +01300', 'mtu', 1300],
    ['mtu = 1300 # less', 'mtu', 1300],
    ['mtu = ""', 'mtu', 1400],
    ['mtu = 1500', '', /not a whole number in range/],
    ['mtu = 0x514', '', /not a whole number in range/],
    ['mtu = -1300', '', /not a whole number in range/],
    ['mtu = 1300.5', '', /not a whole number in range/],
    ['mtu = many', '', /not a whole number in range/],
    ['mtu = 99999999999', '', /not a whole number in range/]
  ])
})

t.test('stun, port, discovery, route and localhost of a client', async (t) => {
  await takes(t, 'peer', [
    ['stun = "stun://h"', 'stun', [{ host: 'h', port: 3478 }]],
    ['stun = "stun://stun.example.org:19302"', 'stun', [{ host: 'stun.example.org', port: 19_302 }]],
    ['stun = STUN://192.0.2.1 ;', 'stun', [{ host: '192.0.2.1', port: 3478 }]],
    ['stun = "stun.example.org:3478"', 'stun', [{ host: 'stun.example.org', port: 3478 }]],
    ['stun = "stun:stun.example.org"', 'stun', [{ host: 'stun.example.org', port: 3478 }]],
    ['stun = ""', 'stun', undefined], // our default, not none
    ['stun = none', 'stun', ['none']],
    ['stun = "stun://h:0"', '', /not a STUN server \("stun:\/\/h:0"\)/],
    ['stun = "stun://h:70000"', '', /not a STUN server/],
    ['stun = "stun://h/x"', '', /not a STUN server/],
    ['stun = "stun://a,b"', '', /not a STUN server/],
    ['stun = "turn://h"', '', /not a STUN server/],
    ['port = 0', 'port', 0],
    ['port = ""', 'port', 0],
    ['port = +010240 # forwarded', 'port', 10_240],
    ['port = 65535', 'port', 65_535],
    ['port = 65536', '', /not a whole number in range/],
    ['port = -1', '', /not a whole number in range/],
    ['discovery = 0', 'discovery', 0],
    ['discovery = ""', 'discovery', 0],
    ['discovery = 300;', 'discovery', 300],
    ['discovery = "300" ', 'discovery', 300],
    ['discovery = -1', 'discovery', 0],
    ['discovery = 86401', '', /not a whole number in range/],
    ['discovery = soon', '', /not a whole number in range/],
    ['route = 5', 'route', 5],
    ['route = ""', 'route', 0],
    ['route = 1000', 'route', 1000],
    ['route = 1001', 'route', 1000],
    ['route = 999999999 # far', 'route', 1000],
    ['route = -5', 'route', 0],
    ['route = 0x5', '', /not a whole number in range/],
    ['route = 9999999999', '', /not a whole number in range/],
    ['route = many', '', /not a whole number in range/],
    ['localhost = ""', 'localhost', undefined],
    ['localhost = "127.0.0.1"', 'localhost', '127.0.0.1'],
    ['localhost = 192.168.1.10', 'localhost', '192.168.1.10'],
    ['localhost = "0.0.0.0"', '', /not an IPv4 address/],
    ['localhost = "224.0.0.1"', '', /not an IPv4 address/],
    ['localhost = "fe80::1"', '', /not an IPv4 address/],
    ['localhost = "eth0"', '', /not an IPv4 address/]
  ])
  t.match(outcome(t, 'relay', `${SERVER}stun = "nonsense:"\nport = many\n`), { warnings: [], refused: undefined }, 'no matter of the server')
})

t.test('websocket, dhcp and sdwan of a server', async (t) => {
  const rule = '10.0.0.1/32,172.16.0.0/16,10.0.0.2'
  const more = '10.0.0.3/32,172.17.0.0/16,10.0.0.2'
  await takes(t, 'relay', [
    ['websocket = "ws://localhost:8081/path"', 'listen', 'ws://localhost:8081'],
    ['websocket = "ws://[::]"', 'listen', 'ws://[::]:80'],
    ['websocket = "ws://u:p@192.0.2.1:80"', '', /a URL with a user or a password in it/],
    ['websocket = "ws://:8081"', '', /not an address to listen on/],
    ['websocket = "ws://*:8081"', '', /not an address to listen on/],
    ['websocket = "ws://127.1:8081"', '', /not an address to listen on/],
    ['websocket = "192.0.2.1:8081"', '', /not an address to listen on/],
    ['dhcp = "192.168.202.0/24"', 'dhcp', '192.168.202.0/24'],
    ['dhcp = "192.168.202.5/24"', 'dhcp', '192.168.202.5/24'], // the one behind it is the first that is given, there and here
    ['dhcp = 192.168.202.0/24 # of the office', 'dhcp', '192.168.202.0/24'],
    ['dhcp = ""', 'dhcp', undefined],
    ['dhcp = "192.168.202.0"', '', /not a CIDR/],
    ['dhcp = "192.168.202.0/31"', '', /not a CIDR/],
    ['dhcp = "nonsense"', '', /not a CIDR/],
    ['dhcp = "127.0.0.0/24"', '', /no addresses of hosts/],
    [`sdwan = "${rule}"`, 'sdwan', rule],
    [`sdwan = "${rule};${more}"`, 'sdwan', `${rule};${more}`],
    [`sdwan = ${rule};${more};`, 'sdwan', `${rule};${more}`],
    [`sdwan = "${rule};;"`, 'sdwan', rule],
    [`sdwan = "${rule} ;${more} "`, 'sdwan', `${rule};${more}`],
    ['sdwan = "10.0.0.1/032 ,172.16.0.0 /+16 ,10.0.0.2 "', 'sdwan', rule],
    [`sdwan = "${rule},more,fields"`, 'sdwan', rule],
    ['sdwan = "0.0.0.0/0,172.16.0.0/16,10.0.0.2"', 'sdwan', '0.0.0.0/0,172.16.0.0/16,10.0.0.2'],
    ['sdwan = ""', 'sdwan', undefined],
    // The original leaves these rules out, with all behind them, and goes on; it crashes when the next hop is no address.
    [`sdwan = "${rule}; ${more}"`, '', /rule 2: the device network is not/],
    ['sdwan = "10.0.0.1/32, 172.16.0.0/16,10.0.0.2"', '', /rule 1: the destination network is not/],
    [`sdwan = "${rule};;${more}"`, '', /rule 2 is not device,destination,nexthop/],
    [`sdwan = ";${rule}"`, '', /rule 1 is not device,destination,nexthop/],
    ['sdwan = "10.0.0.1/24,172.16.0.0/16,10.0.0.2"', '', /rule 1: the device network has host bits/],
    ['sdwan = "10.0.0.1,172.16.0.0/16,10.0.0.2"', '', /rule 1: the device network is not/],
    ['sdwan = "10.0.0.1/32,172.16.0.0/16,x"', '', /rule 1: the next hop is not/],
    ['sdwan = "10.0.0.1/32,172.16.0.0/16"', '', /rule 1 is not device,destination,nexthop/]
  ])
})

t.test('options of candy.cfg that have no use here are named in one warning each, with the reason', async (t) => {
  const rows: Array<[line: string, peer: RegExp | undefined, relay: RegExp | undefined]> = [
    ['stun = "stun://stun.example.org"', undefined, undefined],
    ['stun = "nonsense:"', /refused/, undefined],
    ['port = 10240', undefined, undefined],
    ['port = many', /refused/, undefined],
    ['discovery = 300', undefined, undefined],
    ['route = many', /refused/, undefined],
    ['localhost = "127.0.0.1"', undefined, undefined],
    ['ntp = "pool.ntp.org"', /ntp is ignored: the clock of the system is used$/, /ntp is ignored: the clock of the system is used$/],
    ['restart = 3;', /restart is ignored: it goes on by itself/, /restart is ignored: it goes on by itself/],
    ['restart = 0', undefined, undefined],
    ['workers = 4', /workers is ignored: .* --workers$/, /workers is ignored: .* --workers$/],
    ['dhcp = "nonsense"', undefined, /refused/],
    ['tun = "nonsense"', /refused/, undefined],
    ['colour = red', /unknown key, it is ignored$/, /unknown key, it is ignored$/],
    ['Pasword = red', /unknown key, it is ignored \(did you mean password\?\)$/, /unknown key, it is ignored \(did you mean password\?\)$/],
    ['// name = x', /unknown key, it is ignored/, /unknown key, it is ignored/],
    ['vmac = 0123456789abcdef', /unknown key/, /unknown key/]
  ]
  for (const [line, ...expected] of rows) {
    for (const [i, program] of (['peer', 'relay'] as const).entries()) {
      const pattern = expected[i]
      const { warnings, refused } = outcome(t, program, `${program === 'peer' ? CLIENT : SERVER}${line}\n`)
      if (pattern?.source === 'refused') t.match(refused, /^candy\.cfg:4: /, `${program}: ${line}`)
      else t.match([warnings, refused], [pattern === undefined ? [] : [new RegExp(`^candy\\.cfg:${LINE}: .*${pattern.source}`)], undefined], `${program}: ${line}`)
      t.equal(warnings.length, pattern === undefined || pattern.source === 'refused' ? 0 : 1, `${program}: ${line}: as many warnings`)
    }
  }
  t.same(outcome(t, 'peer', 'websocket = ws://h\npassword = "a" # b\n').warnings, ['candy.cfg:2: password begins with a quote and does not end with one: the quote is part of the value'])
  t.same(outcome(t, 'peer', `${CLIENT}mtu = 1300\nmtu = 1350\n`).warnings, ['candy.cfg:4: mtu is ignored: it is given again on line 5, and the last one counts'])
})

t.test('warnings about a candy.cfg do not show values, and are bounded', async (t) => {
  const { warnings } = outcome(t, 'peer', `${CLIENT}${'passwort = hunter2\n'.repeat(1000)}`)
  t.same([warnings.length, warnings.at(-1)], [21, 'candy.cfg: 980 more warnings'])
  t.notMatch(warnings.join(), /hunter2/)
})

t.test('a candy.cfg that was damaged is taken, or refused by file, line and key; nothing else happens', async (t) => {
  const whole = `${CLIENT}tun = "10.77.0.2/24"\nname = "x"\nmtu = 1300;\r\nstun = "stun://h"\n# comment\ndhcp = "192.168.202.0/24"\nsdwan = "10.0.0.1/32,172.16.0.0/16,10.0.0.2;10.0.0.3/32,172.17.0.0/16,10.0.0.2"\n`
  const piece = fc.oneof(fc.constantFrom('=', '"', ';', '#', '\n', '\r\n', ' ', '/', ',', '\0', '\u00a0', '密', '\xff', 'mode = "server"\n', '-', '0x', '\ufeff'), fc.string({ maxLength: 4 }))
  const edit = fc.record({ at: fc.nat(whole.length), remove: fc.nat(12), insert: piece })
  const mutated = fc.array(edit, { maxLength: 6 }).map((edits) => edits.reduce((text, { at, remove, insert }) => text.slice(0, at) + insert + text.slice(at + remove), whole))
  const file = join(t.testdir(), 'candy.cfg')
  let refusals = 0
  fc.assert(fc.property(mutated, fc.constantFrom('peer' as const, 'relay' as const), fc.constantFrom('utf8' as const, 'latin1' as const), (text, program, encoding) => {
    const bytes = Buffer.from(text, encoding)
    const original = bytes.toString('latin1')
    try {
      parseCandyCfg(file, original, program)
    } catch (err) {
      if (!(err instanceof UsageError) || !/candy\.cfg:\d+: [a-z]+: [^\n]+$/.test(err.message)) throw err
    }
    if (!isCandyCfg(original)) return
    const { refused } = outcome(t, program, bytes)
    if (refused === undefined) return
    refusals++
    if (!/^candy\.cfg(:\d+: [a-z-]+: [^\n]+, expected |: [a-z-]+: missing, expected )/.test(refused)) throw new Error(refused)
  }), { numRuns: 400 })
  t.ok(refusals > 20, `${refusals} were refused`)
})

t.test('lines of a candy.cfg as long as the file, which no expression takes a second for', async (t) => {
  for (const filler of [' ', ';', '-', '"', '#', '\t;', ' ;x', '1', '/', ',', ';,']) {
    const long = filler.repeat(60_000 / filler.length)
    for (const text of [`.${long}`, `mode = client\npassword = ${long}x`, `mode = client\ntun = 1${long}x`, `mode = server\nsdwan = ${long}x`, `mode = client\nmtu = 1${long}x`, `mode = server\nwebsocket = ws://${long}x`]) {
      isCandyCfg(text)
      for (const program of ['peer', 'relay'] as const) {
        const { refused = '', warnings } = outcome(t, program, text)
        if (refused.length > 300 || warnings.length > 2) t.fail(`${program}: ${text.slice(0, 40)}: ${refused.length} characters, ${warnings.length} warnings`)
      }
    }
  }
  t.pass('whatever is wrong is told in few words')
})
