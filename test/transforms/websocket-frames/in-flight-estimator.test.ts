/** How much waits where only pongs tell, with time that the test makes. */
import t from 'tap'
import { SendQueue } from '../../../src/limits/send-queue.ts'
import { InFlightEstimator } from '../../../src/transforms/websocket-frames/in-flight-estimator.ts'

const KIB = 1024
const MIB = 1024 * KIB

/** A way that takes whatever it is given into a buffer, sends so many bytes a millisecond of that, and is so many milliseconds long. */
class Way {
  readonly estimator = new InFlightEstimator()
  /** Bytes that wait in its buffer, which only the test sees. */
  waiting = 0
  delivered = 0
  now = 0
  readonly #rate: number
  readonly #length: number
  readonly #buffer: Array<{ bytes: number, probe?: Uint8Array }> = []
  readonly #pongs: Array<{ payload: Uint8Array, at: number }> = []

  constructor (rate: number, length: number) {
    this.#rate = rate
    this.#length = length
  }

  send (bytes: number): void {
    this.waiting += bytes
    this.#buffer.push({ bytes, probe: this.estimator.sent(bytes, this.now) })
  }

  /** A millisecond passes. */
  tick (answers = true): void {
    this.now++
    for (let room = this.#rate; room > 0 && this.#buffer.length > 0;) {
      const [first] = this.#buffer
      const part = Math.min(room, first.bytes)
      room -= part
      first.bytes -= part
      this.waiting -= part
      this.delivered += part
      if (first.bytes > 0) break
      this.#buffer.shift()
      if (first.probe !== undefined && answers) this.#pongs.push({ payload: first.probe, at: this.now + 2 * this.#length })
    }
    while (this.#pongs.length > 0 && this.#pongs[0].at <= this.now) this.estimator.pong((this.#pongs.shift() as { payload: Uint8Array }).payload, this.now)
  }
}

/** A sender that tries to send more than the way takes, bounded by what pongs tell. */
function flood (way: Way, milliseconds: number): { most: number, share: number } {
  const port = { limit: 4 * MIB, queued: 0, send: () => 0, get bufferedAmount () { return way.estimator.estimate(way.now) ?? 0 } }
  const sendQueue = new SendQueue<string>(port)
  way.send(100)
  for (let i = 0; i < 200; i++) way.tick()
  let [most, before] = [0, 0]
  const batch = Array.from({ length: 64 }, () => new Uint8Array(KIB))
  for (let i = 0; i < milliseconds; i++) {
    const admitted = sendQueue.admit(batch, 'a', way.now)
    if (admitted.length > 0) {
      way.send(admitted.length * KIB)
      sendQueue.enqueued(admitted.length * KIB, 'a', way.now)
    }
    way.tick()
    if (i === milliseconds / 2) before = way.delivered
    if (i > milliseconds / 2) most = Math.max(most, way.waiting)
  }
  return { most, share: (way.delivered - before) / (milliseconds / 2) }
}

t.test('nothing is known until something was answered', async (t) => {
  const way = new Way(16 * KIB, 10)
  t.equal(way.estimator.estimate(way.now), undefined)
  for (let i = 0; i < 1000; i++) {
    way.send(8 * KIB)
    way.tick(false)
  }
  t.equal(way.estimator.estimate(way.now), undefined, 'as with one that answers no pings')
})

t.test('what travels is not what waits', async (t) => {
  for (const length of [0, 1, 10, 50, 100]) {
    const way = new Way(64 * KIB, length)
    for (let i = 0; i < 2000; i++) {
      way.send(16 * KIB)
      way.tick()
    }
    t.ok(way.estimator.estimate(way.now) as number <= 96 * KIB, `${way.estimator.estimate(way.now)} bytes on a way of ${length} ms that nothing waits on`)
    for (let i = 0; i < 50; i++) {
      way.send(128 * KIB)
      way.tick()
    }
    const { waiting } = way
    for (let i = 0; i < 20; i++) way.tick()
    t.ok(way.estimator.estimate(way.now) as number > waiting / 2 - 20 * 64 * KIB, 'and what waits is seen')
  }
})

t.test('a queue that only pongs tell of is bounded, and does not run empty', async (t) => {
  for (const rate of [2 * KIB, 8 * KIB, 32 * KIB]) {
    for (const length of [1, 10, 40]) {
      const { most, share } = flood(new Way(rate, length), 10_000)
      const bound = Math.max(64 * KIB, rate * 60) * 1.5 + 64 * KIB
      t.ok(most <= bound, `${most} bytes at ${rate} a millisecond over ${length} ms, at most ${bound}`)
      t.ok(share >= rate * 0.75, `${share} of ${rate} bytes a millisecond over ${length} ms`)
    }
  }
})

t.test('nor is a queue taken for a part of the way, however long it is flooded', async (t) => {
  const rate = 4 * KIB
  const { most, share } = flood(new Way(rate, 10), 300_000)
  t.ok(most <= rate * 60 * 1.5 + 64 * KIB, `${most} bytes`)
  t.ok(share >= rate * 0.75, `${share} of ${rate} bytes a millisecond`)
})

t.test('a way that has become longer is known once little has passed', async (t) => {
  const estimator = new InFlightEstimator()
  let now = 0
  const exchange = (length: number): void => {
    const probe = estimator.sent(10 * KIB, now += 1000) as Uint8Array
    estimator.pong(probe, now += length)
  }
  for (let i = 0; i < 10; i++) exchange(20)
  for (let i = 0; i < 70; i++) exchange(200)
  for (let i = 0; i < 20; i++) estimator.sent(10 * KIB, now += 10)
  t.ok(estimator.estimate(now) as number <= 200 * KIB)
})

t.test('who does not answer any more is nobody to go by, until there is an answer', async (t) => {
  const way = new Way(16 * KIB, 10)
  for (let i = 0; i < 200; i++) {
    way.send(8 * KIB)
    way.tick()
  }
  t.type(way.estimator.estimate(way.now), 'number')
  for (let i = 0; i < 6000; i++) {
    way.send(16 * KIB)
    way.tick(false)
  }
  t.equal(way.estimator.estimate(way.now), undefined)
  for (let i = 0; i < 100; i++) {
    way.send(8 * KIB)
    way.tick()
  }
  const waiting = way.estimator.estimate(way.now)
  t.ok(waiting as number < 64 * KIB, `${waiting} bytes`)
})

t.test('a question that could not be asked counts as none', async (t) => {
  const estimator = new InFlightEstimator()
  const first = estimator.sent(40 * KIB, 1) as Uint8Array
  const lost = estimator.sent(40 * KIB, 2) as Uint8Array
  estimator.withdraw()
  estimator.pong(lost, 3)
  t.equal(estimator.estimate(3), undefined)
  const second = estimator.sent(40 * KIB, 4) as Uint8Array
  estimator.pong(first, 5)
  t.equal(estimator.estimate(5), 80 * KIB)
  estimator.pong(second, 6)
  t.equal(estimator.estimate(6), 0)
})

t.test('one pong answers what was asked before it, and strangers answer nothing', async (t) => {
  const estimator = new InFlightEstimator()
  const questions = [1, 2, 3].map((at) => estimator.sent(100 * KIB, at) as Uint8Array)
  for (const payload of ['', 'sent', 'x', 'candy::linux::6::h', 'sent\xff\xff\xff\xff', 'sent\0\0\0\x03']) estimator.pong(Buffer.from(payload, 'latin1'), 4)
  t.equal(estimator.estimate(7), undefined)
  estimator.pong(Buffer.concat([questions[1], Buffer.alloc(1492)]), 5) // some answer with more than they were asked
  t.equal(estimator.estimate(7), 100 * KIB, 'two of three have arrived')
  estimator.pong(questions[0], 6)
  estimator.pong(questions[1], 6)
  t.equal(estimator.estimate(7), 100 * KIB, 'it counts once')
  estimator.pong(questions[2], 7)
  t.equal(estimator.estimate(7), 0)
})

t.test('however much is sent, only so many questions are open', async (t) => {
  const estimator = new InFlightEstimator()
  let asked = 0
  for (let i = 0; i < 100_000; i++) if (estimator.sent(64 * KIB, 0) !== undefined) asked++
  t.ok(asked > 32 && asked <= 128, `${asked}`)
})
