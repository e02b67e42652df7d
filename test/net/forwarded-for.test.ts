import fc from 'fast-check'
import t from 'tap'
import { forwardedSource, MAX_HOPS } from '../../src/net/forwarded-for.ts'
import { CidrList } from '../../src/net/cidr-list.ts'

const trusted = new CidrList('trustedProxies', ['10.0.0.0/8', '2001:db8:aaaa::/48'])
const proxy = { host: '10.0.0.1', port: 5555 }
const source = (header: string): string => {
  const { host, port } = forwardedSource(header, proxy, trusted)
  return `${host} ${port}`
}

t.test('forms of an address', async (t) => {
  for (const [header, found] of [
    ['192.0.2.1', '192.0.2.1 0'],
    ['192.0.2.1:1234', '192.0.2.1 1234'],
    ['192.0.2.1:65535', '192.0.2.1 65535'],
    ['2001:db8::1', '2001:db8::1 0'],
    ['2001:DB8:0::1', '2001:db8::1 0'],
    ['[2001:db8::1]', '2001:db8::1 0'],
    ['[2001:db8::1]:1234', '2001:db8::1 1234'],
    ['::ffff:192.0.2.1', '192.0.2.1 0'],
    [' \t192.0.2.1 ', '192.0.2.1 0']
  ]) t.equal(source(header), found, header)
})

t.test('what is no address ends the walk', async (t) => {
  for (const text of [
    '', ' ', 'unknown', '_hidden', 'localhost', '192.0.2', '192.0.2.256', '192.0.2.01', '0xc0000201', '3221225985', '192.0.2.1:', '192.0.2.1:65536',
    '192.0.2.1:123456', '192.0.2.1:-1', '192.0.2.1:1:2', '[192.0.2.1]', '[192.0.2.1]:1', '2001:db8::g', '[2001:db8::1', '2001:db8::1]', '[2001:db8::1]:', '[2001:db8::1]x',
    '[]:1', 'fe80::1%eth0', '[fe80::1%eth0]:1', '"192.0.2.1"', '192.0.2.1 192.0.2.2', '192.0.2.1;', 'for=192.0.2.1', '192.0.2.1\0'
  ]) {
    t.equal(source(text), '10.0.0.1 5555', JSON.stringify(text))
    t.equal(source(`192.0.2.9, ${text}, 10.0.0.2`), '10.0.0.2 0', `${JSON.stringify(text)}, behind a proxy`)
  }
})

t.test('from the right, to the first that is no proxy', async (t) => {
  t.equal(source('192.0.2.1, 10.1.1.1, 10.2.2.2'), '192.0.2.1 0')
  t.equal(source('192.0.2.1,10.1.1.1,2001:db8:aaaa::1'), '192.0.2.1 0')
  t.equal(source('10.9.9.9, 192.0.2.1'), '192.0.2.1 0')
  t.equal(source('198.51.100.1, 192.0.2.1'), '192.0.2.1 0', 'what stands left of a stranger is his')
  t.equal(source('garbage, 192.0.2.1'), '192.0.2.1 0')
  t.equal(source('10.1.1.1, 10.2.2.2'), '10.1.1.1 0', 'proxies only: the farthest')
  t.equal(source('192.0.2.1,'), '10.0.0.1 5555')
  t.equal(source(',10.1.1.1'), '10.1.1.1 0')
  t.equal(source(','), '10.0.0.1 5555')
})

t.test('no more proxies in a row than the bound', async (t) => {
  const hops = (count: number): string => ['192.0.2.1', ...Array.from({ length: count }, (_, i) => `10.1.1.${i}`)].join()
  t.equal(source(hops(MAX_HOPS - 1)), '192.0.2.1 0')
  t.equal(source(hops(MAX_HOPS)), '10.1.1.0 0')
  t.equal(source(hops(100)), `10.1.1.${100 - MAX_HOPS} 0`)
})

t.test('property: it is the proxy itself, or an address of the header with only trusted ones to its right', async (t) => {
  const entry = fc.oneof(fc.constantFrom('10.1.2.3', '10.4.5.6', '192.0.2.1', '198.51.100.1', 'unknown', ''), fc.string())
  fc.assert(fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
    const found = forwardedSource(entries.join(', '), proxy, trusted)
    const all = entries.join(', ').split(',').map((one) => one.trim()).reverse()
    let expected = proxy.host
    for (const one of all) {
      if (!/^\d+\.\d+\.\d+\.\d+$/.test(one)) break
      expected = one
      if (!one.startsWith('10.')) break
    }
    if (all.some((one) => /[:[\]]/.test(one))) return // other forms are tested above
    t.equal(found.host, expected)
  }), { numRuns: 500 })
})

t.test('networks', async (t) => {
  const networks = new CidrList('trustedProxies', ['192.0.2.1', '10.1.2.3/8', '2001:db8::/32', '::1', '::ffff:198.51.100.0/120', '::ffff:203.0.113.7', '128.0.0.0/1'])
  for (const host of ['192.0.2.1', '::ffff:192.0.2.1', '10.255.255.255', '2001:db8:ffff::1', '::1', '198.51.100.77', '::ffff:198.51.100.77', '203.0.113.7', '200.0.0.1', '2001:db8::1%eth0', '2001:db8::1%br-lan']) t.ok(networks.includes(host), host)
  for (const host of ['192.0.2', '11.0.0.0', '127.0.0.1', '2001:db9::1', '::2', '::', '', 'localhost', '0x0a000001', '10.1', 'a memory', 'fe80::1%br-lan']) t.notOk(networks.includes(host), host)
  const all = new CidrList('trustedProxies', ['0.0.0.0/0'])
  t.ok(all.includes('255.1.2.3'))
  t.notOk(all.includes('::1'), 'IPv4 is not IPv6')
  t.notOk(new CidrList('trustedProxies', ['::/0']).includes('192.0.2.1'))
  for (const bad of [
    '', ' ', 'localhost', '10.0.0.0/33', '10.0.0.0/-1', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/8 ', '10.0.0.0/8/8', '10.0.0/8', '10', '0x0a000000/8', '2001:db8::/129',
    'fe80::1%eth0', '*', '10.0.0.0/255.0.0.0', '10.0.0.1:80', undefined as unknown as string
  ]) t.throws(() => new CidrList('trustedProxies', ['10.0.0.1', bad]), { code: 'ERR_OPTION', message: /trustedProxies/ }, JSON.stringify(bad))
})
