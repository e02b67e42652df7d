import { constants } from 'node:os'
import t from 'tap'
import { errnoOf, errnoText } from '../../../src/net/native/errno.ts'
import { reason } from '../../../src/cli/reason.ts'
import { systemError } from '../../../src/tun/ifreq.ts'

t.test('an errno has its name and text, also one that Node does not know', { skip: process.platform !== 'linux' }, async (t) => {
  t.equal(errnoText(constants.errno.ENOENT), 'ENOENT: no such file or directory')
  t.equal(errnoText(77), 'EBADFD: file descriptor in bad state')
  t.same(errnoOf(9999), ['EUNKNOWN', 'error 9999'])
  t.equal(systemError('read', 'candy', 77).message, 'read candy: EBADFD: file descriptor in bad state')
  t.equal(reason(Object.assign(new Error('Unknown system error -77: read'), { errno: -77 })), 'file descriptor in bad state')
  t.equal(reason(Object.assign(new Error('odd'), { errno: -9999 })), 'odd')
  for (let errno = 1; errno <= 133; errno++) t.notMatch(errnoText(errno), /Unknown system error/)
})
