/** Patterns of `#include`. */
import { join } from 'node:path'
import fc from 'fast-check'
import t from 'tap'
import { filesOf } from '../../../../src/cli/natpass/original/glob.ts'

const FILES = { 'a.yaml': '', 'b.yaml': '', 'c.yml': '', '.d.yaml': '', '[x].yaml': '', 'é.yaml': '', more: { 'a.yaml': '', 'z.yaml': '' }, most: { 'a.yaml': '' } }

t.test('what patterns stand for', async (t) => {
  const folder = t.testdir(FILES)
  const cases: Array<[pattern: string, ...names: string[]]> = [
    ['a.yaml', 'a.yaml'],
    ['none.yaml'],
    ['*.yaml', '.d.yaml', '[x].yaml', 'a.yaml', 'b.yaml', 'é.yaml'],
    ['?.yaml', 'a.yaml', 'b.yaml', 'é.yaml'],
    ['[ab].yaml', 'a.yaml', 'b.yaml'],
    ['[a-b].y*l', 'a.yaml', 'b.yaml'],
    ['[^a].yaml', 'b.yaml', 'é.yaml'],
    ['[^\\a-a].yaml', 'b.yaml', 'é.yaml'],
    ['\\[x\\].yaml', '[x].yaml'],
    ['[\\]x].yaml'],
    ['mo*/a.yaml', 'more/a.yaml', 'most/a.yaml'],
    ['*/*.yaml', 'more/a.yaml', 'more/z.yaml', 'most/a.yaml'],
    ['more//*', 'more/a.yaml', 'more/z.yaml'],
    ['more/../*.yml', 'c.yml'],
    ['a.yaml/*'],
    ['**', '.d.yaml', '[x].yaml', 'a.yaml', 'b.yaml', 'c.yml', 'more', 'most', 'é.yaml'],
    ['*a*a*l*', 'a.yaml'],
    ['*a*a*.*l*']
  ]
  for (const [pattern, ...names] of cases) t.same(filesOf(folder, pattern, 100), names.map((name) => join(folder, name)), pattern)
  t.same(filesOf('/nowhere', join(folder, '[bc].y*'), 100), ['b.yaml', 'c.yml'].map((name) => join(folder, name)), 'an absolute one')
})

t.test('what is no pattern, and bounds', async (t) => {
  const folder = t.testdir(FILES)
  for (const pattern of ['[', '[]', '[^]', '[a', '[a-', '[a-]', '[-a]', '[]a]', '\\', '*\\', 'more/[']) t.equal(filesOf(folder, pattern, 100), undefined, pattern)
  t.equal(filesOf(folder, '*', 3)?.length, 4, 'one more than the limit, so that it is noticed')
})

t.test('against expressions, and in no time', async (t) => {
  const folder = t.testdir(Object.fromEntries(['', 'a', 'b', 'ab', 'ba', 'aab', 'abab', 'bbb'].map((name) => [`x${name}`, ''])))
  const names = filesOf(folder, 'x*', 100)?.map((path) => path.slice(folder.length + 1)) ?? []
  t.equal(names.length, 8)
  fc.assert(fc.property(fc.array(fc.constantFrom('a', 'b', '*', '?', '[a]', '[^a]', '[a-b]')), (parts) => {
    const pattern = `x${parts.join('')}`
    const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`)
    const expected = names.filter((name) => expression.test(name)).map((name) => join(folder, name))
    t.strictSame(filesOf(folder, pattern, 100), expected, pattern)
  }), { numRuns: 100 })
  const long = t.testdir({ ['a'.repeat(250)]: '' })
  t.same(filesOf(long, `${'*a'.repeat(120)}*b`, 100), [], 'a name that nearly fits')
})
