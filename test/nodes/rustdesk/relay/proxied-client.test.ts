import t from 'tap'
import { proxiedClient } from '../../../../src/nodes/rustdesk/relay/proxied-client.ts'

t.test('the client that a trusted proxy names, in one header or in two', async (t) => {
  const clientOf = proxiedClient(['127.0.0.1', '198.51.100.0/24'])
  const cases: Array<[string | undefined, string | undefined, string | undefined]> = [
    // X-Forwarded-For, X-Real-IP, the client
    [undefined, undefined, undefined],
    ['192.0.2.7', undefined, '192.0.2.7'],
    [undefined, '192.0.2.7', '192.0.2.7'],
    ['192.0.2.7', '192.0.2.7', '192.0.2.7'],
    ['203.0.113.1, 192.0.2.7', '192.0.2.7', '192.0.2.7'],
    ['192.0.2.7, 198.51.100.3', undefined, '192.0.2.7'],
    ['192.0.2.7, 198.51.100.3', '198.51.100.3', '192.0.2.7'],
    ['[2001:db8::1]:5', '2001:DB8::1', '2001:db8::1'],
    ['::ffff:192.0.2.7', '192.0.2.7', '192.0.2.7'],
    ['192.0.2.7', '203.0.113.1', undefined], // one of them is of the client itself
    ['garbage', '192.0.2.7', undefined],
    ['192.0.2.7', 'garbage', '192.0.2.7'],
    [undefined, '192.0.2.7, 192.0.2.8', undefined],
    [undefined, 'fe80::1%eth0', undefined],
    [undefined, '198.51.100.3', undefined]
  ]
  for (const [forwarded, real, client] of cases) {
    const headers = { ...(forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }), ...(real === undefined ? {} : { 'x-real-ip': real }) }
    t.equal(clientOf(headers), client, JSON.stringify(headers))
  }
})
