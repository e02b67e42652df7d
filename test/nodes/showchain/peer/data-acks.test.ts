/** What acknowledges 0x124, and what its sender makes of it (SHOW CHAIN protocol, section 6.2). */
import fc from 'fast-check'
import t from 'tap'
import { ReplayWindow } from '../../../../src/crypto/index.ts'
import { DataAcks } from '../../../../src/nodes/showchain/peer/data-acks.ts'
import { DataWindow } from '../../../../src/nodes/showchain/peer/data-window.ts'
import { decodeMessage, encodeMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { BottleneckModel } from '../../../../src/transforms/reliable/bottleneck-model.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { messageIn, vector } from '../../../helpers/showchain/vectors.ts'
import type { Batch } from '../../../../src/types.ts'

const session = new Uint8Array(16).fill(0x33)

/** A target that gets numbers in reads, and all that it acknowledges. */
function target (isSingle = false) {
  const received = new ReplayWindow({ size: 1024 })
  const acks = new DataAcks({ session, received, isSingle })
  return (seqs: number[]): Batch => {
    const out: Batch = []
    for (const seq of seqs) {
      received.accept(seq)
      acks.add(seq, 1_760_000_000_000)
    }
    acks.write(out)
    return out
  }
}

/** A sender that has sent messages from this number on. */
function sender (first: number, count: number): DataWindow {
  const window = new DataWindow({ control: new BottleneckModel({ maxDatagram: 1232, random: () => 0.5 }), packet: 1232, first })
  for (let i = 0; i < count; i++) window.sent(window.add(new Uint8Array(1), false, 0), false, 0)
  return window
}

t.test('the golden vector', async (t) => {
  const read = target()
  read([1, 256, 999, 1002])
  t.same(read([1005, 1004]).map(toHex), [vector('data_ack_arrived').hex])
  const { seq, data } = messageIn(vector('data_ack_arrived'))
  const window = sender(990, 20)
  t.equal(window.acknowledge(seq, data, 1), true)
  t.equal(window.outstanding, 16)
  for (const one of [999, 1002, 1004, 1005]) t.equal(window.acknowledge(one, undefined, 1), false, `${one} is known`)
  t.equal(window.acknowledge(seq, data, 1), false, 'the same once more')
})

t.test('as on the page: one for each', async (t) => {
  const read = target(true)
  t.same(read([5, 6, 5]).map(toHex), [5, 6, 5].map((seq) => toHex(encodeMessage({ op: Op.dataAck, session, seq, ts: 1_760_000_000_000 }))))
  t.same(read([]), [])
})

t.test('what has come before is acknowledged again, also what is too old for the bits or for the window', async (t) => {
  const read = target()
  read([10, 800])
  t.same(read([10, 800]).map((ack) => decodeMessage(ack).seq), [800, 10])
  read([5000])
  t.same(read([10, 12]).map((ack) => decodeMessage(ack).seq), [12, 10])
  const [ack] = read([10]).map(decodeMessage)
  t.match(ack, { op: Op.dataAck, seq: 10 })
  const window = sender(1, 20)
  window.acknowledge(ack.seq, ack.data, 1)
  t.equal(window.outstanding, 19, 'what nobody knows any more is not acknowledged')
})

t.test('more than one 0x125 has room for', async (t) => {
  const read = target()
  const acks = read(Array.from({ length: 1000 }, (_, i) => 10_000 + i)).map(decodeMessage)
  t.equal(acks.length, 4)
  const window = sender(10_000, 512)
  for (const { seq, data } of acks) window.acknowledge(seq, data, 1)
  t.equal(window.outstanding, 0)
})

t.test('numbers that were not sent are no message', async (t) => {
  const window = sender(1000, 3)
  const entry = window.add(new Uint8Array(1), false, 0)
  t.equal(window.acknowledge(1003, new Uint8Array(32).fill(0xff), 1), true)
  t.equal(window.outstanding, 1)
  t.ok(window.has(entry), 'it is being signed')
  t.equal(window.next, 1004)
})

t.test('in any order, with losses: what is acknowledged has come, and all that has come is acknowledged', async () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER - 2000 }), fc.array(fc.array(fc.integer({ min: 0, max: 511 }), { minLength: 1, maxLength: 40 }), { maxLength: 30 }), (first, reads) => {
    const read = target()
    const window = sender(first, 512)
    const come = new Set<number>()
    for (const offsets of reads) {
      for (const offset of offsets) come.add(offset)
      for (const ack of read(offsets.map((offset) => first + offset))) {
        const { seq, data } = decodeMessage(ack)
        window.acknowledge(seq, data, 1)
      }
      if (window.outstanding !== 512 - come.size) return false
    }
    for (let offset = 0; offset < 512; offset++) if (window.acknowledge(first + offset, undefined, 1) === come.has(offset)) return false
    return true
  }))
})

t.test('an acknowledgement that was lost is made up for by the next one', async (t) => {
  const read = target()
  const window = sender(7000, 200)
  for (let seq = 7000; seq < 7198; seq++) read([seq])
  const [ack] = read([7199]).map(decodeMessage)
  window.acknowledge(ack.seq, ack.data, 1)
  t.equal(window.outstanding, 1, 'all but 7198, which has not come')
})
