import t from 'tap'
import { SendQueue } from '../../src/limits/send-queue.ts'
import type { Batch } from '../../src/types.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** A receiver whose system takes what it is given and sends what the test says. */
class Receiver {
  readonly port = { limit: MIB, queued: 0, bufferedAmount: 0, send: (): number => 0 }
  readonly sendQueue = new SendQueue<string>(this.port)

  /** How many of so many packets get in. */
  offer (sender: string, count: number, now: number, size = KIB): number {
    const admitted = this.sendQueue.admit(Array.from({ length: count }, () => new Uint8Array(size)), sender, now)
    if (admitted.length === 0) return 0
    this.port.bufferedAmount += admitted.length * size
    this.sendQueue.enqueued(admitted.length * size, sender, now)
    return admitted.length
  }

  leave (bytes: number): void { this.port.bufferedAmount = Math.max(0, this.port.bufferedAmount - bytes) }
}

t.test('where nothing waits everything gets in', async (t) => {
  const receiver = new Receiver()
  let got = 0
  for (let now = 0; now < 1000; now++) {
    got += receiver.offer('a', 64, now)
    receiver.leave(Infinity)
  }
  t.equal(got, 64_000)
})

t.test('one sender has most of a queue, and leaves room for others', async (t) => {
  const receiver = new Receiver()
  let got = 0
  for (let i = 0; i < 1000; i++) got += receiver.offer('a', 64, 0)
  const most = 5 * MIB // of the port, and what the system takes besides
  t.ok(got * KIB > most * 0.85 && got * KIB < most * 0.9, `${got} KiB`)
  t.equal(receiver.offer('a', 1, 0), 0)
  t.equal(receiver.offer('b', 64, 0), 64)
  for (let i = 0; i < 1000; i++) receiver.offer('b', 64, 0)
  t.ok(receiver.port.bufferedAmount <= most + 64 * KIB, 'and there is an end')
  t.equal(receiver.offer('c', 10, 0), 10, 'a third one finds room as well')
})

t.test('senders that take what they can get have about the same', async (t) => {
  const receiver = new Receiver()
  const got: Record<string, number> = { a: 0, b: 0 }
  for (let now = 0; now < 3000; now++) {
    for (const sender of ['a', 'b', 'a', 'a', 'a']) { // one of them tries four times as hard
      const count = receiver.offer(sender, 16, now)
      if (now > 1000) got[sender] += count
    }
    receiver.leave(16 * KIB)
  }
  t.ok(got.b / got.a > 0.5, JSON.stringify(got))
})

t.test('on a slow way no more waits than leaves in a short time, however hard somebody tries', async (t) => {
  for (const rate of [2 * KIB, 16 * KIB, 32 * KIB]) { // bytes a millisecond
    const receiver = new Receiver()
    let most = 0
    for (let now = 0; now < 3000; now++) {
      receiver.offer('a', 64, now)
      receiver.leave(rate)
      if (now > 500) most = Math.max(most, receiver.port.bufferedAmount)
    }
    t.ok(most <= Math.max(64 * KIB, rate * 60) + 64 * KIB, `${most / rate} ms at ${rate} bytes a millisecond`)
    t.ok(most >= 64 * KIB, 'and it does not run empty')
  }
})

t.test('whoever sends little loses nothing beside whoever sends much', async (t) => {
  const receiver = new Receiver()
  let [sent, got, much] = [0, 0, 0]
  for (let now = 0; now < 5000; now++) {
    much += receiver.offer('a', 32, now)
    if (now % 10 === 0) {
      sent++
      got += receiver.offer('b', 1, now, 100)
    }
    receiver.leave(8 * KIB)
  }
  t.equal(got, sent)
  t.ok(much > 5000 * 7 && much < 5000 * 9, 'and the way is full')
})

t.test('drops that slow a sender down are few, and of what comes first', async (t) => {
  const receiver = new Receiver()
  receiver.offer('a', 100, 0)
  t.equal(receiver.offer('a', 10, 50), 10, 'a burst may wait')
  t.equal(receiver.offer('a', 10, 59), 10)
  receiver.leave(60 * KIB)
  const slow = new Receiver() // as much comes as leaves, behind a queue of 20 ms that never goes away
  slow.offer('a', 20, 0)
  const counts: number[] = []
  for (let now = 1; now < 400; now++) {
    counts.push(slow.offer('a', 1, now))
    slow.leave(counts.at(-1) === 1 ? KIB : 0)
  }
  const drops = counts.filter((count) => count === 0).length
  t.ok(drops > 2 && drops < 10, `${drops} drops`)
  t.notOk(counts.slice(0, 99).includes(0), 'and none before the queue has lasted')
})

t.test('two packets are no queue', async (t) => {
  const receiver = new Receiver()
  receiver.offer('a', 2, 0)
  let got = 0
  for (let now = 1; now <= 5000; now++) {
    got += receiver.offer('a', 1, now)
    receiver.leave(KIB)
  }
  t.equal(got, 5000)
})

t.test('what others have written passes for the newest', async (t) => {
  const receiver = new Receiver()
  receiver.offer('a', 10, 0)
  receiver.port.bufferedAmount += 30 * KIB
  receiver.leave(25 * KIB)
  t.equal(receiver.sendQueue.update(10), 15 * KIB)
  receiver.leave(15 * KIB)
  t.equal(receiver.sendQueue.update(10), 0)
})

t.test('many senders of tiny packets do not make it remember without end', async (t) => {
  const receiver = new Receiver()
  for (let i = 0; i < 5000; i++) receiver.offer(`sender ${i}`, 1, i / 1000, 20)
  t.equal(receiver.offer('another', 1, 5, 20), 1)
  receiver.leave(Infinity)
  t.equal(receiver.sendQueue.update(10), 0)
})

t.test('bursts with long pauses in between wait for no longer than until the next one, or a quarter of a second', async (t) => {
  const RATE = 1250 // bytes a millisecond
  for (const period of [50, 110, 200]) {
    const port = { queued: 0, bufferedAmount: 0, limit: 4 << 20, send: (batch: Batch) => batch.length }
    const sendQueue = new SendQueue<string>(port)
    const burst: Batch = new Array(Math.round(period * 1.3)).fill(new Uint8Array(RATE))
    let [longest, sent] = [0, 0]
    for (let now = 0; now < 30_000; now++) {
      port.queued = port.bufferedAmount = Math.max(0, port.queued - RATE)
      if (now % period === 0) {
        const { length } = sendQueue.admit(burst, 'sender', now)
        port.queued = port.bufferedAmount = port.queued + length * RATE
        sendQueue.enqueued(length * RATE, 'sender', now)
        sent += length
      }
      if (now > 20_000) longest = Math.max(longest, port.queued / RATE)
    }
    t.ok(longest < Math.max(60, period) + 250, `a burst every ${period} ms: ${Math.round(longest)} ms wait`)
    t.ok(sent > 0.8 * 30_000, `and the way is used: ${sent} of 30000`)
  }
})

t.test('whoever has messages in one piece is told the same', async (t) => {
  const [one, other] = [new Receiver(), new Receiver()]
  let [whole, parts] = [0, 0]
  for (let now = 0; now < 3000; now++) {
    const batch = Array.from({ length: 1 + (now * 7) % 40 }, (_, i) => new Uint8Array(100 + (now * 31 + i * 57) % 1400))
    const bytes = batch.reduce((sum, { length }) => sum + length, 0)
    const admitted = one.sendQueue.admit(batch, 'a', now)
    const isWhole = other.sendQueue.admitsAll(batch.length, bytes, 'a', now)
    const same = isWhole ? batch : other.sendQueue.cut(batch)
    if (same.length !== admitted.length || same.some((message, i) => message !== admitted[i])) t.fail(`at ${now}: ${same.length} in place of ${admitted.length}`)
    if (isWhole) whole++
    else if (same.length < batch.length) parts++
    const taken = admitted.reduce((sum, { length }) => sum + length, 0)
    for (const receiver of [one, other]) {
      receiver.port.bufferedAmount += taken
      if (taken > 0) receiver.sendQueue.enqueued(taken, 'a', now)
      receiver.leave(12 * KIB)
    }
  }
  t.ok(whole > 300 && parts > 300, `${whole} whole, ${parts} in part`)
})
