/** Requests: repeated, challenged, answered, failed (SHOW CHAIN protocol, sections 2.5, 3.3 and 5.2). */
import t from 'tap'
import { ManualClock } from '../../../helpers/clock.ts'
import type { ShowchainMessage } from '../../../../src/nodes/showchain/protocol/messages.ts'
import { Op } from '../../../../src/nodes/showchain/protocol/op.ts'
import { OpenRequests, PATIENCE, type RequestInit } from '../../../../src/nodes/showchain/protocol/requests.ts'
import { Sequence } from '../../../../src/nodes/showchain/protocol/sequence.ts'
import type { Endpoint } from '../../../../src/types.ts'

const OWN = Buffer.alloc(32, 1)
const OTHER = Buffer.alloc(32, 2)
const TO = { host: '192.0.2.1', port: 7 }
const ELSEWHERE = { host: '192.0.2.2', port: 8 }
const COOKIE = Buffer.alloc(16, 9)
const SIGN = Buffer.alloc(256)

class Bench {
  readonly clock = new ManualClock()
  readonly sent: Array<ShowchainMessage & { at: number, to: Endpoint }> = []
  readonly answers: Array<{ op: number, roundTrip: number }> = []
  failed = 0
  isBroken = false
  readonly requests = new OpenRequests({
    clock: this.clock,
    sequence: new Sequence(this.clock),
    identity: { id: OWN, der: Buffer.alloc(294) },
    send: (message, to) => {
      this.sent.push({ ...message, at: this.clock.now(), to })
      if (this.isBroken) return Promise.reject(new Error('no way'))
      return true
    }
  })

  open (init: Partial<RequestInit> = {}) {
    return this.requests.open({
      op: Op.directRequest,
      to: TO,
      target: OTHER,
      onAnswer: ({ message: { op } }, roundTrip) => { this.answers.push({ op, roundTrip }) },
      onFailed: () => { this.failed++ },
      ...init
    })
  }

  /** An answer to the last try. */
  answer (message: Partial<ShowchainMessage>, from: Endpoint = TO): boolean {
    const { seq, ts } = this.sent.at(-1) as ShowchainMessage
    const whole = { message: { op: Op.directResponse, id: OTHER, seq, ts, sign: SIGN, ip: Buffer.of(1, 2, 3, 4), port: 5, ...message }, from }
    const isExpected = this.requests.expects(whole)
    const isTaken = this.requests.receive(whole)
    t.equal(isTaken, isExpected, 'the cheap look says the same')
    return isTaken
  }
}

const times = ({ sent }: Bench): number[] => sent.map(({ at }) => at)

t.test('repeated with a new seq, then failed', async (t) => {
  const bench = new Bench()
  bench.open({ fields: (attempt) => ({ kind: attempt + 1 }) })
  await bench.clock.pass(PATIENCE - 1)
  t.same(times(bench), [0, 500, 1000, 2000, 4000])
  t.same(bench.sent.map(({ kind }) => kind), [1, 2, 3, 4, 5])
  const seqs = bench.sent.map(({ seq }) => seq)
  t.same(seqs, seqs.map((_, i) => seqs[0] + i))
  t.ok(seqs[0] > Math.floor(bench.clock.date()) * 1000 - PATIENCE * 1000, 'microseconds since 1970')
  t.equal(bench.failed, 0)
  await bench.clock.pass(1)
  t.equal(bench.failed, 1)
  t.equal(bench.requests.size, 0)
  t.notOk(bench.answer({}), 'it is over')
  t.same(bench.clock.waiting, [])
})

t.test('an answer has seq and ts of a try, the id, and the source', async (t) => {
  const bench = new Bench()
  const request = bench.open()
  await bench.clock.pass(30)
  const { seq, ts } = bench.sent[0]
  t.notOk(bench.answer({ seq: seq + 1 }))
  t.notOk(bench.answer({ ts: ts + 1 }))
  t.notOk(bench.answer({ id: OWN }))
  t.notOk(bench.answer({ op: Op.passResponseAck }))
  t.notOk(bench.answer({}, ELSEWHERE))
  t.ok(bench.answer({}))
  t.same(bench.answers, [{ op: Op.directResponse, roundTrip: 30 }])
  await bench.clock.pass(500)
  t.ok(bench.answer({ seq, ts }), 'of an earlier try')
  t.equal(bench.answers[1].roundTrip, 530)
  request?.close()
  request?.close()
  await bench.clock.pass(PATIENCE)
  t.equal(bench.failed, 0, 'closed')
  t.equal(bench.sent.length, 2)
})

t.test('a target that is not known', async (t) => {
  const bench = new Bench()
  bench.open({ target: new Uint8Array(32) })
  await bench.clock.pass(1)
  t.ok(bench.answer({ id: OWN }))
})

t.test('challenges: answered at once with the cookie, twice at most; the cookie is kept', async (t) => {
  const bench = new Bench()
  const challenge = { id: undefined, sign: undefined, cookie: COOKIE, ts: bench.clock.date() + 60_000 }
  bench.open()
  await bench.clock.pass(1)
  t.notOk(bench.answer(challenge, ELSEWHERE))
  for (const count of [2, 3, 3]) {
    t.ok(bench.answer(challenge))
    await bench.clock.pass(1)
    t.equal(bench.sent.length, count)
  }
  t.same(bench.sent.map(({ cookie }) => cookie), [undefined, COOKIE, COOKIE])
  t.ok(Math.abs((bench.requests.skew ?? 0) - 60_000) < 10, 'a clock that is ahead')
  t.same(bench.answers, [], 'a challenge is no answer')
  bench.open()
  await bench.clock.pass(1)
  t.same(bench.sent.at(-1)?.cookie, COOKIE)
  bench.open({ to: ELSEWHERE })
  await bench.clock.pass(1)
  t.equal(bench.sent.at(-1)?.cookie, undefined)
})

t.test('a request through a helper has two kinds of answers', async (t) => {
  const bench = new Bench()
  const request = bench.open({ op: Op.natRequest })
  await bench.clock.pass(1)
  t.notOk(bench.answer({ op: Op.directResponse }))
  t.notOk(bench.answer({ op: Op.passResponseAck }, ELSEWHERE), 'only by the helper')
  t.ok(bench.answer({ op: Op.passResponseAck }))
  t.notOk(bench.answer({ op: Op.response, target: OTHER }, ELSEWHERE), 'for somebody else')
  t.notOk(bench.answer({ op: Op.response, target: OWN, id: OWN }, ELSEWHERE), 'of somebody else')
  t.ok(bench.answer({ op: Op.response, target: OWN }, ELSEWHERE), 'from wherever it comes')
  request?.settle()
  await bench.clock.pass(PATIENCE - 2)
  t.equal(bench.sent.length, 1, 'settled: not repeated')
  t.equal(bench.failed, 0)
  t.ok(bench.answer({ op: Op.response, target: OWN }, ELSEWHERE), 'answers are still taken')
  await bench.clock.pass(1)
  t.equal(bench.failed, 1)
})

t.test('a request to a proxy', async (t) => {
  const bench = new Bench()
  bench.open({ op: Op.proxyRequest })
  await bench.clock.pass(1)
  t.notOk(bench.answer({ op: Op.proxyResponse, id: undefined, target: OWN }))
  t.notOk(bench.answer({ op: Op.proxyResponse, id: undefined, target: OTHER }, ELSEWHERE))
  t.ok(bench.answer({ op: Op.proxyResponse, id: undefined, target: OTHER }))
})

t.test('what could not be sent counts as lost', async (t) => {
  const bench = new Bench()
  bench.isBroken = true
  bench.open()
  await bench.clock.pass(PATIENCE)
  t.equal(bench.sent.length, 5)
  t.equal(bench.failed, 1)
})

t.test('bounded', async (t) => {
  const bench = new Bench()
  let refused = 0
  for (let i = 0; i < 1100; i++) if (bench.open({ repeats: [] }) === undefined) refused++
  t.equal(refused, 76)
  bench.requests.close()
  t.equal(bench.requests.size, 0)
  t.same(bench.clock.waiting, [])
})
