import { createHmac } from 'node:crypto'
import t from 'tap'
import { Cookies } from '../../../../src/nodes/showchain/protocol/cookies.ts'
import { toHex } from '../../../helpers/bytes.ts'

const AT = { host: '192.0.2.1', port: 4242 }

t.test('made of address, port and period', async (t) => {
  const secret = Buffer.alloc(32, 1)
  const expected = createHmac('sha256', secret).update(Buffer.from('c0000201109200000000' + '00000003', 'hex')).digest('hex').slice(0, 32)
  t.equal(toHex(new Cookies(secret).make(AT, 3 * 120_000)), expected)
  t.equal(toHex(new Cookies(secret).make({ ...AT, host: '::ffff:192.0.2.1' }, 3 * 120_000 + 119_999)), expected)
})

t.test('valid for its endpoint, in its period and the next one', async (t) => {
  const cookies = new Cookies()
  for (const at of [AT, { host: '2001:db8::1', port: 1 }]) {
    const cookie = cookies.make(at, 1000)
    t.ok(cookies.check(cookie, at, 1000))
    t.ok(cookies.check(cookie, at, 239_999))
    t.notOk(cookies.check(cookie, at, 240_000))
    t.notOk(cookies.check(cookie, { ...at, port: at.port + 1 }, 1000))
    t.notOk(cookies.check(cookie, { ...at, host: '192.0.2.2' }, 1000))
    for (let bit = 0; bit < 128; bit++) {
      const other = Uint8Array.from(cookie)
      other[bit >>> 3] ^= 1 << (bit & 7)
      t.notOk(cookies.check(other, at, 1000))
    }
    t.notOk(new Cookies().check(cookie, at, 1000), 'of another process')
    t.notOk(cookies.check(undefined, at, 1000))
    t.notOk(cookies.check(cookie.subarray(1), at, 1000))
  }
})
