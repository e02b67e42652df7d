import t from 'tap'
import { KeyedHistory } from '../../src/limits/keyed-history.ts'

t.test('the last steps of each, and those with the latest', async (t) => {
  const history = new KeyedHistory<number>({ maxSteps: 2, maxKeys: 2 })
  for (const step of [1, 2, 3]) history.add('a', step)
  t.same(history.of('a'), [2, 3])
  history.add('b', 4)
  history.add('a', 5)
  history.add('c', 6)
  t.same([history.of('a'), history.of('b'), history.of('c')], [[3, 5], [], [6]], 'nothing has happened to b for longest')
  t.equal(history.size, 2)
})
