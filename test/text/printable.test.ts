import t from 'tap'
import { MAX_REASON, printable, reasonOf } from '../../src/text/printable.ts'

t.test('every control that a terminal obeys is escaped, and text of any language stays', async (t) => {
  const controls = [...Array.from({ length: 0x20 }, (_, i) => i), ...Array.from({ length: 0x21 }, (_, i) => 0x7f + i)]
  for (const code of controls) t.equal(printable(`a${String.fromCharCode(code)}b`), `a\\x${code.toString(16).padStart(2, '0')}b`)
  for (const code of [0x61c, 0x200e, 0x200f, 0x202a, 0x202e, 0x2066, 0x2069, 0x2028, 0x2029, 0xd800, 0xdfff]) {
    t.equal(printable(`a${String.fromCharCode(code)}b`), `a\\u${code.toString(16).padStart(4, '0')}b`)
  }
  for (const text of ['wrong password', 'mot de passe erroné', '密码错误', 'خطأ', '\u{1f511}', '']) t.equal(printable(text), text)
})

t.test('long text is cut at a character, whatever its bytes are', async (t) => {
  t.equal(printable('x'.repeat(MAX_REASON)), 'x'.repeat(MAX_REASON))
  t.equal(printable('x'.repeat(65_536)), `${'x'.repeat(MAX_REASON)}...`)
  t.equal(printable('密'.repeat(65_536)), `${'密'.repeat(MAX_REASON / 3)}...`)
  t.equal(printable('\x9b'.repeat(65_536)), `${'\\x9b'.repeat(Math.floor(MAX_REASON / 4))}...`)
  t.equal(printable('\u{1f511}'.repeat(3), 9), '\u{1f511}\u{1f511}...')
})

t.test('an error that stands for several tells of each', async (t) => {
  t.equal(reasonOf(new AggregateError([new Error('one\x1b[2J'), new Error('two')])), 'one\\x1b[2J; two')
  t.match(reasonOf(new Error('x'.repeat(10_000))), /^x{300}\.\.\.$/)
})
