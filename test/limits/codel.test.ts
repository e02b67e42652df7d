import t from 'tap'
import { Codel, INTERVAL, TARGET } from '../../src/limits/codel.ts'

/** Looks once a millisecond, from one time to another, at a queue in which the oldest has waited so long; when something was dropped. */
function watch (codel: Codel, wait: (now: number) => number, from: number, to: number): number[] {
  const times: number[] = []
  for (let now = from; now < to; now++) {
    for (let i = codel.drops(wait(now), now); i > 0; i--) times.push(now)
  }
  return times
}

t.test('a queue that goes away in time costs nothing', async (t) => {
  t.same(watch(new Codel(), () => TARGET - 0.1, 0, 10_000), [])
  t.same(watch(new Codel(), () => 1000, 0, INTERVAL), [], 'nor does one that has not lasted')
  t.same(watch(new Codel(), (now) => now % INTERVAL === 0 ? 0 : 50, 0, 10_000), [], 'nor bursts that end')
})

t.test('one that stays costs ever more, at the times of the RFC', async (t) => {
  const times = watch(new Codel(), () => TARGET, 0, 600)
  const expected = [100]
  for (let count = 1, at = 100; ; count++) {
    at += 100 / Math.sqrt(count)
    if (at >= 599) break
    expected.push(Math.ceil(at - 1e-9))
  }
  t.same(times, expected)
  t.ok(times.length > 8)
})

t.test('it remembers for a while how much was needed', async (t) => {
  const again = (pause: number): number[] => {
    const codel = new Codel()
    const last = watch(codel, () => 20, 0, 1500).at(-1) as number
    codel.drops(0, last + 1)
    return watch(codel, () => 20, last + pause, last + pause + 160).map((time) => time - last - pause)
  }
  t.equal(again(50).length > 3, true)
  t.same(again(50)[0], INTERVAL, 'not before it has lasted')
  t.same(again(5000), [INTERVAL], 'and forgets')
})

t.test('whoever looks rarely gets all at once that was due', async (t) => {
  const codel = new Codel()
  t.equal(codel.drops(50, 0), 0)
  t.equal(codel.drops(50, 100), 1)
  t.equal(codel.drops(50, 300), watch(new Codel(), () => 50, 0, 301).length - 1)
})

t.test('drops that nobody has asked for are not made up for', async (t) => {
  const codel = new Codel()
  watch(codel, () => 20, 0, 400)
  t.ok(codel.drops(20, 5400) <= 1)
  const first = watch(new Codel(), () => 20, 0, 1000)
  const later = watch(codel, () => 20, 5401, 6401)
  t.ok(later.length <= 2 * first.length, `${later.length} drops in a second, ${first.length} from the beginning`)
})
