import fc from 'fast-check'
import t from 'tap'
import { turn } from '../helpers/ends.ts'
import { Slots } from '../../src/limits/slots.ts'

t.test('so many at once, the others in the order in which they came', async (t) => {
  const slots = new Slots(2)
  const got: number[] = []
  const all = [0, 1, 2, 3, 4].map(async (i) => {
    await slots.take()
    got.push(i)
  })
  await turn()
  t.same(got, [0, 1])
  slots.give()
  await turn()
  t.same(got, [0, 1, 2])
  slots.give()
  slots.give()
  await Promise.all(all)
  t.same(got, [0, 1, 2, 3, 4])
})

t.test('a slot that is given back goes to whoever waits, not to whoever comes', async (t) => {
  const slots = new Slots(1)
  await slots.take()
  const got: string[] = []
  const waiting = slots.take().then(() => { got.push('waited') })
  slots.give()
  const coming = slots.take().then(() => { got.push('came later') })
  await waiting
  await turn()
  t.same(got, ['waited'])
  slots.give()
  await coming
  slots.give()
  await slots.take()
  t.pass('and it is there again')
})

t.test('property: never more than there are, in order, and none is lost', async (t) => {
  const tasks = fc.array(fc.nat(5), { minLength: 1, maxLength: 40 })
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 5 }), tasks, async (count, tasks) => {
    const slots = new Slots(count)
    const order: number[] = []
    let inside = 0
    let most = 0
    await Promise.all(tasks.map(async (turns, i) => {
      await slots.take()
      order.push(i)
      most = Math.max(most, ++inside)
      for (let left = turns; left > 0; left--) await Promise.resolve()
      inside--
      slots.give()
    }))
    for (let i = 0; i < count; i++) await slots.take() // all of them are free again
    return most <= count && order.every((which, i) => which === i)
  }))
})
