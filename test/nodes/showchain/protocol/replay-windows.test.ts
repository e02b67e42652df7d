import fc from 'fast-check'
import t from 'tap'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { ReplayWindows } from '../../../../src/nodes/showchain/protocol/replay-windows.ts'
import { ShortWindow } from '../../../../src/nodes/showchain/protocol/short-window.ts'
import { bytes, NOW } from '../../../helpers/showchain/messages.ts'

const key = (id: number, op: number = Op.directRequest, session?: Uint8Array) => ({ sender: String(id), op, session })

t.test('a window of 64 below the highest, of 1024 for data, where a repetition is no replay (row 3)', async (t) => {
  const windows = new ReplayWindows()
  const at = (seq: number, op: number = Op.directRequest): string => windows.accept(key(1, op), seq, NOW, NOW)
  t.same([5000, 5000, 5000 - 64, 5000 - 65, 5000 - 64, 5001].map((seq) => at(seq)), ['new', 'replay', 'new', 'replay', 'replay', 'new'])
  t.same([5000, 5000, 5000 - 1024, 5000 - 1025, 5000 - 1024].map((seq) => at(seq, Op.dataRequest)), ['new', 'repeated', 'new', 'replay', 'repeated'])
  t.equal(windows.size, 2)
  t.equal(windows.check(key(1), 5001, NOW), 'replay')
  t.equal(windows.check(key(1), 5002, NOW), 'new')
  t.equal(windows.check(key(2), 5001, NOW), 'new', 'of another id')
  t.equal(windows.check(key(1, Op.natRequest), 5001, NOW), 'new', 'of another op')
  t.equal(windows.check(key(1, Op.directRequest, bytes(16, 0)), 5001, NOW), 'new', 'of another session')
})

t.test('as a set of all that was seen has it', async () => {
  fc.assert(fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { maxLength: 200 }), (seqs) => {
    const windows = new ReplayWindows()
    const seen = new Set<number>()
    let highest = -1
    return seqs.every((seq) => {
      const isNew = !seen.has(seq) && seq >= highest - 64
      if (isNew) seen.add(seq)
      highest = Math.max(highest, isNew ? seq : -1)
      return windows.accept(key(1), seq, NOW, NOW) === (isNew ? 'new' : 'replay')
    })
  }))
})

t.test('freshness: 30 s before and after', async (t) => {
  const windows = new ReplayWindows()
  for (const [offset, isFresh] of [[0, true], [30_000, true], [-30_000, true], [30_001, false], [-30_001, false], [31_000, false]] as const) t.equal(windows.isFresh(NOW + offset, NOW), isFresh, String(offset))
  t.ok(new ReplayWindows({ freshness: 60_000 }).isFresh(NOW - 60_000, NOW))
})

t.test('no room: new senders are refused, and nobody is forgotten whose messages may be fresh', async (t) => {
  const windows = new ReplayWindows({ maxWindows: 3 })
  for (let id = 1; id <= 3; id++) t.equal(windows.accept(key(id), 1, NOW + 10_000 * id, NOW), 'new')
  t.equal(windows.check(key(4), 1, NOW), 'full')
  t.equal(windows.accept(key(4), 1, NOW, NOW), 'full')
  t.equal(windows.accept(key(2), 2, NOW, NOW), 'new', 'those that are known go on')
  t.equal(windows.accept(key(2), 2, NOW, NOW), 'replay')
  t.equal(windows.check(key(4), 1, NOW + 40_000), 'full', 'the last moment of the first')
  t.equal(windows.accept(key(4), 1, NOW + 40_001, NOW + 40_001), 'new')
  t.equal(windows.size, 3)
  t.equal(windows.accept(key(3), 1, NOW, NOW + 40_001), 'replay', 'not forgotten')
})

t.test('one id has a bounded number, and those of old sessions make room', async (t) => {
  const windows = new ReplayWindows({ maxPerId: 4 })
  const session = (n: number) => key(1, Op.responseAck, bytes(16, n))
  for (let n = 0; n < 4; n++) windows.accept(session(n), 1, NOW + n, NOW)
  t.equal(windows.accept(session(9), 1, NOW, NOW), 'full')
  t.equal(windows.accept(key(2), 1, NOW, NOW), 'new', 'others are not concerned')
  t.equal(windows.accept(session(9), 1, NOW + 30_002, NOW + 30_002), 'new')
  t.equal(windows.size, 4, 'two of the first were too old')
  for (const init of [{ maxWindows: 0 }, { maxPerId: 1.5 }, { freshness: -1 }]) t.throws(() => new ReplayWindows(init), { code: 'ERR_OPTION' })
})

t.test('memory stays flat while senders come and go', async (t) => {
  const windows = new ReplayWindows()
  let most = 0
  for (let i = 0; i < 20_000; i++) {
    windows.accept({ sender: String(i), op: Op.directRequest }, 1, NOW + 100 * i, NOW + 100 * i)
    most = Math.max(most, windows.size)
  }
  t.ok(most < 310, `${most} windows, of 300 that may be fresh`)
})

t.test('ids of one owner have a bounded number together', async (t) => {
  const windows = new ReplayWindows({ maxPerOwner: 2 })
  const from = (owner: string, id: number, op?: number) => ({ ...key(id, op), owner })
  for (const id of [1, 2]) t.equal(windows.accept(from('a', id), 1, NOW, NOW), 'new')
  t.equal(windows.check(from('a', 3), 1, NOW), 'full')
  t.equal(windows.accept(from('a', 3), 1, NOW, NOW), 'full')
  t.equal(windows.accept(from('a', 1), 2, NOW, NOW), 'new', 'those that are known go on')
  t.equal(windows.accept(from('b', 1, Op.natRequest), 1, NOW, NOW), 'full', 'an id stays with its first owner')
  t.equal(windows.accept(from('b', 3), 1, NOW, NOW), 'new', 'another owner')
  t.equal(windows.accept(from('a', 4), 1, NOW + 30_001, NOW + 30_001), 'new', 'once those of the others are old')
  windows.limitOwners(1)
  t.equal(windows.accept(from('a', 5), 1, NOW + 30_001, NOW + 30_001), 'full')
})

t.test('owners of one IPv6 site have four times as many together', async (t) => {
  const windows = new ReplayWindows({ maxPerOwner: 1 })
  const from = (network: number, site = 1) => ({ ...key(10 * site + network), owner: `2001:db8:${site}:${network}::/64` })
  t.same([0, 1, 2, 3, 4].map((network) => windows.accept(from(network), 1, NOW, NOW)), ['new', 'new', 'new', 'new', 'full'])
  t.equal(windows.accept(from(0, 2), 1, NOW, NOW), 'new')
  t.equal(windows.accept(from(4), 1, NOW + 30_001, NOW + 30_001), 'new', 'once those of the others are old')
})

t.test('two words of bits, as a set of all numbers has it', async (t) => {
  fc.assert(fc.property(fc.array(fc.oneof(fc.integer({ min: -70, max: 70 }), fc.constantFrom(31, 32, 33, 63, 64, 65, 1000)), { maxLength: 200 }), (steps) => {
    const window = new ShortWindow()
    const seen = new Set<number>()
    let highest = 2 ** 50
    return [0, ...steps].every((step) => {
      const seq = highest + step
      const isNew = !seen.has(seq) && (seq > highest || seen.size === 0 || highest - seq <= 64)
      seen.add(seq)
      highest = Math.max(highest, seq)
      return window.check(seq) === isNew && window.accept(seq) === isNew
    })
  }))
  const window = new ShortWindow()
  t.same([0, 0, 64, 0, 65, 0].map((seq) => window.accept(seq)), [true, false, true, false, true, false], 'from 0 on')
})
