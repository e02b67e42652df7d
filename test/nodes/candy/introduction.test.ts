/** What our peers add to CONN. */
import { deepEqual, equal, ok } from 'node:assert/strict'
import fc from 'fast-check'
import t from 'tap'
import { encodeIntroduction, introductionIn, KEY_ID_BYTES, MAX_CANDIDATES, PUBLIC_KEY_BYTES, type CandidateKind, type Introduction } from '../../../src/nodes/candy/protocol/introduction.ts'
import { decodeConn, encodeConn, MAX_LENGTH } from '../../../src/nodes/candy/protocol/messages.ts'
import { mutate, random, toHex } from '../../helpers/bytes.ts'
import { mutations } from '../../helpers/sample.ts'
import { address } from '../../helpers/candy/vectors.ts'

const VERSION = 15 + 4
const COUNT = 15 + 7
const CANDIDATES = 15 + 52

const conn = encodeConn({ source: address('10.77.0.1'), destination: address('10.77.0.2'), address: address('203.0.113.9'), port: 5000 })
const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
const bytes = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })

const introductions: fc.Arbitrary<Introduction> = fc.record({
  nat: fc.integer({ min: 0, max: 255 }),
  index: u32,
  publicKey: bytes(PUBLIC_KEY_BYTES),
  known: bytes(KEY_ID_BYTES),
  candidates: fc.array(fc.record({ kind: fc.constantFrom<CandidateKind>('host', 'reflexive', 'mapped'), address: u32, port: fc.integer({ min: 0, max: 65_535 }) }, { noNullPrototype: true }), { maxLength: MAX_CANDIDATES })
}, { noNullPrototype: true })

const sample: Introduction = {
  nat: 0x11,
  index: 0xdeadbeef,
  publicKey: new Uint8Array(PUBLIC_KEY_BYTES).fill(0xaa),
  known: new Uint8Array(KEY_ID_BYTES).fill(0xbb),
  candidates: [{ kind: 'host', address: address('192.168.1.2'), port: 5000 }, { kind: 'mapped', address: address('203.0.113.9'), port: 6000 }]
}

const plain = ({ publicKey, known, ...rest }: Introduction): object => ({ ...rest, publicKey: toHex(publicKey), known: toHex(known) })

t.test('the bytes of the description', async (t) => {
  t.equal(toHex(encodeIntroduction(sample)), '74756e7001001102deadbeef' + 'aa'.repeat(32) + 'bb'.repeat(8) + '00c0a801021388' + '02cb0071091770')
})

t.test('what is encoded is read again, with anything behind it, and CONN in front stays what it is', async () => {
  fc.assert(fc.property(introductions, fc.uint8Array({ maxLength: 100 }), (introduction, tail) => {
    const message = Buffer.concat([conn, encodeIntroduction(introduction), tail])
    ok(message.length <= MAX_LENGTH)
    const read = introductionIn(message)
    ok(read !== undefined)
    deepEqual(plain(read), plain(introduction))
    deepEqual(decodeConn(message), decodeConn(conn))
  }))
})

t.test('every truncation is none', async () => {
  fc.assert(fc.property(introductions, (introduction) => {
    const message = Buffer.concat([conn, encodeIntroduction(introduction)])
    for (let length = 0; length < message.length; length++) equal(introductionIn(message.subarray(0, length)), undefined)
  }), { numRuns: 30 })
})

t.test('another magic, another version, too many candidates: none', async (t) => {
  const message = Buffer.concat([conn, encodeIntroduction(sample)])
  const numbers = Array.from({ length: 256 }, (_, i) => i)
  t.same(numbers.filter((version) => {
    message[VERSION] = version
    return introductionIn(message) !== undefined
  }), [1])
  message[VERSION] = 1
  for (let at = 15; at < VERSION; at++) {
    message[at] ^= 1
    t.equal(introductionIn(message), undefined, `byte ${at}`)
    message[at] ^= 1
  }
  const long = Buffer.concat([message, Buffer.alloc(300 * 7)])
  t.same(numbers.flatMap((count) => {
    long[COUNT] = count
    return introductionIn(long)?.candidates.length ?? []
  }), numbers.slice(0, MAX_CANDIDATES + 1))
  t.equal(introductionIn(conn), undefined)
})

t.test('more candidates than there may be are not encoded, and unknown kinds are left out', async (t) => {
  const many = { ...sample, candidates: Array.from({ length: 20 }, (_, i) => ({ kind: 'host' as const, address: i, port: i })) }
  const message = Buffer.concat([conn, encodeIntroduction(many)])
  t.equal(introductionIn(message)?.candidates.length, MAX_CANDIDATES)
  message[CANDIDATES] = 3
  message[CANDIDATES + 7] = 255
  t.same(introductionIn(message)?.candidates.map(({ port }) => port), [2, 3, 4, 5, 6, 7])
})

t.test('damaged ones are undefined or of valid values', async (t) => {
  const below = random(27)
  const message = Buffer.concat([conn, encodeIntroduction(sample)])
  let wrong = 0
  let read = 0
  const count = mutations()
  for (let i = 0; i < count; i++) {
    const introduction = introductionIn(mutate(message, below))
    if (introduction === undefined) continue
    read++
    const { index, publicKey, known, candidates, nat } = introduction
    const isValid = publicKey.length === PUBLIC_KEY_BYTES && known.length === KEY_ID_BYTES && index === index >>> 0 && nat >= 0 && nat < 256 &&
      candidates.length <= MAX_CANDIDATES && candidates.every(({ kind, address, port }) => ['host', 'reflexive', 'mapped'].includes(kind) && address === address >>> 0 && port <= 65_535)
    if (!isValid) wrong++
  }
  t.equal(wrong, 0)
  t.ok(read > count / 10, `${read} of ${count} were still introductions`)
})
