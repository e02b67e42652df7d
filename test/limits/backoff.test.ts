import fc from 'fast-check'
import t from 'tap'
import { Backoff } from '../../src/limits/backoff.ts'
import { OptionError } from '../../src/errors.ts'
import { ManualClock } from '../helpers/clock.ts'

t.test('back-off doubles up to its bound, half of it at random, and begins anew after a connection that lasted', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 5000 }), fc.integer({ min: 1, max: 2 ** 31 - 1 }), fc.integer({ min: 1, max: 100 }), (first, longest, attempts) => {
    const clock = new ManualClock()
    const backoff = new Backoff({ first, longest, steady: 1000, clock })
    for (let lives = 0; lives < 2; lives++) {
      for (let i = 0; i < attempts; i++) {
        const full = Math.min(longest, first * 2 ** i)
        const wait = backoff.next()
        if (!(wait >= full / 2 && wait <= full)) return false
        clock.advance(5000)
        if (i % 2 === 0) backoff.online()
        clock.advance(999) // it was online, but not for long enough
      }
      backoff.online()
      clock.advance(1000)
    }
    return true
  }))
  const waits = new Set(Array.from({ length: 100 }, () => new Backoff().next()))
  t.ok(waits.size > 90 && Math.min(...waits) >= 250 && Math.max(...waits) <= 500)
  for (const bad of [{ first: 0 }, { first: -1 }, { first: NaN }, { longest: Infinity }, { longest: 2 ** 31 }, { steady: -1 }, { steady: NaN }]) t.throws(() => new Backoff(bad), OptionError)
})

t.test('the random half of a delay may come from elsewhere', async (t) => {
  const numbers = [0, 0.5, 0.75]
  const backoff = new Backoff({ first: 100, clock: new ManualClock(), random: () => numbers.shift() ?? 0 })
  t.same([backoff.next(), backoff.next(), backoff.next(), backoff.next()], [50, 150, 350, 400])
})

t.test('a connection counts as lasting after 10 seconds', async (t) => {
  for (const [online, attempts] of [[9999, 1], [10_000, 0]]) {
    const clock = new ManualClock()
    const backoff = new Backoff({ first: 8, clock })
    backoff.next()
    clock.advance(500)
    backoff.online()
    clock.advance(online)
    const wait = backoff.next()
    t.ok(wait >= 4 * 2 ** attempts && wait <= 8 * 2 ** attempts)
  }
})
