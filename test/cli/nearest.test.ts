import t from 'tap'
import { editDistance, nearest } from '../../src/cli/nearest.ts'

t.test('editDistance', async (t) => {
  const distances: Array<[a: string, b: string, distance: number]> = [
    ['', '', 0], ['a', '', 1], ['', 'ab', 2], ['dhcp', 'dhcp', 0], ['dchp', 'dhcp', 1], ['dhp', 'dhcp', 1],
    ['dhccp', 'dhcp', 1], ['dhcq', 'dhcp', 1], ['listen', 'silent', 4], ['ca', 'abc', 3]
  ]
  for (const [a, b, distance] of distances) {
    t.equal(editDistance(a, b), distance, `${a} ${b}`)
    t.equal(editDistance(b, a), distance, `${b} ${a}`)
  }
})

t.test('nearest', async (t) => {
  const known = ['listen', 'password', 'password-file', 'dhcp', 'metrics']
  t.equal(nearest('lsten', known), 'listen')
  t.equal(nearest('Dhcp', known), 'dhcp', 'whatever the case')
  t.equal(nearest('pass', known), 'password', 'a beginning')
  t.equal(nearest('x', known), undefined)
  t.equal(nearest('colour', known), undefined)
  t.equal(nearest('l'.repeat(100_000), known), undefined, 'without a table for it')
  t.equal(nearest('listen', []), undefined)
})
