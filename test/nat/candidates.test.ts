/** Which endpoints a socket tells others, and in which order. */
import type { NetworkInterfaceInfo } from 'node:os'
import fc from 'fast-check'
import t from 'tap'
import { gatherCandidates, isLocalAddress, scopeOf, type CandidatesInit } from '../../src/nat/index.ts'
import { OptionError } from '../../src/errors.ts'
import { formatAddress, parseAddress } from '../../src/net/ipv4.ts'
import { SEED } from '../helpers/bytes.ts'

const info = (address: string, internal = false): NetworkInterfaceInfo => address.includes(':')
  ? { address, netmask: 'ffff:ffff:ffff:ffff::', family: 'IPv6', mac: '02:00:00:00:00:01', internal, cidr: `${address}/64`, scopeid: 0 }
  : { address, netmask: '255.255.255.0', family: 'IPv4', mac: '02:00:00:00:00:01', internal, cidr: `${address}/24` }

const interfaces = {
  lo: [info('127.0.0.1', true), info('::1', true)],
  docker0: [info('172.17.0.1')],
  eth0: [info('192.168.1.5'), info('fe80::1')],
  candy: [info('10.77.0.2')],
  wlan0: [info('10.0.0.9'), info('169.254.3.4')],
  gone: undefined
}

const told = (init: Partial<CandidatesInit>): string[] => gatherCandidates({ port: 5000, interfaces, ...init }).map(({ type, host, port }) => `${type} ${host}:${port}`)

t.test('interfaces first, bridges after them, then what is outside', async (t) => {
  const seen = told({ exclude: new Set(['candy']), mapped: { host: '203.0.113.7', port: 5001 }, reflexive: [{ host: '203.0.113.7', port: 61_000 }] })
  t.same(seen, ['host 192.168.1.5:5000', 'host 10.0.0.9:5000', 'host 172.17.0.1:5000', 'mapped 203.0.113.7:5001', 'reflexive 203.0.113.7:61000'])
})

t.test('without a NAT the reflexive endpoint is that of an interface, and told once', async (t) => {
  const seen = told({ interfaces: { eth0: [info('203.0.113.7')] }, mapped: { host: '203.0.113.7', port: 5000 }, reflexive: [{ host: '203.0.113.7', port: 5000 }, { host: '203.0.113.7', port: 5000 }] })
  t.same(seen, ['host 203.0.113.7:5000'])
})

t.test('what nobody else can reach, or is no endpoint of IPv4, is left out', async (t) => {
  const hosts = ['127.0.0.1', '0.0.0.0', '169.254.1.1', '224.0.0.1', '255.255.255.255', '2001:db8::1', 'host.example', '']
  t.same(told({ interfaces: {}, reflexive: hosts.map((host) => ({ host, port: 5000 })) }), [])
  for (const port of [0, -1, 65_536, 0.5, NaN]) t.same(told({ interfaces: {}, mapped: { host: '203.0.113.7', port } }), [])
})

t.test('private addresses of tunnels are left out, by name and without a link-layer address; public ones are not', async (t) => {
  const none = (address: string): NetworkInterfaceInfo => ({ ...info(address), mac: '00:00:00:00:00:00' })
  const some = { eth0: [info('192.168.1.5')], ppp0: [none('203.0.113.9'), none('100.64.0.7')], office: [none('10.78.0.2')], tap0: [info('10.79.0.2')], zt5: [info('10.80.0.2'), info('203.0.113.10')] }
  t.same(told({ interfaces: some }), ['host 192.168.1.5:5000', 'host 203.0.113.9:5000', 'host 203.0.113.10:5000'])
})

t.test('many interfaces leave room for what is outside', async (t) => {
  const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`eth${i}`, [info(`10.0.${i}.1`)]]))
  const seen = told({ interfaces: many, mapped: { host: '203.0.113.7', port: 1 }, reflexive: Array.from({ length: 9 }, (_, i) => ({ host: '203.0.113.8', port: i + 1 })) })
  t.same(seen, [...[0, 1, 2, 3].map((i) => `host 10.0.${i}.1:5000`), 'mapped 203.0.113.7:1', ...[1, 2, 3].map((i) => `reflexive 203.0.113.8:${i}`)])
  t.equal(told({ interfaces: many }).length, 8)
})

t.test('a port that a socket cannot have', async (t) => {
  for (const port of [0, 65_536, NaN]) t.throws(() => gatherCandidates({ port, interfaces }), OptionError)
})

t.test('scopes', async (t) => {
  const scopes = {
    private: ['10.0.0.0', '10.255.255.255', '172.16.0.0', '172.31.255.255', '192.168.0.0', '192.168.255.255', '169.254.0.0', '169.254.255.255'],
    shared: ['100.64.0.0', '100.127.255.255'],
    special: ['0.0.0.0', '0.255.255.255', '127.0.0.1', '127.255.255.255', '224.0.0.0', '239.255.0.1', '240.0.0.1', '255.255.255.255'],
    public: ['1.0.0.0', '9.255.255.255', '11.0.0.0', '100.63.255.255', '100.128.0.0', '126.255.255.255', '128.0.0.0', '169.253.255.255', '169.255.0.0',
      '172.15.255.255', '172.32.0.0', '192.167.255.255', '192.169.0.0', '223.255.255.255']
  }
  for (const [scope, addresses] of Object.entries(scopes)) {
    for (const address of addresses) {
      const number = parseAddress(address) as number
      t.equal(scopeOf(number), scope, address)
      t.equal(isLocalAddress(number), scope === 'private', address)
    }
  }
})

const addresses = fc.oneof(fc.nat(0xffffffff).map(formatAddress), fc.constantFrom('10.0.0.1', '192.168.0.1', '127.0.0.1', '169.254.0.1', '203.0.113.1', 'fe80::1', 'x'))
const endpoints = fc.record({ host: addresses, port: fc.integer({ min: -1, max: 65_536 }) })

t.test('whatever is known: at most 8, each once, ordered by priority, none that nobody can reach', async (t) => {
  const inits = fc.record({
    port: fc.integer({ min: 1, max: 65_535 }),
    interfaces: fc.dictionary(fc.constantFrom('lo', 'eth0', 'eth1', 'wlan0', 'docker0', 'br-1', 'tun0'), fc.array(addresses.map((address) => info(address)), { maxLength: 6 })),
    exclude: fc.constantFrom(new Set<string>(), new Set(['eth0'])),
    mapped: fc.option(endpoints, { nil: undefined }),
    reflexive: fc.array(endpoints, { maxLength: 12 })
  })
  fc.assert(fc.property(inits, (init) => {
    const all = gatherCandidates(init)
    const priorities = all.map(({ priority }) => priority)
    const excluded = new Set([...init.exclude].flatMap((name) => (init.interfaces[name] ?? []).map(({ address }) => address)))
    const others = new Set(Object.entries(init.interfaces).flatMap(([name, infos]) => init.exclude.has(name) ? [] : infos.map(({ address }) => address)))
    return all.length <= 8 &&
      new Set(all.map(({ host, port }) => `${host}:${port}`)).size === all.length &&
      priorities.every((priority, i) => Number.isInteger(priority) && priority < 2 ** 31 && (i === 0 || priority < priorities[i - 1])) &&
      all.every(({ host, port, scope }) => scope !== 'special' && port >= 1 && port <= 65_535 && !host.startsWith('169.254.')) &&
      all.every(({ type, host }) => type !== 'host' || others.has(host) || !excluded.has(host))
  }), { numRuns: 2000, seed: SEED })
})
