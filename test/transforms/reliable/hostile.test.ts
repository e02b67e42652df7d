/** The other side breaks every rule: it harms itself at most. */
import t from 'tap'
import { ReliableConnection, type ReliableInit } from '../../../src/transforms/reliable/index.ts'
import { Flag, PacketReader, writeAck, writeNumber, writeNumbers, writeWord } from '../../../src/transforms/reliable/packet.ts'
import { RangeSet } from '../../../src/transforms/reliable/range-set.ts'

const KIB = 1024

function ack (ranges: Array<[number, number]>, { delivered = 0, limit = 64 * KIB }: { delivered?: number, limit?: number } = {}): Uint8Array {
  const numbers = new RangeSet()
  for (const [from, to] of ranges) numbers.add(from, to)
  const into = new Uint8Array(1200)
  into[0] = Flag.ACK
  return into.slice(0, writeAck(into, 1, into.length, { numbers, delay: 0, delivered, limit }))
}

function data (number: number, offset: number, size: number, { isEnd = false, floor = 0 } = {}): Uint8Array {
  const into = new Uint8Array(20 + size)
  into[0] = Flag.NUMBER | Flag.DATA | (isEnd ? Flag.FIN : 0)
  const at = writeNumber(into, writeNumbers(into, 1, number, floor), offset)
  return into.fill(1, at, at + size).slice(0, at + size)
}

const connection = (init: ReliableInit = {}): ReliableConnection => new ReliableConnection(init, 0)

function all (core: ReliableConnection, now: number): Uint8Array[] {
  const sent: Uint8Array[] = []
  for (let batch = core.poll(now); batch.length > 0; batch = core.poll(now)) sent.push(...batch)
  return sent
}

t.test('acknowledgements of what was not sent are dropped', async (t) => {
  const core = connection()
  core.write([new Uint8Array(2000)])
  const sent = all(core, 0)
  t.equal(sent.length, 2)
  core.receive([ack([[0, 3]]), ack([[0, 1]], { delivered: 2001 }), ack([[1e9, 1e9 + 1]])], 10)
  t.equal(core.dropped, 3)
  t.equal(core.acknowledged, 0)
  t.equal(core.unansweredFor(10), 10)
  core.end()
  core.receive([ack([[0, 2]], { delivered: 2001 })], 20)
  t.equal(core.dropped, 4, 'nor the end, which was not sent yet')
  core.receive([ack([[0, 2]], { delivered: 2000 })], 20)
  t.equal(core.acknowledged, 2000)
  t.notOk(core.isWritten)
  t.equal(all(core, 20).length, 1)
  core.receive([ack([[0, 3]])], 30)
  t.ok(core.isWritten)
})

t.test('a window does not shrink, and holds data back', async (t) => {
  const core = connection()
  core.write([new Uint8Array(200 * KIB)])
  for (let now = 0, next = 0; now < 2000; now += 20) {
    const sent = all(core, now)
    next += sent.length
    core.receive([ack([[0, next]], { limit: now > 100 ? 0 : 64 * KIB })], now + 10)
  }
  t.equal(core.acknowledged, 64 * KIB)
  t.equal(core.queued > 136 * KIB, true)
  t.equal(core.failure, undefined, 'it answers, so it is not dead')
})

t.test('data beyond the window or the end is dropped and not acknowledged', async (t) => {
  const core = connection()
  core.receive([data(0, 64 * KIB - 10, 20), data(1, 2 ** 50, 20)], 0)
  t.equal(core.dropped, 2)
  t.equal(core.available, 0)
  t.same(all(core, 100), [])
  core.receive([data(2, 100, 20, { isEnd: true }), data(3, 120, 1), data(4, 90, 10, { isEnd: true }), data(5, 0, 100)], 100)
  t.equal(core.dropped, 4)
  t.equal(core.take(100).reduce((sum, { length }) => sum + length, 0), 120)
  t.ok(core.isReadEnd)
  const reader = new PacketReader()
  const [answer] = all(core, 200)
  t.ok(reader.read(answer))
  t.same(Array.from({ length: reader.ranges }, (_, i) => [reader.lows[i], reader.highs[i]]), [[5, 5], [2, 2]])
  t.equal(reader.delivered, 121, 'with the end')
})

t.test('a stream that ends before what has come', async (t) => {
  const core = connection()
  core.receive([data(0, 500, 100), data(1, 200, 100, { isEnd: true })], 0)
  t.equal(core.dropped, 1)
})

t.test('floods of tiny ranges take bounded memory', async (t) => {
  const core = connection()
  let number = 0
  for (let offset = 1; offset < 64 * KIB; offset += 2) core.receive([data(number += 2, offset, 1)], 0)
  t.ok(core.dropped > 20_000, 'gaps beyond the bound are refused')
  t.ok(core.memory <= 128 * KIB)
  const [answer] = all(core, 100)
  t.ok(answer.length <= 1200)
  const reader = new PacketReader()
  t.ok(reader.read(answer))
  t.equal(reader.ranges, 241)
  core.receive([data(number + 1, 0, 1)], 100)
  t.equal(core.available, 2, 'it goes on')
})

t.test('an end that has come before the data does not end the stream', async (t) => {
  const core = connection({ maxDatagram: 1200 })
  core.write([new Uint8Array(3000)])
  core.end()
  t.equal(all(core, 0).length, 3)
  core.receive([ack([[1, 3]])], 10)
  t.notOk(core.isWritten)
  core.receive([ack([[0, 3]], { delivered: 3001 })], 20)
  t.ok(core.isWritten)
})

t.test('nonsense is counted', async (t) => {
  const core = connection()
  core.receive([new Uint8Array(0), new Uint8Array(5), new Uint8Array(70_000).fill(0xff)], 0)
  t.equal(core.dropped, 3)
  t.equal(core.deadline, Infinity)
})

t.test('a reset ends both directions, and is acknowledged', async (t) => {
  const core = connection()
  core.write([new Uint8Array(5000)])
  all(core, 0)
  const reset = new Uint8Array(14)
  reset[0] = Flag.NUMBER | Flag.RESET
  writeWord(reset, writeNumbers(reset, 1, 7, 0), 70)
  core.receive([reset], 10)
  t.match(core.failure, { code: 'ERR_LINK_RESET', reason: 70 })
  const sent = all(core, 40)
  const reader = new PacketReader()
  t.equal(sent.length, 1)
  t.ok(reader.read(sent[0]))
  t.equal(reader.highs[0], 7)
  t.equal(all(core, 20_000).filter((one) => (one[0] & Flag.DATA) !== 0).length, 0, 'no data any more')
})

t.test('options that cannot be', async (t) => {
  for (const init of [
    { maxDatagram: 255 }, { maxDatagram: 65_508 }, { maxDatagram: 1.5 }, { headroom: -1 }, { tailroom: 0.5 }, { sendBuffer: 1000 }, { receiveBuffer: 2 ** 31 },
    { queueLimit: 0 }, { deadAfter: 0 }, { keepAlive: -1 }, { isReliable: 1 as unknown as boolean }
  ] as ReliableInit[]) t.throws(() => connection(init), { code: 'ERR_OPTION' }, JSON.stringify(init))
  const core = connection()
  t.throws(() => { core.usePath({ maxDatagram: 10, isReliable: false }, 0) }, { code: 'ERR_OPTION' })
  t.throws(() => { core.resize(10) }, { code: 'ERR_OPTION' })
})

t.test('of what is on its way only what is too long is sent again', async (t) => {
  const core = connection({ maxDatagram: 1200 })
  core.write([new Uint8Array(1500)])
  t.same(all(core, 0).map(({ length }) => length), [1200, 334])
  core.resize(600)
  const again = all(core, 0)
  t.same(again.map(({ length }) => length), [600, 600, 34])
  core.receive([ack([[1, 5]], { delivered: 1500 })], 10)
  t.equal(core.acknowledged, 1500)
  t.equal(core.unansweredFor(1000), 0)
})
