import fc from 'fast-check'
import t from 'tap'
import { TokenBucket } from '../../src/limits/token-bucket.ts'
import { KeyedTokenBuckets } from '../../src/limits/keyed-token-buckets.ts'

t.test('a burst, then a rate', async (t) => {
  const bucket = new TokenBucket({ rate: 10, burst: 3 }, 1000)
  t.same([1, 1, 1, 1].map((count) => bucket.take(count)), [true, true, true, false])
  bucket.refill(1099)
  t.equal(bucket.take(1), false)
  bucket.refill(1100)
  t.equal(bucket.take(1), true)
  t.equal(bucket.take(1), false)
  bucket.refill(60_000)
  t.ok(bucket.isFull)
  t.same([1, 1, 1, 1].map((count) => bucket.take(count)), [true, true, true, false], 'no more than the burst')
})

t.test('more than the burst at once, when it is full', async (t) => {
  const bucket = new TokenBucket({ rate: 1000 }, 0)
  t.equal(bucket.take(1500), true)
  t.equal(bucket.take(1), false, 'which has to be paid first')
  bucket.refill(500)
  t.equal(bucket.take(1), false)
  bucket.refill(501)
  t.equal(bucket.take(1), true)
})

t.test('a clock that goes back', async (t) => {
  const bucket = new TokenBucket({ rate: 1000, burst: 1 }, 5000)
  bucket.take(1)
  bucket.refill(0)
  t.equal(bucket.take(1), false)
  bucket.refill(5001)
  t.equal(bucket.take(1), true)
})

t.test('rates that cannot be', async (t) => {
  for (const init of [{ rate: 0 }, { rate: -1 }, { rate: NaN }, { rate: Infinity }, { rate: 1, burst: 0 }]) t.throws(() => new TokenBucket(init, 0), { code: 'ERR_OPTION' }, JSON.stringify(init))
  t.throws(() => new KeyedTokenBuckets({ rate: 0 }), { code: 'ERR_OPTION' })
  t.throws(() => new KeyedTokenBuckets({ rate: 1, maxKeys: 0 }), { code: 'ERR_OPTION' })
})

t.test('property: never more than the burst and the rate, and one wish that is too large', async () => {
  const step = fc.record({ wait: fc.nat(300), count: fc.integer({ min: 1, max: 50 }) })
  fc.assert(fc.property(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 30 }), fc.array(step, { maxLength: 100 }), (rate, burst, steps) => {
    const bucket = new TokenBucket({ rate, burst }, 0)
    let now = 0
    let taken = 0
    for (const { wait, count } of steps) {
      now += wait
      bucket.refill(now)
      if (bucket.take(count)) taken += count
    }
    return taken <= burst + now * rate / 1000 + 50
  }))
})

t.test('a bucket for each source', async (t) => {
  const rate = new KeyedTokenBuckets({ rate: 1, burst: 2, maxKeys: 3 })
  t.same(['a', 'a', 'a', 'b'].map((source) => rate.take(source, 0)), [true, true, false, true])
  t.same(['a', 'b', 'c'].map((source) => rate.allows(source, 0)), [false, true, true])
  t.equal(rate.size, 2, 'asking costs no memory')
  t.equal(rate.allows('a', 1000), true)
  t.equal(rate.allows('a', 2000), true)
  t.equal(rate.size, 1, 'nor does one with nothing to its account')
  for (const source of ['c', 'd', 'b', 'e']) rate.take(source, 2000)
  t.equal(rate.size, 3, 'the one that was seen longest ago is forgotten')
  t.same([rate.take('b', 2000), rate.take('b', 2000)], [true, false])
})
