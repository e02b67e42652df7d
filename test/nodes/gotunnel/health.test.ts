import fc from 'fast-check'
import t from 'tap'
import { Health } from '../../../src/nodes/gotunnel/peer/health.ts'

/** Looks in a row that it takes. */
const FALL = 3
const RISE = 2

t.test('up at first, down after three failures in a row, up again after two successes', async (t) => {
  const health = new Health()
  t.ok(health.isUp)
  t.same([true, false, false, true, false, false].map((is) => health.see(is)), Array(6).fill(false), 'two are no reason')
  t.ok(health.isUp)
  t.ok(health.see(false), 'the third is, and that is told once')
  t.notOk(health.isUp)
  t.same([false, true, false, true].map((is) => health.see(is)), Array(4).fill(false))
  t.notOk(health.isUp)
  t.ok(health.see(true))
  t.ok(health.isUp)
  t.same([false, false].map((is) => health.see(is)), [false, false], 'it counts from zero again')
  t.ok(health.isUp)
})

t.test('when to look again', async (t) => {
  const health = new Health()
  const at = (...intervals: number[]): number[] => intervals.map((interval) => health.next(interval))
  t.same(at(500, 1000, 30_000), [500, 1000, 30_000], 'up')
  health.see(false)
  t.same(at(500, 1000, 30_000), [500, 1000, 1000], 'in doubt: soon')
  health.see(true)
  t.same(at(30_000), [30_000])
  for (let i = 0; i < FALL; i++) health.see(false)
  t.same(at(500, 5000, 30_000), [500, 5000, 5000], 'down: now and then')
  health.see(true)
  t.same(at(500, 5000, 30_000), [500, 1000, 1000], 'in doubt')
  health.see(true)
  t.same(at(30_000), [30_000])
})

t.test('property: it changes after so many looks in a row, and never otherwise', async (t) => {
  fc.assert(fc.property(fc.array(fc.boolean(), { maxLength: 100 }), (looks) => {
    const health = new Health()
    let isUp = true
    let since = 0 // looks before it are of no interest any more
    for (const [i, is] of looks.entries()) {
      const needed = isUp ? FALL : RISE
      const recent = looks.slice(Math.max(since, i + 1 - needed), i + 1)
      const changes = recent.length === needed && recent.every((one) => one !== isUp)
      if (changes) {
        isUp = !isUp
        since = i + 1
      }
      if (health.see(is) !== changes || health.isUp !== isUp) return false
      if (is !== isUp && health.next(30_000) !== 1000) return false
    }
    return true
  }), { numRuns: 1000 })
})
