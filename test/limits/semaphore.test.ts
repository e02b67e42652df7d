import fc from 'fast-check'
import t from 'tap'
import { turn } from '../helpers/ends.ts'
import { Semaphore } from '../../src/limits/semaphore.ts'

t.test('so many at once, the others in the order in which they came', async (t) => {
  const semaphore = new Semaphore(2)
  const got: number[] = []
  const all = [0, 1, 2, 3, 4].map(async (i) => {
    await semaphore.acquire()
    got.push(i)
  })
  await turn()
  t.same(got, [0, 1])
  semaphore.release()
  await turn()
  t.same(got, [0, 1, 2])
  semaphore.release()
  semaphore.release()
  await Promise.all(all)
  t.same(got, [0, 1, 2, 3, 4])
})

t.test('a slot that is given back goes to whoever waits, not to whoever comes', async (t) => {
  const semaphore = new Semaphore(1)
  await semaphore.acquire()
  const got: string[] = []
  const waiting = semaphore.acquire().then(() => { got.push('waited') })
  semaphore.release()
  const coming = semaphore.acquire().then(() => { got.push('came later') })
  await waiting
  await turn()
  t.same(got, ['waited'])
  semaphore.release()
  await coming
  semaphore.release()
  await semaphore.acquire()
  t.pass('and it is there again')
})

t.test('property: never more than there are, in order, and none is lost', async (t) => {
  const tasks = fc.array(fc.nat(5), { minLength: 1, maxLength: 40 })
  await fc.assert(fc.asyncProperty(fc.integer({ min: 1, max: 5 }), tasks, async (count, tasks) => {
    const semaphore = new Semaphore(count)
    const order: number[] = []
    let inside = 0
    let most = 0
    await Promise.all(tasks.map(async (turns, i) => {
      await semaphore.acquire()
      order.push(i)
      most = Math.max(most, ++inside)
      for (let left = turns; left > 0; left--) await Promise.resolve()
      inside--
      semaphore.release()
    }))
    for (let i = 0; i < count; i++) await semaphore.acquire() // all of them are free again
    return most <= count && order.every((which, i) => which === i)
  }))
})
