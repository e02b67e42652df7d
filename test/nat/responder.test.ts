/** A server of STUN: what it answers, to whom, and how little. */
import fc from 'fast-check'
import t from 'tap'
import { hex, mutate, random, toHex } from '../helpers/bytes.ts'
import { vector } from '../helpers/candy/vectors.ts'
import { mutations } from '../helpers/sample.ts'
import { OptionError } from '../../src/errors.ts'
import { decodeStun, encodeStun, StunResponder, type StunMessage, type StunMessageInit, type StunResponderInit, type StunResponse } from '../../src/nat/index.ts'
import { MAX_RESPONSE } from '../../src/nat/stun/responder.ts'
import type { Endpoint } from '../../src/types.ts'

const FOUR = [{ host: '192.0.2.1', port: 3478 }, { host: '192.0.2.1', port: 3479 }, { host: '192.0.2.2', port: 3478 }, { host: '192.0.2.2', port: 3479 }]
const CLIENT = { host: '203.0.113.7', port: 40_000 }
const ID = Buffer.alloc(12, 5)

const responderOf = (endpoints: readonly Endpoint[] = FOUR, init: Partial<StunResponderInit> = {}): StunResponder => new StunResponder({ endpoints, ...init }, 0)

const requestOf = (init: Partial<StunMessageInit> = {}): Uint8Array => encodeStun({ class: 'request', transaction: ID, ...init })

/** The only response. */
function ask (responder: StunResponder, data: Uint8Array, { at = 0, now = 0, from = CLIENT } = {}): StunResponse & { message: StunMessage } {
  const [response, ...more] = responder.receive({ ...from, data }, at, now)
  if (response === undefined || more.length > 0) throw new Error(`${more.length} responses more than one`)
  return { ...response, message: decodeStun(response.data)! }
}

t.test('a binding request, on each socket', async (t) => {
  const responder = responderOf()
  for (const [at, endpoint] of FOUR.entries()) {
    const { from, to, message } = ask(responder, requestOf(), { at })
    t.same([from, to], [at, CLIENT])
    t.same(message, { class: 'success', transaction: Uint8Array.from(ID), fingerprint: false, notUnderstood: [], xorMappedAddress: CLIENT, responseOrigin: endpoint, otherAddress: FOUR[at ^ 3] })
  }
  t.match(responder.stats, { requests: 4, responses: 4, changed: 0 })
})

t.test('the request of candy', async (t) => {
  t.match(ask(responderOf([FOUR[0]]), vector('stun_request').bytes).message, { class: 'success', xorMappedAddress: CLIENT, otherAddress: undefined })
})

t.test('IPv6, also IPv4 on a socket of both families', async (t) => {
  const responder = responderOf([{ host: '2001:db8::1', port: 1 }])
  const from = { host: '2001:db8::7', port: 9 }
  t.match(ask(responder, requestOf(), { from }).message, { xorMappedAddress: from, responseOrigin: { host: '2001:db8::1' } })
  t.match(ask(responderOf([{ host: '::', port: 1 }]), requestOf(), { from: { host: '::ffff:203.0.113.7', port: 9 } }), { to: { host: '::ffff:203.0.113.7' }, message: { xorMappedAddress: { host: '203.0.113.7', port: 9 }, responseOrigin: undefined } })
})

t.test('a request of RFC 3489', async (t) => {
  const { message } = ask(responderOf(), requestOf({ transaction: Buffer.alloc(16, 5) }))
  t.match(message, { mappedAddress: CLIENT, xorMappedAddress: undefined, responseOrigin: FOUR[0], otherAddress: FOUR[3] })
  const responder = responderOf()
  t.same(responder.receive({ ...CLIENT, data: requestOf({ transaction: Buffer.alloc(16, 5), changeRequest: { ip: true, port: true } }) }, 0, 0), [], 'such a client knows no nonce')
  t.equal(responder.stats.drops.nonce, 1)
})

t.test('a fingerprint is answered with one', async (t) => {
  t.equal(ask(responderOf(), requestOf({ fingerprint: true })).message.fingerprint, true)
})

t.test('a response from another socket goes to who has shown that it gets responses', async (t) => {
  const responder = responderOf()
  const changes = [[true, true, 3], [false, true, 1], [true, false, 2]] as const
  for (const [ip, port, other] of changes) {
    for (let at = 0; at < 4; at++) {
      const changeRequest = { ip, port }
      const first = ask(responder, requestOf({ changeRequest }), { at })
      t.match(first, { from: at, message: { class: 'error', error: { code: 438 }, xorMappedAddress: undefined } })
      const { nonce } = first.message
      const second = ask(responder, requestOf({ changeRequest, nonce }), { at })
      t.match(second, { from: at ^ other, to: CLIENT, message: { class: 'success', xorMappedAddress: CLIENT, responseOrigin: FOUR[at ^ other] } })
    }
  }
  t.match(responder.stats, { requests: 24, responses: 12, changed: 12, errors: { nonce: 12 } })
})

t.test('a nonce is for one source and a while', async (t) => {
  const responder = responderOf()
  const changeRequest = { ip: true, port: true }
  const { nonce } = ask(responder, requestOf({ changeRequest }), { now: 59_999 }).message
  const again = (init: object, bytes = nonce): number => ask(responder, requestOf({ changeRequest, nonce: bytes }), { now: 60_000, ...init }).from
  t.equal(again({}), 3)
  t.equal(again({ now: 119_999 }), 3)
  t.equal(again({ now: 120_000 }), 0, 'too late')
  t.equal(again({ from: { ...CLIENT, port: 40_001 } }), 0, 'another port')
  t.equal(again({ from: { ...CLIENT, host: '203.0.113.8' } }), 0, 'another address')
  t.equal(again({}, Buffer.alloc(0)), 0)
  t.equal(again({}, nonce?.subarray(1)), 0)
  t.equal(again({}, Buffer.from(nonce!).fill(65, 3, 4).fill(66, 4, 5)), 0)
  const other = responderOf()
  t.equal(ask(other, requestOf({ changeRequest, nonce })).from, 0, 'of another server')
})

t.test('what it cannot change, and attributes that it does not know', async (t) => {
  for (const [endpoints, changeRequest] of [[[FOUR[0]], { ip: false, port: true }], [FOUR.slice(0, 2), { ip: true, port: false }], [FOUR.slice(0, 2), { ip: true, port: true }]] as const) {
    t.match(ask(responderOf(endpoints), requestOf({ changeRequest })).message, { class: 'error', error: { code: 420 }, unknownAttributes: [3] })
  }
  t.match(ask(responderOf(FOUR.slice(0, 2)), requestOf()).message.otherAddress, FOUR[1], 'a server of one address tells of its other port')
  const unknown = Buffer.concat([requestOf(), ...Array(20).fill(hex('00060000'))])
  unknown.writeUInt16BE(unknown.length - 20, 2)
  t.match(ask(responderOf(), unknown).message, { error: { code: 420 }, unknownAttributes: Array(8).fill(6) })
})

t.test('what gets no answer', async (t) => {
  const responder = responderOf()
  const silent = (data: Uint8Array, from = CLIENT): void => { t.same(responder.receive({ ...from, data }, 0, 0), []) }
  silent(Buffer.alloc(0))
  silent(Buffer.from('hello'))
  silent(requestOf({ software: 'x'.repeat(600) }))
  silent(requestOf(), { ...CLIENT, port: 0 })
  for (const kind of ['indication', 'success', 'error'] as const) silent(requestOf({ class: kind }))
  t.match(responder.stats, { requests: 0, responses: 0, drops: { malformed: 4, class: 3, source: 0, total: 0 } })
})

t.test('two servers do not answer each other', async (t) => {
  const responder = responderOf()
  const { data } = ask(responder, requestOf(), { from: FOUR[1] })
  t.same(responder.receive({ ...FOUR[0], data }, 1, 0), [])
})

t.test('rates, of a source and of all', async (t) => {
  const responder = responderOf(FOUR, { source: { rate: 1, burst: 3 }, total: { rate: 10 } })
  const count = (hosts: string[], now: number): number => hosts.filter((host) => responder.receive({ host, port: 1, data: requestOf() }, 0, now).length > 0).length
  t.equal(count(Array(10).fill('203.0.113.7'), 0), 3)
  t.equal(count(Array.from({ length: 10 }, (_, i) => `2001:db8::${i + 1}`), 0), 3, 'a /64 is one source')
  t.equal(count(Array.from({ length: 10 }, (_, i) => `198.51.100.${i}`), 0), 4, 'ten in all')
  t.equal(count(Array(10).fill('203.0.113.7'), 1000), 1)
  t.match(responder.stats, { requests: 11, drops: { source: 7 + 7 + 9, total: 6 } })
})

t.test('a flood of sources leaves a bounded table, and no more answers than the rate', async (t) => {
  const responder = responderOf(FOUR, { maxSources: 100, total: { rate: 1000 } })
  let answers = 0
  for (let i = 0; i < 20_000; i++) answers += responder.receive({ host: `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, port: 9, data: requestOf() }, 0, i / 20).length
  t.equal(answers, 1000 + 999)
  t.equal(responder.stats.drops.total, 20_000 - answers)
})

t.test('whatever comes: one short response at most, to where it came from, from another socket only with a nonce', async (t) => {
  const below = random(3)
  const responder = responderOf(FOUR, { source: { rate: 1e9 }, total: { rate: 1e9 } })
  const { nonce } = ask(responder, requestOf({ changeRequest: { ip: true, port: true } })).message
  const samples = [
    requestOf(), requestOf({ changeRequest: { ip: true, port: true }, nonce }), requestOf({ changeRequest: { ip: true, port: false } }), requestOf({ fingerprint: true }),
    requestOf({ transaction: Buffer.alloc(16, 1) }), Buffer.concat([requestOf(), hex('00060000')])
  ]
  let answered = 0
  for (let i = mutations(); i > 0; i--) {
    const data = Buffer.from(mutate(samples[below(samples.length)], below))
    if (below(2) === 0 && data.length >= 20) data.writeUInt16BE(data.length - 20, 2)
    const at = below(4)
    const responses = responder.receive({ ...CLIENT, host: below(2) === 0 ? CLIENT.host : '2001:db8::5', data }, at, 0)
    answered += responses.length
    if (responses.length > 1) t.fail(`two responses: ${toHex(data)}`)
    for (const { from, data: bytes } of responses) {
      if (bytes.length > MAX_RESPONSE || decodeStun(bytes) === undefined) t.fail(`a wrong response: ${toHex(data)}`)
      if (from !== at && !toHex(decodeStun(data)?.nonce ?? hex('')).startsWith(toHex(nonce!))) t.fail(`from another socket: ${toHex(data)}`)
    }
  }
  t.ok(answered > 500, `${answered} were answered`)
})

t.test('the longest responses', async (t) => {
  const six = ['2001:db8::1', '2001:db8::2'].flatMap((host) => [1, 2].map((port) => ({ host, port })))
  const from = { host: '2001:db8::5', port: 5 }
  t.equal(ask(responderOf(six), requestOf({ fingerprint: true }), { from }).data.length, MAX_RESPONSE)
  fc.assert(fc.property(fc.array(fc.nat(0x7fff), { minLength: 1, maxLength: 20 }), (types) => {
    const data = Buffer.concat([requestOf(), ...types.map((type) => Buffer.from([type >> 8, type & 255, 0, 0]))])
    data.writeUInt16BE(data.length - 20, 2)
    return responderOf(six).receive({ ...from, data }, 0, 0).every((response) => response.data.length <= MAX_RESPONSE)
  }), { seed: 3 })
})

t.test('options', async (t) => {
  const [a, b, c, d] = FOUR
  for (const endpoints of [[], [a, b, c], [a, c], [a, a], [a, b, c, { ...d, port: 3480 }], [a, b, a, b], [a, b, { ...c, port: 1 }, d], [{ host: 'name.example', port: 1 }], [{ host: '192.0.2.1', port: 70_000 }]]) {
    t.throws(() => responderOf(endpoints), OptionError, JSON.stringify(endpoints))
  }
  t.throws(() => responderOf(FOUR, { source: { rate: 0 } }), OptionError)
  t.throws(() => responderOf(FOUR, { total: { rate: -1 } }), OptionError)
  t.throws(() => responderOf(FOUR, { maxSources: 0 }), OptionError)
})
