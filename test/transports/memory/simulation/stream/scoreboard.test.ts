import fc from 'fast-check'
import t from 'tap'
import { Scoreboard } from '../../../../../src/transports/memory/simulation/stream/scoreboard.ts'
import { SEED } from '../../../../helpers/bytes.ts'

type Step = { start: number, length: number } | { shift: number }

const steps = fc.array(fc.oneof(
  { weight: 4, arbitrary: fc.record({ start: fc.nat(60), length: fc.integer({ min: 1, max: 15 }) }) },
  { weight: 1, arbitrary: fc.record({ shift: fc.nat(20) }) }
), { maxLength: 40 })

t.test('property: as a set of offsets', async (t) => {
  fc.assert(fc.property(steps, (steps: Step[]) => {
    const scoreboard = new Scoreboard()
    let known = new Set<number>()
    for (const step of steps) {
      if ('shift' in step) {
        scoreboard.shift(step.shift)
        known = new Set([...known].map((offset) => offset - step.shift).filter((offset) => offset >= 0))
      } else {
        scoreboard.add(step.start, step.start + step.length)
        for (let i = 0; i < step.length; i++) known.add(step.start + i)
      }
      const below = (end: number): number => [...known].filter((offset) => offset < end).length
      if (scoreboard.total !== known.size) throw new Error(`${scoreboard.total} bytes of ${known.size}`)
      if (scoreboard.end !== Math.max(-1, ...known) + 1) throw new Error(`the end is ${scoreboard.end}`)
      for (const offset of [0, 1, 10, 30, 59, 80]) {
        if (scoreboard.before(offset) !== below(offset)) throw new Error(`${scoreboard.before(offset)} before ${offset}`)
        let start = offset
        while (known.has(start)) start++
        let end = start
        while (end < 100 && !known.has(end)) end++
        const gap = scoreboard.gapFrom(offset, 100)
        if (gap.start !== start || gap.end !== end) throw new Error(`from ${offset}: a gap of ${gap.start} to ${gap.end}`)
      }
      const lost = scoreboard.lostBefore(3)
      if (lost > 0 && (known.size - below(lost) < 9 || !known.has(lost) || known.has(lost - 1))) throw new Error(`lost before ${lost}`)
      if (lost === 0 && known.size >= 9 && !known.has(0)) throw new Error('something is lost')
    }
    scoreboard.clear()
    return scoreboard.total === 0 && scoreboard.end === 0
  }), { seed: SEED, numRuns: 500 })
  t.pass('always')
})

t.test('ranges are bounded', async (t) => {
  const scoreboard = new Scoreboard()
  for (let i = 0; i < 5000; i++) scoreboard.add(2 * i + 1, 2 * i + 2)
  t.equal(scoreboard.total, 1024)
})
