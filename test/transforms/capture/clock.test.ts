import t from 'tap'
import { systemClock } from '../../../src/streams/clock.ts'
import { wallClock } from '../../../src/transforms/capture/clock.ts'
import { ManualClock } from '../../helpers/clock.ts'

t.test('counts on between the steps of the system, and follows it when it is set', async (t) => {
  const clock = new ManualClock({ now: 50.25, date: 1_000_000 })
  const now = wallClock(clock)
  const after = (ms: number, set = 0): number => {
    clock.advance(ms)
    if (set !== 0) clock.setDate(clock.date() + set)
    return now()
  }
  t.equal(now(), 1_000_000)
  t.equal(after(0.125), 1_000_000.125)
  t.equal(after(0.5), 1_000_000.625)
  t.equal(after(3_600_000), 4_600_000.625, 'however long that takes')
  t.equal(after(1, 60_000), 4_660_001, 'set forward')
  t.equal(after(0.25), 4_660_001.25)
  t.equal(after(1, -120_000), 4_540_002, 'set back')
  t.equal(after(0.25), 4_540_002.25)
})

t.test('is the time of the system', async (t) => {
  const now = wallClock(systemClock)
  const [before, time, after] = [Date.now(), now(), Date.now()]
  t.ok(time > before - 3 && time < after + 3, `${time} of ${before} to ${after}`)
})
