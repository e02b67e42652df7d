import t from 'tap'
import { reason } from '../../src/cli/reason.ts'

t.test('the text of the system for its errors, in one line for others', async (t) => {
  t.equal(reason(Object.assign(new Error("ENOENT: no such file or directory, open 'x'"), { errno: -2, code: 'ENOENT', syscall: 'open', path: 'x' })), 'no such file or directory')
  t.equal(reason(new Error('bad\n  thing')), 'bad thing')
  t.equal(reason('text'), 'text')
})
