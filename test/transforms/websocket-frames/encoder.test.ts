import t from 'tap'
import { hex, toHex } from '../../helpers/bytes.ts'
import { maskKey } from '../../../src/transforms/websocket-frames/mask.ts'
import { FrameDecoder, FrameEncoder } from '../../../src/transforms/websocket-frames/index.ts'

t.test('a server does not mask', async (t) => {
  const encoder = new FrameEncoder('server')
  t.equal(toHex(encoder.text('Hello')), '810548656c6c6f', 'RFC 6455 section 5.7')
  t.equal(toHex(encoder.ping(Buffer.from('Hello'))), '890548656c6c6f', 'RFC 6455 section 5.7')
  t.equal(toHex(encoder.pong(new Uint8Array(0))), '8a00')
  t.equal(toHex(encoder.close(1000, 'bye')), '880503e8627965')
  t.equal(toHex(encoder.close(1005)), '8800', 'no code')
  t.equal(toHex(encoder.close(4999, 'é'.repeat(61))), '887c1387' + 'c3a9'.repeat(61))
})

t.test('one buffer a batch; the shortest length', async (t) => {
  const encoder = new FrameEncoder('server')
  for (const [size, head] of [[0, '8200'], [125, '827d'], [126, '827e007e'], [65_535, '827effff'], [65_536, '827f0000000000010000']] as Array<[number, string]>) {
    const frames = encoder.push([new Uint8Array(size).fill(0x61), hex('62')])
    t.equal(frames.length, 1)
    t.equal(toHex(frames[0]), head + '61'.repeat(size) + '820162', `${size} bytes`)
  }
})

t.test('a client masks with a fresh key, and leaves its input alone', async (t) => {
  const encoder = new FrameEncoder('client')
  const message = Buffer.alloc(100, 0x61)
  const [wire] = encoder.push([message, message])
  t.equal(wire.length, 2 * (6 + 100))
  t.equal(toHex(message), '61'.repeat(100))
  t.same([wire[0], wire[1], wire[106], wire[107]], [0x82, 0x80 | 100, 0x82, 0x80 | 100])
  t.notSame(wire.subarray(2, 6), wire.subarray(108, 112))
  for (const offset of [0, 106]) {
    const unmasked = wire.subarray(offset + 6, offset + 106).map((byte, i) => byte ^ wire[offset + 2 + (i & 3)])
    t.equal(toHex(unmasked), '61'.repeat(100))
  }
  const heard: string[] = []
  const decoder = new FrameDecoder({ role: 'server' }, {
    onText: (payload) => { heard.push(`text ${Buffer.from(payload).toString()}`) },
    onPing: (payload) => { heard.push(`ping ${toHex(payload)}`) },
    onPong: (payload) => { heard.push(`pong ${toHex(payload)}`) },
    onClose: (code, reason) => { heard.push(`close ${code} ${reason}`) }
  })
  decoder.push([encoder.text('text'), encoder.ping(hex('01')), encoder.pong(hex('02')), encoder.close(1001, 'reason')])
  t.same(heard, ['text text', 'ping 01', 'pong 02', 'close 1001 reason'])
})

t.test('keys do not repeat', async (t) => {
  const keys = new Set(Array.from({ length: 5000 }, maskKey)) // more than are fetched at once
  t.ok(keys.size > 4990, `${keys.size} of 5000`)
})

t.test('refuses what must not travel', async (t) => {
  const encoder = new FrameEncoder('server')
  for (const code of [0, 999, 1004, 1006, 1015, 2000, 5000, 65_536, 1000.5, NaN]) t.throws(() => encoder.close(code), { code: 'ERR_OPTION' }, `${code}`)
  t.throws(() => encoder.close(1000, 'a'.repeat(124)), { code: 'ERR_OPTION' })
  t.throws(() => encoder.ping(new Uint8Array(126)), { code: 'ERR_OPTION' })
  t.throws(() => encoder.pong(new Uint8Array(126)), { code: 'ERR_OPTION' })
})
