import t from 'tap'
import { throttle } from '../../src/limits/throttle.ts'
import { ManualClock } from '../helpers/clock.ts'

t.test('the first is told at once, what follows once in each interval: the last one, and how many', async (t) => {
  const clock = new ManualClock()
  const told: Array<[number, string, number]> = []
  const tell = throttle<string>((last, count) => { told.push([clock.now(), last, count]) }, { clock })
  tell('a')
  t.same(told, [[0, 'a', 1]])
  for (let at = 0; at < 2500; at += 100) {
    tell(`at ${at}`)
    clock.advance(100)
  }
  t.same(told.slice(1), [[1000, 'at 900', 10], [2000, 'at 1900', 10]])
  t.same(clock.holding, [], 'its timer keeps no process alive')
  clock.advance(10_000)
  t.same(told.slice(3), [[3000, 'at 2400', 5]])
  t.same(clock.waiting, [], 'no timer while there is nothing to tell')
  tell('b')
  t.same(told.at(-1), [12_500, 'b', 1], 'at once after a pause')
})

t.test('the interval is an option', async (t) => {
  const clock = new ManualClock()
  const told: number[] = []
  const tell = throttle<undefined>((_last, count) => { told.push(count) }, { interval: 10_000, clock })
  tell(undefined)
  tell(undefined)
  clock.advance(9999)
  t.same(told, [1])
  clock.advance(1)
  t.same(told, [1, 1])
})
