import t from 'tap'
import { SourceTokenBuckets } from '../../src/limits/source-token-buckets.ts'
import { clientKey } from '../../src/net/client-address.ts'

const network = (number: number, site = 1): string => clientKey(`2001:db8:${site}:${number}::1`)

t.test('networks of one site have four times the rate of one together', async (t) => {
  const buckets = new SourceTokenBuckets({ rate: 10, burst: 5 })
  const taken = (from: number, to: number, now: number): number => Array.from({ length: (to - from) * 10 }, (_, i) => buckets.take(network(from + i % (to - from)), now)).filter(Boolean).length
  t.equal(taken(0, 1, 0), 5, 'one network')
  t.equal(taken(1, 100, 0), 15, 'all others')
  t.ok(buckets.take(network(1, 2), 0), 'another site')
  t.ok(buckets.take('192.0.2.1', 0))
  t.equal(taken(100, 200, 1000), 20, 'no more than the burst')
})

t.test('a network without tokens takes none of its site', async (t) => {
  const buckets = new SourceTokenBuckets({ rate: 1, burst: 1 })
  for (let i = 0; i < 100; i++) buckets.take(network(0), 0)
  t.same([1, 2, 3, 4].map((number) => buckets.take(network(number), 0)), [true, true, true, false])
})

t.test('IPv4 addresses have no site', async (t) => {
  const buckets = new SourceTokenBuckets({ rate: 1 })
  for (let i = 0; i < 20; i++) t.ok(buckets.take(`192.0.2.${i}`, 0))
  t.notOk(buckets.take('192.0.2.1', 0))
  t.throws(() => new SourceTokenBuckets({ rate: 0 }), { code: 'ERR_OPTION' })
})
