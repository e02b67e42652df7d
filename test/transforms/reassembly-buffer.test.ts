import t from 'tap'
import { random, toHex } from '../helpers/bytes.ts'
import { ReassemblyBuffer } from '../../src/transforms/reassembly-buffer.ts'

t.test('hands over what was put in, and starts anew', async (t) => {
  const buffer = new ReassemblyBuffer()
  t.equal(buffer.length, 0)
  t.same([...buffer.take()], [])
  buffer.append(Uint8Array.of(1, 2))
  buffer.append(new Uint8Array(0))
  buffer.append(Uint8Array.of(3))
  t.equal(buffer.length, 3)
  t.same([...buffer.peek(2)], [1, 2])
  t.same([...buffer.peek(9)], [1, 2, 3], 'no more than there is')
  t.equal(buffer.length, 3, 'a look takes nothing')
  t.same([...buffer.take()], [1, 2, 3])
  t.equal(buffer.length, 0)
  buffer.append(Uint8Array.of(4))
  t.same([...buffer.take()], [4])
})

t.test('keeps copies', async (t) => {
  const buffer = new ReassemblyBuffer()
  const piece = Uint8Array.of(1, 2, 3)
  buffer.append(piece)
  piece.fill(9)
  t.same([...buffer.take()], [1, 2, 3])
})

t.test('pieces of every size', async (t) => {
  const below = random(3)
  for (let round = 0; round < 50; round++) {
    const buffer = new ReassemblyBuffer()
    const pieces = Array.from({ length: below(400) }, () => Uint8Array.from({ length: below(below(10) === 0 ? 5000 : 4) }, () => below(256)))
    for (const piece of pieces) buffer.append(piece)
    const whole = Buffer.concat(pieces)
    if (buffer.length !== whole.length || toHex(buffer.peek(14)) !== toHex(whole.subarray(0, 14)) || !whole.equals(buffer.take())) t.fail(`round ${round}`)
  }
  t.pass('equal')
})

t.test('a known length is allocated once, when a quarter of it has come', async (t) => {
  const buffer = new ReassemblyBuffer()
  const need = 100_000
  const parts = Array.from({ length: 10 }, (_, i) => new Uint8Array(need / 10).fill(i))
  const capacities = parts.map((part) => {
    buffer.append(part, need)
    return buffer.capacity
  })
  t.same(capacities, [10_000, 20_000, ...Array(8).fill(need)])
  t.equal(toHex(buffer.peek(3)), '000000')
  const whole = buffer.take()
  t.ok(whole.equals(Buffer.concat(parts)))
  t.equal(whole.buffer.byteLength, need, 'and no other memory hangs on to it')
  t.equal(buffer.capacity, 0)

  buffer.append(Uint8Array.of(1), 2) // a length that is cut, say
  t.equal(buffer.capacity, 2)
  buffer.append(Uint8Array.of(2), 1500)
  buffer.append(Uint8Array.of(3), 1500)
  t.equal(buffer.capacity, 1500, 'a small one at once')
  t.equal(toHex(buffer.take()), '010203')
})

t.test('memory is bounded by what has come, whatever length is announced', async (t) => {
  const below = random(5)
  for (let round = 0; round < 300; round++) {
    const buffer = new ReassemblyBuffer()
    const need = round % 3 === 0 ? 0 : below(200_000)
    const largest = 1 + below(below(10) === 0 ? 9000 : 3)
    const parts: Uint8Array[] = []
    for (let i = 0; i < 200; i++) {
      const part = Uint8Array.from({ length: below(largest + 1) }, () => below(256))
      parts.push(part)
      buffer.append(part, need)
      const { capacity, length } = buffer
      if (capacity > Math.max(4 * length, length + 2048)) t.fail(`round ${round}: ${capacity} bytes for ${length}`)
    }
    const whole = Buffer.concat(parts)
    if (buffer.length !== whole.length || toHex(buffer.peek(14)) !== toHex(whole.subarray(0, 14)) || !whole.equals(buffer.take())) t.fail(`round ${round}: content`)
  }
  t.pass('bounded')
})

t.test('many single bytes come out as they came in', async (t) => {
  const buffer = new ReassemblyBuffer()
  for (let i = 0; i < 1 << 18; i++) buffer.append(Uint8Array.of(i))
  const whole = buffer.take()
  t.equal(whole.length, 1 << 18)
  t.ok(whole.every((byte, i) => byte === (i & 0xff)))
})
