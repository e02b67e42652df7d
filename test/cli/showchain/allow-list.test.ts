/** Who may connect: ids, files of them, everybody. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { AllowItem } from '../../../src/cli/allow-list.ts'
import { allowedIds } from '../../../src/cli/showchain/allow-list.ts'
import { idText } from '../../../src/nodes/showchain/protocol/public-key.ts'
import { complaint } from '../../helpers/cli/complaint.ts'

const [A, B] = ['0123456789abcdef', 'fedcba9876543210'].map((part) => part.repeat(4))

const items = (...texts: string[]): Array<AllowItem<Uint8Array>> => texts.map((text) => allowedIds.readItem(text) as AllowItem<Uint8Array>)
const shown = (allowed: 'any' | Uint8Array[]): string[] | string => allowed === 'any' ? allowed : allowed.map(idText)

t.test('items', async (t) => {
  t.equal(allowedIds.readItem('any'), 'any')
  t.match(allowedIds.readItem('@ids.txt'), { file: 'ids.txt' })
  t.same(shown(allowedIds.allowed(items(A, B.toUpperCase()), '--allow')), [A, B], 'upper case is taken')
  for (const wrong of ['', '@', 'Any', 'everybody', A.slice(1), `${A}0`, A.replace('0', 'g'), ` ${A}`, '@a\0b']) t.equal(allowedIds.readItem(wrong), undefined, JSON.stringify(wrong))
})

t.test('files: one id a line, comments, empty lines, ends of lines of both kinds', async (t) => {
  const file = join(t.testdir({ ids: `# friends\n${A} # the laptop\r\n\n   ${B}  \n` }), 'ids')
  t.same(shown(allowedIds.allowed(items(`@${file}`), '--allow')), [A, B])
  t.same(shown(allowedIds.allowed(items(`@${file}`, A), '--allow')), [A, B, A])
  t.equal(shown(allowedIds.allowed(items(`@${file}`, 'any'), '--allow')), 'any')
})

t.test('files that are of no use', async (t) => {
  const folder = t.testdir({ empty: '# nobody yet\n\n', wrong: `${A}\nlaptop\n`, two: `${A} ${B}\n`, binary: Buffer.from([0xff, 0x00, 0xfe]) })
  const said = (name: string): string => complaint(t, () => allowedIds.allowed(items(`@${join(folder, name)}`), '--allow')).replaceAll(`${folder}/`, '')
  t.equal(said('empty'), '--allow: nobody may connect, as there is no id in "empty", expected one at least, or any')
  t.equal(said('wrong'), '--allow: wrong:2: not an id ("laptop"), expected 64 hexadecimal digits')
  t.match(said('two'), /^--allow: two:1: not an id \("0123/)
  t.match(said('missing'), /^--allow: cannot be read \("missing"\): no such file or directory/)
  t.match(said('binary'), /^--allow: not text /)
  writeFileSync(join(folder, 'large'), `${A}\n`.repeat(17_000))
  t.match(said('large'), /^--allow: too large \("large"\), expected at most 1024 KiB/)
})
