/** The last output of a shell. */
import fc from 'fast-check'
import t from 'tap'
import { SEED } from '../../../../helpers/bytes.ts'
import { ReplayBuffer } from '../../../../../src/nodes/natpass/peer/shell/replay-buffer.ts'

t.test('examples', async (t) => {
  const buffer = new ReplayBuffer(8)
  const said = (position: number): [string, number] => {
    const { bytes, lost } = buffer.since(position)
    return [Buffer.from(bytes).toString(), lost]
  }
  t.same(said(0), ['', 0])
  buffer.push(Buffer.from('abcde'))
  t.same(said(0), ['abcde', 0])
  t.same(said(3), ['de', 0])
  t.equal(buffer.end, 5)
  buffer.push(Buffer.from('fghij'))
  t.same(said(0), ['cdefghij', 2], 'what is too old is lost')
  t.same(said(5), ['fghij', 0])
  t.same(said(99), ['', 0], 'a position that is not there yet')
  t.same(said(-1), ['cdefghij', 2])
  buffer.push(Buffer.from('0123456789'))
  t.same(said(10), ['23456789', 2], 'more than there is room for')
  t.throws(() => new ReplayBuffer(0), { code: 'ERR_OPTION' })
})

t.test('256 KiB', async (t) => {
  const buffer = new ReplayBuffer()
  buffer.push(new Uint8Array(300_000))
  const { bytes, lost } = buffer.since(0)
  t.same([bytes.length, lost], [262_144, 300_000 - 262_144])
})

t.test('against a buffer that keeps all', async (t) => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 20 }), fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 20 }), fc.nat(300), (capacity, all, position) => {
    const buffer = new ReplayBuffer(capacity)
    for (const bytes of all) buffer.push(bytes)
    const stream = Buffer.concat(all)
    const from = Math.min(position, stream.length)
    const kept = stream.subarray(Math.max(from, stream.length - capacity))
    const { bytes, lost } = buffer.since(position)
    t.ok(kept.equals(bytes))
    t.equal(lost, stream.length - from - kept.length)
    t.equal(buffer.end, stream.length)
  }), { seed: SEED })
})
