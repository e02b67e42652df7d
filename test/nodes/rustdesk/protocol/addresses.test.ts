import t from 'tap'
import { endpointKey } from '../../../../src/nodes/rustdesk/protocol/addresses.ts'

t.test('one client has one key, by whatever socket it came', async (t) => {
  t.equal(endpointKey({ host: '192.0.2.1', port: 443 }), '192.0.2.1:443')
  t.equal(endpointKey({ host: '::ffff:192.0.2.1', port: 443 }), '192.0.2.1:443')
  t.equal(endpointKey({ host: '2001:DB8:0::1', port: 0 }), '[2001:db8::1]:0')
  t.equal(endpointKey({ host: '::1', port: 1 }), '[::1]:1')
})
