import fc from 'fast-check'
import t from 'tap'
import { PER_SITE, SourceCounts } from '../../src/limits/source-counts.ts'
import { clientKey, siteOf } from '../../src/net/client-address.ts'

t.test('the site of a client', async (t) => {
  t.equal(siteOf(clientKey('2001:db8:1:2:3:4:5:6')), '2001:db8:1::/48')
  t.equal(siteOf(clientKey('2001:db8:1:ffff::1')), '2001:db8:1::/48')
  t.equal(siteOf(clientKey('2001:db8::1')), '2001:db8:0::/48')
  t.equal(siteOf(clientKey('::1')), '0:0:0::/48')
  for (const host of ['192.0.2.1', '::ffff:192.0.2.1', 'memory']) t.equal(siteOf(clientKey(host)), undefined, host)
})

t.test('a source may have so many, and all of its site four times as many', async (t) => {
  const counts = new SourceCounts()
  const keys = Array.from({ length: 6 }, (_, i) => clientKey(`2001:db8:1:${i}::1`))
  for (const key of keys.slice(0, PER_SITE)) {
    for (let i = 0; i < 3; i++) {
      t.ok(counts.hasRoom(key, 3))
      counts.add(key)
    }
    t.notOk(counts.hasRoom(key, 3), key)
  }
  t.notOk(counts.hasRoom(keys[4], 3), 'another network of the site')
  t.ok(counts.hasRoom(keys[4], 4), 'a larger limit')
  t.ok(counts.hasRoom(clientKey('2001:db8:2::1'), 3), 'another site')
  t.equal(counts.size, PER_SITE)
  counts.remove(keys[0])
  t.ok(counts.hasRoom(keys[4], 3), 'the room that another one has left')
})

t.test('IPv4 addresses have no site', async (t) => {
  const counts = new SourceCounts()
  for (let i = 0; i < 100; i++) {
    t.ok(counts.hasRoom(`192.0.2.${i}`, 1))
    counts.add(`192.0.2.${i}`)
  }
  t.notOk(counts.hasRoom('192.0.2.7', 1))
})

t.test('property: nothing is kept of what was removed', async () => {
  const source = fc.constantFrom('192.0.2.1', '192.0.2.2', clientKey('2001:db8::'), clientKey('2001:db8:0:1::'), clientKey('2001:db9::'))
  fc.assert(fc.property(fc.array(source), (sources) => {
    const counts = new SourceCounts()
    for (const one of sources) counts.add(one)
    for (const one of sources) counts.remove(one)
    return counts.size === 0 && sources.every((one) => counts.hasRoom(one, 1))
  }))
})
