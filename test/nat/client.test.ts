/** A client of STUN, by the datagrams that it sends and gets. */
import t from 'tap'
import { hex } from '../helpers/bytes.ts'
import { decodeStun, encodeStun, isStun, StunClient, type StunClientInit, type StunMessageInit } from '../../src/nat/index.ts'
import { OptionError } from '../../src/errors.ts'
import type { Datagram, Endpoint } from '../../src/types.ts'

const ONE = { host: '192.0.2.1', port: 3478 }
const TWO = { host: '198.51.100.1', port: 3478 }
const OUTSIDE = { host: '203.0.113.7', port: 40_000 }

/** Transactions of 0, 1, 2 and so on. */
function counter (): (bytes: Uint8Array) => void {
  let next = 0
  return (bytes) => { bytes.fill(next++) }
}

const client = (init: Partial<StunClientInit> = {}): StunClient => new StunClient({ servers: [ONE, TWO], fillRandom: counter(), ...init })

/** An answer of the server that the request went to. */
function answerTo ({ host, port, data }: Datagram, init: Partial<StunMessageInit> = { xorMappedAddress: OUTSIDE }): Datagram {
  return { host, port, data: encodeStun({ class: 'success', transaction: decodeStun(data)!.transaction, ...init }) }
}

const ports = (datagrams: Datagram[]): Endpoint[] => datagrams.map(({ host, port }) => ({ host, port }))

t.test('each server is asked three times, and then given up', async (t) => {
  const stun = client()
  t.same([stun.poll(0), stun.deadline, stun.isDone], [[], undefined, false])
  stun.start(1000)
  t.equal(stun.deadline, 1000)
  const first = stun.poll(1000)
  t.same(ports(first), [ONE, TWO])
  t.ok(first.every(({ data }) => isStun(data) && data.length === 20))
  t.same([stun.poll(1499), stun.deadline], [[], 1500])
  t.same(stun.poll(1500), first, 'the same bytes')
  t.equal(stun.deadline, 2500)
  t.equal(stun.poll(2500).length, 2)
  t.equal(stun.deadline, 4500)
  t.notOk(stun.isDone)
  t.same([stun.poll(4500), stun.deadline, stun.isDone], [[], undefined, true])
  t.same(stun.results, [{ server: ONE, status: 'no answer' }, { server: TWO, status: 'no answer' }])
  t.equal(stun.reflexive, undefined)
})

t.test('answers, plain and by XOR', async (t) => {
  const stun = client()
  stun.start(0)
  const [one, two] = stun.poll(0)
  t.equal(stun.agree, undefined)
  t.ok(stun.receive(answerTo(two, { mappedAddress: OUTSIDE }), 25))
  t.same([stun.reflexive, stun.agree, stun.isDone], [OUTSIDE, undefined, false])
  t.ok(stun.receive(answerTo(one), 30))
  t.same(stun.results, [{ server: ONE, status: 'answered', reflexive: OUTSIDE, roundTrip: 30 }, { server: TWO, status: 'answered', reflexive: OUTSIDE, roundTrip: 25 }])
  t.same([stun.agree, stun.isDone, stun.deadline], [true, true, undefined])
  t.ok(stun.receive(answerTo(one, { xorMappedAddress: { ...OUTSIDE, port: 1 } }), 31), 'a second answer is its own, too')
  t.same(stun.results[0].reflexive, OUTSIDE, 'and changes nothing')
})

t.test('other datagrams are not its own', async (t) => {
  const stun = client({ servers: [ONE] })
  const early = encodeStun({ class: 'success', transaction: Buffer.alloc(12), xorMappedAddress: OUTSIDE })
  stun.start(0)
  t.notOk(stun.receive({ ...ONE, data: early }, 0), 'before the request was sent')
  const [request] = stun.poll(0)
  const right = answerTo(request)
  const wrong: Record<string, Datagram> = {
    'another transaction': { ...ONE, data: encodeStun({ class: 'success', transaction: Buffer.alloc(12, 9), xorMappedAddress: OUTSIDE }) },
    'another address': { ...right, host: '192.0.2.2' },
    'another port': { ...right, port: 3479 },
    'an attribute that is cut off': { ...ONE, data: Buffer.concat([hex('01010008'), right.data.subarray(4, 28)]) },
    'a request': { ...ONE, data: encodeStun({ class: 'request', transaction: Buffer.alloc(12) }) },
    'an indication': { ...ONE, data: encodeStun({ class: 'indication', transaction: Buffer.alloc(12) }) },
    'a wrong fingerprint': { ...ONE, data: Buffer.concat([encodeStun({ class: 'success', transaction: Buffer.alloc(12), xorMappedAddress: OUTSIDE, fingerprint: true }).subarray(0, -1), hex('00')]) },
    'no STUN': { ...ONE, data: Buffer.alloc(60, 1) },
    empty: { ...ONE, data: Buffer.alloc(0) }
  }
  for (const [what, datagram] of Object.entries(wrong)) t.notOk(stun.receive(datagram, 1), what)
  t.match(stun.results, [{ status: 'pending' }])
  t.ok(stun.receive({ ...right, host: '::ffff:192.0.2.1' }, 2), 'the address as a socket of both families has it')
  t.match(stun.results, [{ status: 'answered', roundTrip: 2 }])
})

t.test('errors have a text', async (t) => {
  const cases: Array<[Partial<StunMessageInit>, string]> = [
    [{ class: 'error', error: { code: 400, reason: 'Bad Request' } }, '400 Bad Request'],
    [{ class: 'error', error: { code: 500, reason: '' } }, '500'],
    [{ class: 'error' }, 'an error without a code'],
    [{}, 'a response without an endpoint'],
    [{ xorMappedAddress: { ...OUTSIDE, port: 0 } }, 'a response without an endpoint']
  ]
  for (const [init, error] of cases) {
    const stun = client({ servers: [ONE] })
    stun.start(0)
    t.ok(stun.receive(answerTo(stun.poll(0)[0], init), 1))
    t.same(stun.results, [{ server: ONE, status: 'error', error }])
    t.equal(stun.reflexive, undefined)
  }
  const stun = client({ servers: [ONE] })
  stun.start(0)
  stun.poll(0)
  t.ok(stun.receive({ ...ONE, data: hex(`0101 0008 2112a442 ${'00'.repeat(12)} 00080004 00000000`) }, 1))
  t.match(stun.results, [{ status: 'error', error: 'attributes that are not known: 0x0008' }])
})

t.test('an answer after several requests has no round trip', async (t) => {
  const stun = client({ servers: [ONE] })
  stun.start(0)
  stun.poll(0)
  const [second] = stun.poll(500)
  t.ok(stun.receive(answerTo(second), 501))
  t.same(stun.results, [{ server: ONE, status: 'answered', reflexive: OUTSIDE }])
})

t.test('servers that see different endpoints', async (t) => {
  const stun = client()
  stun.start(0)
  const [one, two] = stun.poll(0)
  stun.receive(answerTo(one), 1)
  stun.receive(answerTo(two, { xorMappedAddress: { ...OUTSIDE, port: 40_001 } }), 1)
  t.equal(stun.agree, false)
  const both = client()
  both.start(0)
  const [ipv4, ipv6] = both.poll(0)
  both.receive(answerTo(ipv4), 1)
  both.receive(answerTo(ipv6, { xorMappedAddress: { host: '2001:db8::1', port: 1 } }), 1)
  t.equal(both.agree, undefined, 'families are not compared')
})

t.test('it is started again', async (t) => {
  const stun = client({ servers: [ONE] })
  stun.start(0)
  const [old] = stun.poll(0)
  stun.receive(answerTo(old), 1)
  stun.start(10_000)
  t.same([stun.deadline, stun.reflexive], [10_000, OUTSIDE])
  t.match(stun.results, [{ status: 'pending' }])
  const [request] = stun.poll(10_000)
  t.not(decodeStun(request.data)?.transaction[0], decodeStun(old.data)?.transaction[0])
  t.notOk(stun.receive(answerTo(old), 10_001), 'an answer to the request before')
  const moved = { ...OUTSIDE, port: 50_000 }
  stun.receive(answerTo(request, { xorMappedAddress: moved }), 10_002)
  t.same(stun.reflexive, moved)
  stun.start(20_000)
  stun.poll(20_000)
  stun.stop()
  t.same([stun.isDone, stun.deadline, stun.reflexive], [true, undefined, undefined])
})

t.test('options', async (t) => {
  for (const init of [
    { servers: [] }, { servers: Array(17).fill(ONE) }, { servers: [{ host: 'stun.example', port: 1 }] }, { servers: [{ host: '192.0.2.1', port: 0 }] },
    { tries: 0 }, { tries: 17 }, { tries: 1.5 }, { timeout: 0 }
  ]) t.throws(() => client(init), OptionError, JSON.stringify(init).slice(0, 60))
  const once = client({ servers: [ONE], tries: 1, timeout: 10 })
  once.start(0)
  once.poll(0)
  t.equal(once.deadline, 10)
  once.poll(10)
  t.ok(once.isDone)
})
