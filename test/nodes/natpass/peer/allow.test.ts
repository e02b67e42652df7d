/** What others may open: clients, types, programs, ports; and that what is checked is what is dialled. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, isIP, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import t, { type Test } from 'tap'
import { failureOf, until } from '../../../helpers/ends.ts'
import { complaint } from '../../../helpers/cli/complaint.ts'
import { peerOf } from '../../../helpers/cli/loaded.ts'
import { join as joinRelay } from '../../../helpers/natpass/client.ts'
import { contentOf, isType, LINK } from '../../../helpers/natpass/messages.ts'
import { startPeer } from '../../../helpers/natpass/peers.ts'
import { serve } from '../../../helpers/natpass/serve.ts'
import { createPeerCommand } from '../../../../src/cli/peer-command.ts'
import { parse } from '../../../../src/cli/command.ts'
import type { Flags } from '../../../../src/cli/config/settings.ts'
import { readOptions, rejectOption } from '../../../../src/nodes/common/options/option.ts'
import type { Allowance, AllowanceInit } from '../../../../src/nodes/natpass/peer/allowance.ts'
import { Allowances } from '../../../../src/nodes/natpass/peer/allowances.ts'
import { LostDatagrams } from '../../../../src/nodes/natpass/peer/datagrams.ts'
import { peerOptions, verifyPeerOptions } from '../../../../src/nodes/natpass/peer/options.ts'
import { addressCheck, readPortPattern } from '../../../../src/nodes/natpass/peer/port-patterns.ts'
import { Ports } from '../../../../src/nodes/natpass/peer/ports.ts'
import { systemClock } from '../../../../src/streams/clock.ts'
import type { Lookup } from '../../../../src/transports/happy-eyeballs.ts'
import type { WireLink } from '../../../../src/transports/tcp.ts'

delete process.env.TUNPIPE_SECRET

/** Whether an address, or the one that a name resolves to, may be reached. */
function reaches (patterns: string[] | undefined, host: string, port: number, address = host): boolean {
  const read = patterns?.map((text) => {
    const pattern = readPortPattern(text)
    if (pattern === undefined) throw new Error(`not a pattern: ${text}`)
    return pattern
  })
  return addressCheck(read, host, port)?.(address) === true
}

t.test('patterns of ports', async (t) => {
  for (const [pattern, host, port, address] of [
    ['192.0.2.7:80', '192.0.2.7', 80],
    ['192.0.2.7:80', '::ffff:192.0.2.7', 80],
    ['192.0.2.7:80', 'nas.lan', 80, '192.0.2.7'],
    ['10.0.0.0/8:1000-2000', '10.255.0.1', 2000],
    ['10.1.2.3/8:*', '10.0.0.1', 65_535],
    ['[2001:db8::1]:*', '2001:DB8:0::1', 1],
    ['[2001:db8::/32]:443', '2001:db8:ffff::1', 443],
    ['[::ffff:10.0.0.0/104]:1', '10.9.9.9', 1],
    ['NAS.lan:53', 'nas.LAN.', 53, '203.0.113.9'],
    ['localhost:*', 'localhost', 22, '127.0.0.1'],
    ['LocalHost.:80', '127.0.0.1', 80],
    ['localhost:80', '::1', 80],
    ['localhost:80', '127.9.9.9', 80],
    ['localhost:80', 'LOCALHOST.', 80, '::1'],
    ['*:53', '203.0.113.9', 53],
    ['*:*', 'anything.example', 1, '203.0.113.9']
  ] as const) t.ok(reaches([pattern], host, port, address ?? host), `${pattern} ${host} ${port}`)
  for (const [pattern, host, port, address] of [
    ['192.0.2.7:80', '192.0.2.7', 81],
    ['192.0.2.7:80', '192.0.2.8', 80],
    ['192.0.2.7:80', 'nas.lan', 80, '192.0.2.8'],
    ['10.0.0.0/8:1000-2000', '10.0.0.1', 999],
    ['10.0.0.0/8:*', '11.0.0.1', 1],
    ['0.0.0.0/0:*', '::1', 1],
    ['nas.lan:53', '192.0.2.7', 53],
    ['nas.lan:53', 'other.lan', 53, '192.0.2.7'],
    ['*:53', '203.0.113.9', 54],
    ['127.0.0.1:*', '0.0.0.0', 80],
    ['localhost:80', 'localhost', 80, '192.0.2.7'],
    ['localhost:80', '127.0.0.1', 81],
    ['localhost:80', '::', 80],
    ['nas.localhost:80', '127.0.0.1', 80],
    ['127.0.0.1:*', '127.1', 80, '127.0.0.2'] // a name to the system
  ] as const) t.notOk(reaches([pattern], host, port, address ?? host), `${pattern} ${host} ${port}`)
  for (const text of ['', ':', '*', 'host', 'host:', ':80', '*:0', '*:65536', '*:2-1', '*:1-', '*:-1', '*:1-2-3', '*:+1', '* :1', '::1:80', '[::1]', '[10.0.0.1]:80', '[]:80', '[host]:80', '10.0.0.0/33:1',
    '10.0.0:1', '10.0.0.0/:1', '[::/129]:1', '[fe80::1%eth0]:1', 'a b:1', '-:1', 'host:http', '*.lan:80', 'a/8:1', `${'x'.repeat(254)}:1`]) t.equal(readPortPattern(text), undefined, JSON.stringify(text))
})

t.test('without patterns: this machine by its loopback, and localhost only when it is that', async (t) => {
  for (const [host, address] of [['127.0.0.1'], ['127.9.9.9'], ['::1'], ['::ffff:127.0.0.1'], ['localhost', '127.0.0.1'], ['LOCALHOST.', '::1']]) t.ok(reaches(undefined, host, 1, address ?? host), host)
  for (const [host, address] of [['0.0.0.0'], ['::'], ['192.0.2.7'], ['169.254.169.254'], ['localhost', '192.0.2.7'], ['localhost.example', '127.0.0.1'], ['127.1', '127.0.0.1']]) t.notOk(reaches(undefined, host, 1, address ?? host), host)
  t.equal(addressCheck(undefined, 'rebind.example', 80), undefined, 'not even resolved')
  t.equal(addressCheck([readPortPattern('nas.lan:80')!], 'rebind.example', 80), undefined)
  t.equal(addressCheck([readPortPattern('10.0.0.0/8:80')!], 'rebind.example', 81), undefined)
})

const ports = fc.tuple(fc.integer({ min: 1, max: 65_535 }), fc.integer({ min: 1, max: 65_535 })).map(([a, b]) => [Math.min(a, b), Math.max(a, b)])

t.test('property: a network and a range match what lies in them, whatever the form of the address', async (t) => {
  fc.assert(fc.property(
    fc.oneof(fc.tuple(fc.ipV4(), fc.nat(32)), fc.tuple(fc.ipV6(), fc.nat(128))), ports, fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65_535 }), fc.boolean(),
    ([network, prefix], [from, to], other, port, near) => {
      const isV6 = network.includes(':')
      const text = `${isV6 ? `[${network}/${prefix}]` : `${network}/${prefix}`}:${from}-${to}`
      const address = near && isIP(network) === 4 ? ipaddr.parse(network).toString() : other
      const [one, all] = [ipaddr.process(address), ipaddr.parse(network)]
      const plain = isV6 && (all as ipaddr.IPv6).isIPv4MappedAddress() && prefix >= 96 ? [(all as ipaddr.IPv6).toIPv4Address(), prefix - 96] as const : [all, prefix] as const
      const isInside = one.kind() === plain[0].kind() && one.match(plain[0], plain[1])
      t.equal(reaches([text], address, port), isInside && from <= port && port <= to, `${text} ${address} ${port}`)
    }
  ), { numRuns: 300 })
})

t.test('property: any text is a pattern or none, and never more than it says', async (t) => {
  const host = fc.oneof(fc.string({ maxLength: 6 }), fc.constantFrom('*', '[', ']', ':', '.', '[::1]', '10.0.0.0', '/8', 'nas', '-', '\0', ' '))
  const port = fc.oneof(fc.constantFrom('*', '-', '80', '443', '0', '65536', '1-2', '', ' '), fc.nat(99_999).map(String))
  const joined = (part: fc.Arbitrary<string>): fc.Arbitrary<string> => fc.array(part, { minLength: 1, maxLength: 2 }).map((parts) => parts.join(''))
  let found = 0
  fc.assert(fc.property(joined(host), joined(port), ports, (host, port, [from, to]) => {
    const text = `${host}:${port}`
    const pattern = readPortPattern(text)
    if (pattern === undefined) return
    found++
    t.ok(pattern.from >= 1 && pattern.from <= pattern.to && pattern.to <= 65_535, text)
    t.match(text, /^(?:\*|[\w.-]+|[\d./]+|\[[\da-f:./]+\]):(?:\*|\d+(?:-\d+)?)$/i)
    if (host !== '*') t.notOk(reaches([text], '203.0.113.77', to) && reaches([text], '2001:db8::77', from), `${text} is not every host`)
  }), { numRuns: 2000 })
  t.ok(found > 50, `${found} are patterns`)
})

t.test('who may open what: allowances add up, and only for their client', async (t) => {
  const allowances = new Allowances([
    { from: 'laptop', types: ['shell', 'tcp'], exec: ['/bin/sh', 'top'], ports: ['10.0.0.0/8:80'] },
    { from: 'laptop', types: ['shell'], exec: ['htop'] },
    { types: ['tcp'] },
    { from: 'admin', types: ['shell', 'udp'] }
  ])
  t.same(['shell', 'tcp', 'udp'].map((type) => ['laptop', 'admin', 'other'].filter((client) => allowances.allows(client, type as 'tcp'))), [['laptop', 'admin'], ['laptop', 'admin', 'other'], ['admin']])
  t.equal(allowances.addressCheck('laptop', 'tcp', '10.0.0.1', 80)?.('10.0.0.1'), true)
  t.equal(allowances.addressCheck('laptop', 'tcp', '127.0.0.1', 22)?.('127.0.0.1'), true)
  t.equal(allowances.addressCheck('other', 'tcp', '10.0.0.1', 80)?.('10.0.0.1'), false)
  t.equal(allowances.addressCheck('laptop', 'udp', '127.0.0.1', 22), undefined)
  const env = ['TERM=xterm', 'LD_PRELOAD=/tmp/evil.so', 'LC_ALL=C.UTF-8', 'LANG=/tmp/evil', 'PATH=/tmp', 'BASH_ENV=/tmp/evil']
  t.same(allowances.command('laptop', { exec: '', env }), { exec: '/bin/sh', env: ['TERM=xterm', 'LC_ALL=C.UTF-8'] })
  t.equal(allowances.command('laptop', { exec: 'htop', env }).exec, 'htop')
  t.throws(() => allowances.command('laptop', { exec: '/tmp/htop', env }), { message: 'the program /tmp/htop is not allowed here' })
  t.throws(() => allowances.command('other', { exec: 'top', env }), 'nor for one that may open none')
  t.same(allowances.command('admin', { exec: '/tmp/htop', env }), { exec: '/tmp/htop', env })
  t.notOk(new Allowances(undefined).allows('laptop', 'shell'))
})

t.test('a name is resolved once, and what was checked is what is dialled', async (t) => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => { server.close() })
  const { port } = server.address() as AddressInfo
  const opening = (addr: string, port: number): any => ({ id: LINK, request: { client: 'laptop', request: { caddr: { addr, port } } }, signal: new AbortController().signal })
  const asked: string[] = []
  const answers = (...addresses: string[]): Lookup => async (name) => {
    asked.push(name)
    return (asked.length > 1 ? ['192.0.2.66'] : addresses).map((address) => ({ address, family: isIP(address) })) // another answer the second time
  }
  const made = (lookup: Lookup): Ports => new Ports({ allowances: new Allowances([{ types: ['tcp', 'udp'], ports: [`127.0.0.0/8:${port}`] }]), clock: systemClock, lost: new LostDatagrams(), lookup })
  const link = await made(answers('192.0.2.1', '127.0.0.1')).connect(opening('rebind.example', port)) as WireLink
  t.same([link.remote, asked], [{ host: '127.0.0.1', port }, ['rebind.example']])
  link.abort(new Error('the test is over'))
  asked.length = 0
  t.match(await failureOf(made(answers('192.0.2.1')).connect(opening('rebind.example', port))), { message: `tcp to rebind.example:${port} is not allowed here, by its address` })
  asked.length = 0
  t.match(await failureOf(made(answers('192.0.2.1')).exchange(opening('rebind.example', port), () => {}, () => {})), { message: `udp to rebind.example:${port} is not allowed here, by its address` })
  asked.length = 0
  for (const [host, port, text] of [['rebind.example', 1, 'tcp to rebind.example:1 is not allowed here'], ['::1', 80, 'tcp to [::1]:80 is not allowed here'], ['', 80, 'not an address and a port'], ['127.0.0.1', 0, 'not an address and a port'], ['127.0.0.1', 65_536, 'not an address and a port']] as const) {
    t.match(await failureOf(made(answers('127.0.0.1')).connect(opening(host, port))), { message: text })
  }
  t.same(asked, [], 'nothing was resolved')
})

t.test('programs of a list: the first one without a name, and none of the variables that could change it', async (t) => {
  const { port } = await serve(t)
  const nas = await startPeer(t, port, { allow: [{ from: 'laptop', types: ['shell'], exec: ['env'] }] })
  const laptop = await joinRelay(t, port, 'laptop')
  const shell = (exec: string, link: string): void => { laptop.send({ _type: 3, to: 'nas', link_id: link, creq: { name: 'sh', _type: 2, cshell: { exec, env: ['BASH_ENV=/tmp/evil', 'LANG=C.UTF-8'] } } }) }
  shell('/bin/sh', 'refused')
  t.match(await laptop.next(isType('connectRep')), { link_id: 'refused', crep: { ok: false, msg: /^the program \/bin\/sh is not allowed here$/ } })
  shell('', LINK)
  t.match(await laptop.next(isType('connectRep')), { link_id: LINK, crep: { ok: true } })
  let heard = ''
  void (async () => { for (;;) heard += contentOf(await laptop.next(isType('shellData'))) })()
  await laptop.next(isType('disconnect'))
  await until(() => heard.includes('LANG=C.UTF-8'))
  t.notMatch(heard, /BASH_ENV/)
  t.match(nas.status(), { refused: 1, accepted: 1 })
})

/** As the library takes it. */
const read = (allow: Array<string | AllowanceInit>): readonly Allowance[] | undefined => {
  const options = readOptions(peerOptions, { server: '127.0.0.1:1', secret: 'x', id: 'nas', allow })
  verifyPeerOptions(options, rejectOption)
  return options.allow
}

t.test('texts and sections, of the library', async (t) => {
  const allow = [{ from: undefined, types: ['shell', 'tcp'] }, { from: 'b', types: ['bench'] }, { types: ['udp', 'tcp'], ports: ['*:53'] }, { from: 'c', types: ['tcp', 'udp', 'shell', 'vnc', 'bench', 'code'], exec: ['top'] }] as const
  const options = read(['shell,tcp', 'bench@b', { types: ['udp', 'tcp'], ports: ['*:53'] }, { from: 'c', types: 'any', exec: ['top'] }])
  t.same(options, allow)
  t.same(read(options as AllowanceInit[]), allow, 'settings are options as well')
  for (const [entry, option, detail] of [
    ['ftp', 'allow.1', /^not what a client may open \("ftp"\), expected TYPES or TYPES@ID/],
    [7, 'allow.1', /^not what a client may open \(7\)/],
    [['tcp'], 'allow.1', /^not what a client may open \(a list\)/],
    [{}, 'allow.1.types', /^missing, expected tcp, udp, shell, vnc, bench or code, a list, or any$/],
    [{ types: ['ftp'] }, 'allow.1.types', /^not types of links \("ftp"\)/],
    [{ types: [] }, 'allow.1.types', /^empty/],
    [{ types: 'tcp', from: 'any' }, 'allow.1.from', /^not an id \("any"\)/],
    [{ types: 'tcp', ports: [] }, 'allow.1.ports', /^empty, expected a list of HOST:PORT/],
    [{ types: 'tcp', ports: '*:80' }, 'allow.1.ports', /^not a list \("\*:80"\)/],
    [{ types: 'tcp', ports: ['*:80', 'x'] }, 'allow.1.ports.1', /^not a port \("x"\), expected HOST:PORT such as/],
    [{ types: 'shell', exec: [''] }, 'allow.1.exec.0', /^empty, expected a path$/],
    [{ types: 'tcp', port: ['*:80'] }, 'allow.1.port', /^unknown key, expected from, types, exec or ports$/],
    [{ types: 'tcp', exec: ['sh'] }, 'allow.1.exec', /^of no use without shell in types$/],
    [{ types: 'shell', ports: ['*:80'] }, 'allow.1.ports', /^of no use without tcp or udp in types$/]
  ] as const) t.throws(() => read(['bench', entry as never]), { code: 'ERR_OPTION', option, detail }, JSON.stringify(entry))
})

function loaded (t: Test, allow: string, ...argv: string[]): any {
  const file = join(t.testdir(), 'nas.yaml')
  writeFileSync(file, `natpass:\n  server: 192.0.2.7:6154\n  secret: x\n  id: nas\n  allow:\n${allow}`)
  let flags: Flags | undefined
  parse(createPeerCommand((given) => { flags = given }, () => {}), ['natpass', '--config', file, ...argv])
  return peerOf(flags as Flags).services[0].settings
}

t.test('the same in a file, with its lines; flags win', async (t) => {
  const text = '    - bench\n    - from: laptop\n      types: [shell, tcp]\n      exec: [/usr/bin/top]\n      ports:\n        - 192.168.1.0/24:80-90\n        - "[2001:db8::1]:*"\n'
  t.match(loaded(t, text), { allow: [{ types: ['bench'] }, { from: 'laptop', types: ['shell', 'tcp'], exec: ['/usr/bin/top'], ports: ['192.168.1.0/24:80-90', '[2001:db8::1]:*'] }] })
  t.same(loaded(t, text, '--allow', 'udp@c').allow, [{ from: 'c', types: ['udp'] }])
  for (const [text, message] of [
    ['    - types: [tcp]\n      ports:\n        - nas\n', /nas\.yaml:8: natpass\.allow\.0\.ports\.0: not a port \("nas"\)/],
    ['    - bench\n    - type: tcp\n', /nas\.yaml:7: natpass\.allow\.1.*types: missing/],
    ['    - types: tcp\n      prots: ["*:80"]\n', /nas\.yaml:7: natpass\.allow\.0\.prots: unknown key/],
    ['    - types: tcp\n      exec: [sh]\n', /nas\.yaml:7: natpass\.allow\.0\.exec: of no use without shell/],
    ['    types: tcp\n', /nas\.yaml:5: natpass\.allow: not a list, expected TYPES/]
  ] as const) t.match(complaint(t, () => loaded(t, text)), message)
})
