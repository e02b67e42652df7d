import t from 'tap'
import { table } from '../../../src/cli/control/text.ts'
import { clientOf } from '../../../src/nodes/candy/relay/session.ts'
import { columnsOf, shown } from '../../../src/text/shown.ts'

t.test('names in any script, and columns that stay in line', async (t) => {
  t.equal(table([['CLIENT', 'UP'], ['東京', '1 s'], ['laptop', '2 s'], ['ﾃｽﾄ', '3 s'], ['e\u0301te\u0301', '4 s'], ['서울서버', '5 s']]), [
    'CLIENT    UP',
    '東京      1 s',
    'laptop    2 s',
    'ﾃｽﾄ       3 s',
    'e\u0301te\u0301       4 s',
    '서울서버  5 s'
  ].join('\n'))
  t.same(['a', '東', '！', 'é', 'ｱ', '🙂', '𠮷', '', '東京a'].map(columnsOf), [1, 2, 2, 1, 1, 2, 2, 0, 5])
})

t.test('controls, C1 as well, turned directions and characters that nobody sees are escaped', async (t) => {
  t.equal(shown('a\u001b[31m\u009b31m\u007f'), 'a\\x1b[31m\\x9b31m\\x7f')
  t.equal(shown('a\u202egpj\u2066\u061c'), 'a\\u202egpj\\u2066\\u061c')
  t.equal(shown('a\u200bb\ufeff\u{e0041}\u00ad'), 'a\\u{200b}b\\u{feff}\\u{e0041}\\u{ad}')
  t.equal(table([['A', 'B'], ['\u001b[2J', 'x']]), 'A        B\n\\x1b[2J  x')
})

t.test('a client is known by the name that it gives itself', async (t) => {
  t.equal(clientOf(Buffer.from('candy::linux::6.1.8::東京の家')), 'linux::6.1.8::東京の家')
  t.equal(clientOf(Buffer.from('candy::linux::6.1.8::a\u001b]0;x\u0007')), 'linux::6.1.8::a\\x1b]0;x\\x07')
})
