import fc from 'fast-check'
import t from 'tap'
import { OptionError } from '../../src/errors.ts'
import { Shaper } from '../../src/limits/shaper.ts'
import { ManualClock } from '../helpers/clock.ts'

/** Milliseconds of the rate that may pass at once. */
const BURST = 250

t.test('what comes at the rate is never held up', async (t) => {
  const shaper = new Shaper(1000)
  for (let now = 5000; now < 15_000; now += 100) t.equal(shaper.delay(100, now), 0)
})

t.test('a burst passes, the rest waits for its turn', async (t) => {
  const shaper = new Shaper(1000)
  t.equal(shaper.rate, 1000)
  t.equal(shaper.delay(250, 0), 0, 'a quarter of a second at once')
  t.equal(shaper.delay(100, 0), 100)
  t.equal(shaper.delay(100, 0), 200, 'behind the one before')
  t.equal(shaper.delay(0, 0), 200, 'nothing waits as well, so that it keeps its place')
  t.equal(shaper.delay(100, 200), 100)
  t.equal(shaper.delay(100, 1000), 0, 'after a pause')
  t.equal(shaper.delay(250, 1000), 100)
})

t.test('the burst may be another one', async (t) => {
  const shaper = new Shaper(1000, undefined, 100)
  t.equal(shaper.delay(100, 0), 0)
  t.equal(shaper.delay(100, 0), 100)
  t.equal(shaper.delay(200, 1000), 100, 'also after a pause')
})

t.test('a pause, however long, saves up one burst', async (t) => {
  for (const pause of [250, 1000, 1e9]) {
    const shaper = new Shaper(1000)
    shaper.delay(250, 0)
    t.equal(shaper.delay(500, pause), 250, `${pause} ms`)
  }
  t.equal(new Shaper(1000).delay(500, 1e9), 250, 'nor is there more at the beginning, whatever the clock')
  t.equal(new Shaper(1000).delay(500, -1e9), 250)
})

t.test('what is larger than a burst passes, late', async (t) => {
  const shaper = new Shaper(10)
  t.equal(shaper.delay(65_536, 0), 6_553_600 - BURST)
})

t.test('rates that are none', async (t) => {
  for (const rate of [0, -1, NaN, Infinity, -Infinity, undefined, null, '', 'fast', {}]) t.throws(() => new Shaper(rate as number), OptionError, String(rate))
  for (const rate of [0.5, 1, Number.MAX_VALUE]) t.equal(new Shaper(rate).rate, rate)
})

interface Passed {
  at: number
  bytes: number
}

/** Streams that always have something to send, each of which waits as it is told, by a clock of their own. */
function run (shaper: Shaper, streams: number[][], pauses: number[]): Passed[] {
  const passed: Passed[] = []
  const all = streams.map((sizes) => ({ sizes: [...sizes], now: 0 }))
  for (let turn = 0; ; turn++) {
    const [next] = all.filter(({ sizes }) => sizes.length > 0).sort((a, b) => a.now - b.now) // the clock goes forward only
    if (next === undefined) return passed
    const bytes = next.sizes.shift() as number
    const at = next.now + shaper.delay(bytes, next.now)
    passed.push({ at, bytes })
    next.now = at + pauses[turn % pauses.length]
  }
}

t.test('property: the sum of all streams keeps to the rate in every stretch of time, in turn', async (t) => {
  const streams = fc.array(fc.array(fc.integer({ min: 1, max: 65_536 }), { maxLength: 15 }), { minLength: 1, maxLength: 6 })
  const pauses = fc.array(fc.nat(500), { minLength: 1, maxLength: 5 })
  fc.assert(fc.property(fc.integer({ min: 1000, max: 10_000_000 }), streams, pauses, (rate, streams, pauses) => {
    const passed = run(new Shaper(rate), streams, pauses)
    const largest = Math.max(0, ...passed.map(({ bytes }) => bytes))
    for (let from = 0; from < passed.length; from++) {
      let sum = 0
      for (let to = from; to < passed.length; to++) {
        if (to > 0 && passed[to].at < passed[to - 1].at) return false // whoever asks first is first
        sum += passed[to].bytes
        const most = largest + rate * (passed[to].at - passed[from].at + BURST) / 1000
        if (sum > most * (1 + 1e-9)) return false
      }
    }
    return true
  }), { numRuns: 200 })
})

t.test('property: it holds up no more than it has to', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 10_000_000 }), fc.array(fc.integer({ min: 1, max: 65_536 }), { minLength: 1 }), (rate, sizes) => {
    const passed = run(new Shaper(rate), [sizes], [0])
    const total = sizes.reduce((sum, size) => sum + size, 0)
    const needed = Math.max(0, total / rate * 1000 - BURST)
    return Math.abs((passed.at(-1) as Passed).at - needed) <= needed * 1e-9 + 1e-6
  }))
})

t.test('property: streams that always send share it, whatever their number', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 2, max: 10 }), fc.integer({ min: 1000, max: 1_000_000 }), (count, rate) => {
    const shaper = new Shaper(rate)
    const sent = Array<number>(count).fill(0)
    const times = Array<number>(count).fill(0)
    for (let turn = 0; turn < count * 100; turn++) {
      const next = times.indexOf(Math.min(...times))
      times[next] += shaper.delay(1000, times[next])
      sent[next]++
    }
    return Math.max(...sent) - Math.min(...sent) <= 1 + BURST * rate / 1e6
  }))
})

t.test('a small message does not wait for all that others have', async (t) => {
  const clock = new ManualClock()
  const shaper = new Shaper(1_000_000, clock)
  const passed: Array<[string, number]> = []
  const pass = async (name: string, bytes: number): Promise<void> => {
    await shaper.wait(bytes)
    passed.push([name, Math.ceil(clock.now())])
  }
  t.equal(shaper.wait(250_000), undefined, 'a burst passes at once')
  const all = Promise.all([pass('large', 400_000), pass('large', 400_000), pass('small', 1)])
  t.same(clock.holding, [], 'its timers keep no process alive')
  await clock.pass(700)
  t.same(passed, [['small', 41]], 'behind one piece of each')
  await clock.pass(100)
  await clock.pass(1)
  await all
  t.same(passed.slice(1), [['large', 781], ['large', 801]], 'all of it in the time that it takes at the rate')
})
