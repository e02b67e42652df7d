import t from 'tap'
import { random, toHex } from '../helpers/bytes.ts'
import { Collector } from '../../src/transforms/collector.ts'

t.test('hands over what was put in, and starts anew', async (t) => {
  const collector = new Collector()
  t.equal(collector.length, 0)
  t.same([...collector.take()], [])
  collector.append(Uint8Array.of(1, 2))
  collector.append(new Uint8Array(0))
  collector.append(Uint8Array.of(3))
  t.equal(collector.length, 3)
  t.same([...collector.peek(2)], [1, 2])
  t.same([...collector.peek(9)], [1, 2, 3], 'no more than there is')
  t.equal(collector.length, 3, 'a look takes nothing')
  t.same([...collector.take()], [1, 2, 3])
  t.equal(collector.length, 0)
  collector.append(Uint8Array.of(4))
  t.same([...collector.take()], [4])
})

t.test('keeps copies', async (t) => {
  const collector = new Collector()
  const piece = Uint8Array.of(1, 2, 3)
  collector.append(piece)
  piece.fill(9)
  t.same([...collector.take()], [1, 2, 3])
})

t.test('pieces of every size', async (t) => {
  const below = random(3)
  for (let round = 0; round < 50; round++) {
    const collector = new Collector()
    const pieces = Array.from({ length: below(400) }, () => Uint8Array.from({ length: below(below(10) === 0 ? 5000 : 4) }, () => below(256)))
    for (const piece of pieces) collector.append(piece)
    const whole = Buffer.concat(pieces)
    if (collector.length !== whole.length || toHex(collector.peek(14)) !== toHex(whole.subarray(0, 14)) || !whole.equals(collector.take())) t.fail(`round ${round}`)
  }
  t.pass('equal')
})

t.test('single bytes cost time in proportion', async (t) => {
  const collector = new Collector()
  for (let i = 0; i < 1 << 18; i++) collector.append(Uint8Array.of(i))
  const whole = collector.take()
  t.equal(whole.length, 1 << 18)
  t.ok(whole.every((byte, i) => byte === (i & 0xff)))
})
