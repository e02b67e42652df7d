import t from 'tap'
import { Drain } from '../../src/limits/drain.ts'

/** So many bytes leave in each of so many milliseconds; the time after that. */
function run (drain: Drain, from: number, milliseconds: number, bytes: number): number {
  for (let now = from + 1; now <= from + milliseconds; now++) drain.left(bytes, 1, now)
  return from + milliseconds
}

t.test('is not known before something has left', async (t) => {
  const drain = new Drain()
  const now = run(drain, 0, 50, 0)
  t.equal(drain.rate, undefined)
  run(drain, now, 10, 500)
  t.equal(drain.rate, 500)
})

t.test('a receiver that takes nothing from the beginning has none at last', async (t) => {
  const drain = new Drain()
  run(drain, 0, 200, 0)
  t.equal(drain.rate, 0)
})

t.test('a moment of nothing is forgiven, a slower way is noticed', async (t) => {
  const drain = new Drain()
  let now = run(drain, 0, 300, 1000)
  now = run(drain, now, 90, 0)
  t.equal(drain.rate, 1000)
  run(drain, now, 250, 100)
  t.equal(drain.rate, 100)
})

t.test('a faster one is noticed at once, and single looks mean little', async (t) => {
  const drain = new Drain()
  const now = run(drain, 0, 300, 100)
  drain.left(50_000, 1, now + 1)
  t.equal(drain.rate, 100)
  for (let i = 2; i <= 10; i++) drain.left(0, 1, now + i)
  t.equal(drain.rate, 5000)
})

t.test('whoever looks too rarely knows nothing', async (t) => {
  const drain = new Drain()
  drain.left(5000, 50, 50)
  t.equal(drain.rate, 100)
  drain.left(0, 500, 550)
  t.equal(drain.rate, undefined)
})
