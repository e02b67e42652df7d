/** `#include`: what takes its place, and its bounds. */
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { withIncludes } from '../../../../src/cli/natpass/original/includes.ts'
import { placeText } from '../../../../src/cli/config/yaml-document.ts'
import { complaint } from '../../../helpers/cli/complaint.ts'

/** Each line with the file and line that it comes from. */
function included (folder: string, text: string): string[] {
  const { text: all, placeAt } = withIncludes(join(folder, 'client.yaml'), text)
  return all.split('\n').map((line, i) => `${placeText(placeAt(i + 1)).slice(folder.length + 1)} ${line}`)
}

const refused = (t: Test, folder: string, text: string): string => complaint(t, () => withIncludes(join(folder, 'client.yaml'), text)).replaceAll(`${folder}/`, '')

t.test('lines of files, with the indentation of the directive', async (t) => {
  const folder = t.testdir({ 'common.yaml': 'secret: x\nlink:\n  read_timeout: 1s\n', 'rules.d': { 'b.yaml': '- name: b\n  env:\n    #include ../env/list\n', 'a.yaml': '- name: a', c: '- name: c' }, env: { list: '- A=b\r\n\n- C=d\n' } })
  t.same(included(folder, '#include common.yaml\nid: y\n'), ['common.yaml:1 secret: x', 'common.yaml:2 link:', 'common.yaml:3   read_timeout: 1s', 'client.yaml:2 id: y'])
  t.same(included(folder, 'id: y\nrules:\n  #include rules.d/*.yaml\nserver: z'), [
    'client.yaml:1 id: y', 'client.yaml:2 rules:', 'rules.d/a.yaml:1   - name: a', 'rules.d/b.yaml:1   - name: b', 'rules.d/b.yaml:2     env:',
    'env/list:1       - A=b\r', 'env/list:2       ', 'env/list:3       - C=d', 'client.yaml:4 server: z'
  ])
  t.same(included(folder, '\t #include   common.yaml \r\n'), ['common.yaml:1 \t secret: x', 'common.yaml:2 \t link:', 'common.yaml:3 \t   read_timeout: 1s'])
  t.same(included(folder, `#include ${folder}/rules.d/a.yaml\n#include${folder}/rules.d/c`), ['rules.d/a.yaml:1 - name: a', 'rules.d/c:1 - name: c'], 'absolute paths, and none between')
  t.same(included(folder, 'a: 1 #include common.yaml\n# #include common.yaml\n'), ['client.yaml:1 a: 1 #include common.yaml', 'client.yaml:2 # #include common.yaml'], 'a line that begins otherwise is none')
})

t.test('what does not exist is nothing, and one file may come twice', async (t) => {
  const folder = t.testdir({ x: 'a: 1\n', '*': 'star: 1\n' })
  t.same(included(folder, '#include none.yaml\n#include none.d/*.yaml\nid: y'), ['client.yaml:3 id: y'])
  t.same(withIncludes(join(folder, 'client.yaml'), 'id: y\n#include none.yaml\n#include x').nothing.map(placeText), [`${folder}/client.yaml:2`])
  t.same(included(folder, '#include x\n#include x'), ['x:1 a: 1', 'x:1 a: 1'])
  t.same(included(folder, '#include *'), ['*:1 star: 1'], 'a file that has the name of a pattern')
  t.same(withIncludes('client.yaml', '').text, '')
  t.same(withIncludes('client.yaml', '').placeAt(1), { file: 'client.yaml', line: 1 })
})

t.test('circles', async (t) => {
  const folder = t.testdir({ 'client.yaml': '', a: 'x: 1\n#include b\n', b: '#include a\n', own: '\n#include own', 'd.d': { one: '#include ../star' }, star: '#include d.d/*' })
  symlinkSync(join(folder, 'a'), join(folder, 'link'))
  writeFileSync(join(folder, 'by-link'), '#include link\n')
  t.equal(refused(t, folder, '#include client.yaml'), 'client.yaml:1: #include: "client.yaml" includes itself, expected no circle')
  t.equal(refused(t, folder, '#include a'), 'b:1: #include: "a" includes itself, expected no circle')
  t.equal(refused(t, folder, '#include own'), 'own:2: #include: "own" includes itself, expected no circle')
  t.equal(refused(t, folder, '#include link'), 'b:1: #include: "a" includes itself, expected no circle', 'by another name')
  t.equal(refused(t, folder, '#include star'), 'd.d/one:1: #include: "star" includes itself, expected no circle')
})

t.test('depth, number and size', async (t) => {
  const chain = (length: number): Record<string, string> => Object.fromEntries(Array.from({ length }, (_, i) => [`f${i}`, i === length - 1 ? 'end: 1' : `#include f${i + 1}`]))
  const folder = t.testdir({ ...chain(15), deep: chain(16), many: Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`e${i}`, ''])), big: 'x'.repeat(65_535), bigger: 'x'.repeat(65_537), half: 'y\n'.repeat(10_000) })
  t.same(included(folder, '#include f0'), ['f14:1 end: 1'])
  t.equal(refused(t, folder, '#include deep/f0'), 'deep/f14:1: #include: too deep, expected at most 16 files within each other')
  t.equal(refused(t, folder, '#include many/*'), 'client.yaml:1: #include: too many files, expected at most 256')
  t.equal(refused(t, folder, '#include none\n'.repeat(300)), 'client.yaml:257: #include: too many files, expected at most 256')
  t.equal(included(folder, '#include big').length, 1)
  t.equal(refused(t, folder, '#include bigger'), 'client.yaml:1: #include: too large ("bigger"), expected at most 64 KiB')
  t.equal(refused(t, folder, 'id: y\n#include big'), 'big:1: too much, expected at most 64 KiB in all files together')
  t.equal(refused(t, folder, '      #include half'), 'half:8193: too much, expected at most 64 KiB in all files together', 'indentation counts')
})

t.test('what cannot be followed', async (t) => {
  const folder = t.testdir({ folder: {}, latin: Buffer.from('a: \xe9', 'latin1') })
  t.equal(refused(t, folder, 'id: y\n  #include\n'), 'client.yaml:2: #include: names no file, expected a path or a pattern such as conf.d/*.yaml')
  t.equal(refused(t, folder, '#include [x'), 'client.yaml:1: #include: not a pattern ("[x"), expected one such as conf.d/*.yaml')
  t.equal(refused(t, folder, '#include a\0b'), 'client.yaml:1: #include: not a path ("a\\u0000b"), expected a path or a pattern such as conf.d/*.yaml')
  t.match(refused(t, folder, `#include ${'x'.repeat(5000)}`), /^client\.yaml:1: #include: not a path \("x+\.\.\."\), expected a path/)
  t.match(refused(t, folder, '#include folder'), /^client\.yaml:1: #include: cannot be read \("folder"\): illegal operation on a directory$/)
  t.equal(refused(t, folder, '#include latin'), 'client.yaml:1: #include: not text ("latin"), expected UTF-8')
  mkdirSync(join(folder, 'folder/inside'))
  t.match(refused(t, folder, '#include folder/*'), /^client\.yaml:1: #include: cannot be read \("folder\/inside"\)/)
})
