/** The size of a path is found whatever it is, and never a larger one. */
import fc from 'fast-check'
import t from 'tap'
import { PathMtu } from '../../src/nat/index.ts'
import { OptionError } from '../../src/errors.ts'
import { SEED } from '../helpers/bytes.ts'
import { sample } from '../helpers/sample.ts'

const RAISE = 600_000

/**
 * Polls at each deadline until the search has ended, and returns the time. A probe that `passes` is acknowledged after `delay` milliseconds.
 */
function settle (mtu: PathMtu, now: number, passes: (size: number) => boolean, { delay = 10, sizes = [] as number[] } = {}): number {
  const coming: Array<{ at: number, size: number }> = []
  for (let step = 0; step < 1000; step++) {
    if (mtu.isSettled && sizes.length > 0 && coming.length === 0) return now
    const next = coming[0]
    if (next !== undefined && next.at <= mtu.deadline) {
      coming.shift()
      mtu.acknowledged(next.size, now = Math.max(now, next.at))
      continue
    }
    now = Math.max(now, mtu.deadline)
    const size = mtu.poll(now)
    if (size === undefined) continue
    sizes.push(size)
    if (passes(size)) coming.push({ at: now + delay, size })
  }
  throw new Error('the search does not end')
}

t.test('a path that takes the most: one probe', async (t) => {
  const mtu = new PathMtu({ most: 1472, base: 1200 })
  t.match(mtu, { size: 0, isSettled: false })
  t.equal(mtu.poll(5000), 1472)
  t.equal(mtu.poll(5999), undefined, 'it waits for the acknowledgement')
  t.match(mtu, { size: 0, deadline: 6000 })
  mtu.acknowledged(1472, 5030)
  t.match(mtu, { size: 1472, isSettled: true, deadline: Infinity })
  t.equal(mtu.poll(1e12), undefined, 'there is nothing larger')
})

t.test('three tries of the most, then the base, then what is between', async (t) => {
  const mtu = new PathMtu({ most: 1400, base: 1200 })
  const sizes: number[] = []
  settle(mtu, 0, (size) => size <= 1300, { sizes })
  t.same(sizes.slice(0, 5), [1400, 1400, 1400, 1200, 1300])
  t.equal(mtu.size, 1300)
})

t.test('a lost probe is sent again', async (t) => {
  const mtu = new PathMtu({ most: 1400, base: 1200, timeout: 500 })
  t.equal(mtu.poll(0), 1400)
  t.equal(mtu.poll(499), undefined)
  t.equal(mtu.poll(500), 1400)
  mtu.acknowledged(1400, 510)
  t.equal(mtu.size, 1400)
})

t.test('a path that takes nothing is tried again after a minute', async (t) => {
  const mtu = new PathMtu({ most: 1400, base: 1200, tries: 2 })
  const sizes: number[] = []
  const end = settle(mtu, 0, () => false, { sizes })
  t.same(sizes, [1400, 1400, 1200, 1200])
  t.match(mtu, { size: 0, isSettled: true, deadline: end + 60_000 })
  t.equal(mtu.poll(end + 59_999), undefined)
  t.equal(mtu.poll(end + 60_000), 1400)
})

t.test('after ten minutes larger ones are tried again; what is found stays until then', async (t) => {
  const mtu = new PathMtu({ most: 1400, base: 1200 })
  const end = settle(mtu, 0, (size) => size <= 1250)
  const { size } = mtu
  t.equal(mtu.deadline, end + RAISE)
  t.equal(mtu.poll(end + RAISE - 1), undefined)
  const again = settle(mtu, end + RAISE, (probe) => probe <= 1250, { sizes: [] })
  t.equal(mtu.size, size)
  settle(mtu, again + RAISE, () => true)
  t.equal(mtu.size, 1400)
})

t.test('an acknowledgement that comes late counts, also of a size that was given up', async (t) => {
  const mtu = new PathMtu({ most: 1400, base: 1200, tries: 1, timeout: 100 })
  t.equal(mtu.poll(0), 1400)
  t.equal(mtu.poll(100), 1200)
  mtu.acknowledged(1200, 150)
  t.equal(mtu.poll(150), 1300)
  mtu.acknowledged(1400, 160)
  t.match(mtu, { size: 1400, isSettled: true })
})

t.test('acknowledgements of what was not probed, or is no size, change nothing', async (t) => {
  const mtu = new PathMtu({ most: 1400, base: 1200 })
  mtu.acknowledged(1400, 0)
  t.equal(mtu.size, 0, 'nothing has been probed')
  mtu.poll(0)
  for (const size of [0, -1, 1199, 1401, 1300.5, NaN, Infinity, '1300' as unknown as number]) mtu.acknowledged(size, 1)
  t.match(mtu, { size: 0, isSettled: false })
})

t.test('a black hole: it begins anew, and acknowledgements of before do not count', async (t) => {
  const mtu = new PathMtu({ most: 1400, base: 1200 })
  settle(mtu, 0, () => true)
  mtu.blackHole(9000)
  t.match(mtu, { size: 0, isSettled: false, deadline: 9000 })
  mtu.acknowledged(1400, 9000)
  t.equal(mtu.size, 0)
  settle(mtu, 9000, (size) => size <= 1220)
  t.ok(mtu.size > 1200 && mtu.size <= 1220)
})

t.test('options that cannot work', async (t) => {
  const good = { most: 1400, base: 1200 }
  for (const bad of [{ most: 65_528 }, { most: NaN }, { base: 1401 }, { base: 0 }, { tries: 0 }, { timeout: 0 }, { timeout: 0.5 }]) {
    t.throws(() => new PathMtu({ ...good, ...bad }), OptionError, JSON.stringify(bad))
  }
})

const paths = fc.record({
  base: fc.integer({ min: 1, max: 1300 }),
  room: fc.integer({ min: 0, max: 10_000 }),
  true: fc.double({ min: 0, max: 1, noNaN: true }),
  delay: fc.integer({ min: 0, max: 999 }),
  lost: fc.infiniteStream(fc.boolean())
})

t.test('it is found within 20 bytes, and never too large, when each size loses fewer probes than it has tries', async (t) => {
  fc.assert(fc.property(paths, ({ base, room, true: part, delay, lost }) => {
    const most = base + room
    const real = base + Math.round(room * part)
    const mtu = new PathMtu({ most, base })
    const losses = new Map<number, number>()
    settle(mtu, 0, (size) => {
      const before = losses.get(size) ?? 0
      const isLost = lost.next().value === true && before < 2
      if (isLost) losses.set(size, before + 1)
      return !isLost && size <= real
    }, { delay })
    return mtu.size <= real && mtu.size > real - 20
  }), { numRuns: sample('paths', { short: 2000, long: 200_000 }), seed: SEED })
})

t.test('with any losses it is never too large, and found in the end', async (t) => {
  fc.assert(fc.property(paths, ({ base, room, true: part, delay, lost }) => {
    const real = base + Math.round(room * part)
    const mtu = new PathMtu({ most: base + room, base })
    settle(mtu, 0, (size) => lost.next().value === true && size <= real, { delay })
    if (mtu.size > real) return false
    if (mtu.deadline < Infinity) settle(mtu, mtu.deadline, (size) => size <= real, { delay })
    return mtu.size <= real && mtu.size > real - 20
  }), { numRuns: sample('paths', { short: 2000, long: 200_000 }), seed: SEED })
})
