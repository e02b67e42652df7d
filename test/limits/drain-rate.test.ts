import t from 'tap'
import { DrainRate } from '../../src/limits/drain-rate.ts'

/** So many bytes leave in each of so many milliseconds; the time after that. */
function run (drainRate: DrainRate, from: number, milliseconds: number, bytes: number): number {
  for (let now = from + 1; now <= from + milliseconds; now++) drainRate.sample(bytes, 1, now)
  return from + milliseconds
}

t.test('is not known before something has left', async (t) => {
  const drainRate = new DrainRate()
  const now = run(drainRate, 0, 50, 0)
  t.equal(drainRate.rate, undefined)
  run(drainRate, now, 10, 500)
  t.equal(drainRate.rate, 500)
})

t.test('a receiver that takes nothing from the beginning has none at last', async (t) => {
  const drainRate = new DrainRate()
  run(drainRate, 0, 200, 0)
  t.equal(drainRate.rate, 0)
})

t.test('a moment of nothing is forgiven, a slower way is noticed', async (t) => {
  const drainRate = new DrainRate()
  let now = run(drainRate, 0, 300, 1000)
  now = run(drainRate, now, 90, 0)
  t.equal(drainRate.rate, 1000)
  run(drainRate, now, 250, 100)
  t.equal(drainRate.rate, 100)
})

t.test('a faster one is noticed at once, and single looks mean little', async (t) => {
  const drainRate = new DrainRate()
  const now = run(drainRate, 0, 300, 100)
  drainRate.sample(50_000, 1, now + 1)
  t.equal(drainRate.rate, 100)
  for (let i = 2; i <= 10; i++) drainRate.sample(0, 1, now + i)
  t.equal(drainRate.rate, 5000)
})

t.test('whoever looks too rarely knows nothing', async (t) => {
  const drainRate = new DrainRate()
  drainRate.sample(5000, 50, 50)
  t.equal(drainRate.rate, 100)
  drainRate.sample(0, 500, 550)
  t.equal(drainRate.rate, undefined)
})
