import t from 'tap'
import { interfaceOf } from '../../../src/cli/candy/interface-name.ts'

t.test('names that fit stay as they are', async (t) => {
  t.same([undefined, 'a', 'office', 'nine-char'].map(interfaceOf), ['candy', 'candy-a', 'candy-office', 'candy-nine-char'])
})

t.test('names that are too long and begin alike stay distinct, and the same at each start', async (t) => {
  const names = [interfaceOf('office-berlin'), interfaceOf('office-bern')]
  t.same(names, ['candy-off-0xhwg', 'candy-off-mabev'])
  for (const name of names) t.match(name, /^candy-off-[0-9a-z]{5}$/)
  const many = new Set(Array.from({ length: 1000 }, (_, i) => interfaceOf(`office-number-${i}`)))
  t.equal(many.size, 1000)
  t.ok([...many].every(({ length }) => length === 15), 'IFNAMSIZ')
})
