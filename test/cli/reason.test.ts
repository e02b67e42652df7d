import t from 'tap'
import { reason } from '../../src/cli/reason.ts'

t.test('a reason says nothing of a local end that does not exist', async (t) => {
  const message = 'connect ENETUNREACH 2001:db8::1:443 - Local (undefined:undefined)'
  t.equal(reason(Object.assign(new Error(message), { code: 'ENETUNREACH' })), 'connect ENETUNREACH 2001:db8::1:443')
  t.equal(reason(new AggregateError([], `${message}; ${message.replace(/-.*/, '- Local (:::0)')}`)), 'connect ENETUNREACH 2001:db8::1:443; connect ENETUNREACH 2001:db8::1:443')
})
