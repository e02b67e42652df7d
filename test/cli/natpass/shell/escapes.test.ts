/** What is typed for the program itself. */
import fc from 'fast-check'
import t from 'tap'
import { SEED } from '../../../helpers/bytes.ts'
import { EscapeFilter, type Typed } from '../../../../src/cli/natpass/shell/escapes.ts'

/** What comes of a text that is typed in pieces. */
function typed (...pieces: string[]): { text: string, helps: number, hasLeft: boolean } {
  const filter = new EscapeFilter()
  const all: Typed[] = []
  for (const piece of pieces) if (all.at(-1)?.hasLeft !== true) all.push(filter.push(Buffer.from(piece)))
  return { text: Buffer.concat(all.map(({ bytes }) => bytes)).toString(), helps: all.filter(({ wantsHelp }) => wantsHelp).length, hasLeft: all.some(({ hasLeft }) => hasLeft) }
}

t.test('examples', async (t) => {
  t.same(typed('~.'), { text: '', helps: 0, hasLeft: true }, 'at the beginning')
  t.same(typed('ls\r~', '.rm\r'), { text: 'ls\r', helps: 0, hasLeft: true }, 'in two pieces; what follows is dropped')
  t.same(typed('ls\n~.'), { text: 'ls\n', helps: 0, hasLeft: true })
  t.same(typed('a~.\r'), { text: 'a~.\r', helps: 0, hasLeft: false }, 'not within a line')
  t.same(typed('~?~.'), { text: '', helps: 1, hasLeft: true }, 'the line has not begun')
  t.same(typed('~~.'), { text: '~.', helps: 0, hasLeft: false })
  t.same(typed('~/bin/x\r'), { text: '~/bin/x\r', helps: 0, hasLeft: false }, 'no escape')
  t.same(typed('~\r~.'), { text: '~\r', helps: 0, hasLeft: true }, 'the end of a line is none, and begins one')
})

t.test('however it is cut', async (t) => {
  const key = fc.constantFrom('~', '.', '?', '\r', '\n', 'a')
  fc.assert(fc.property(fc.array(fc.string({ unit: key, maxLength: 6 }), { maxLength: 8 }), (pieces) => {
    const [cut, whole] = [typed(...pieces), typed(pieces.join(''))]
    t.equal(cut.text, whole.text)
    t.equal(cut.hasLeft, whole.hasLeft)
  }), { seed: SEED })
})

t.test('what has no tilde at the beginning of a line is passed on', async (t) => {
  fc.assert(fc.property(fc.uint8Array(), (bytes) => {
    const text = Buffer.from(bytes)
    const hasEscape = /(^|[\r\n])~/.test(text.toString('latin1'))
    if (!hasEscape) t.ok(text.equals(new EscapeFilter().push(bytes).bytes))
  }), { seed: SEED })
})
