/** Numbers of forms, as the original reads them. */
import t from 'tap'
import { readNumber } from '../../../../../src/nodes/natpass/peer/page/form.ts'

t.test('numbers', async (t) => {
  for (const [text, number] of [['24', 24], ['0', 0], ['0x18', 24], ['0X18', 24], ['030', 24], ['4294967295', 4_294_967_295]] as const) t.equal(readNumber(text), number, text)
  for (const text of [null, '', '-1', '1.5', '1e3', 'x', '0x', '089', ' 1', '1 ', '9'.repeat(16), '0x123456789', '१']) t.equal(readNumber(text), 0, String(text))
})
