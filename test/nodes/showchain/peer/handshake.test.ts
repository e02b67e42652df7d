import t from 'tap'
import { Answering } from '../../../../src/nodes/showchain/peer/answering.ts'
import { decodeAnswer, decodeOffer, encodeAnswer, encodeOffer, type Agreement } from '../../../../src/nodes/showchain/peer/handshake.ts'
import { cutParts, PartsAssembler, readPart, Stage, type HandshakePart } from '../../../../src/nodes/showchain/peer/handshake-parts.ts'
import { Offering } from '../../../../src/nodes/showchain/peer/offering.ts'
import { VirtualClock } from '../../../../src/streams/virtual-clock.ts'
import { mutate, random, toHex } from '../../../helpers/bytes.ts'
import { instant, InstantKeys } from '../../../helpers/showchain/instant.ts'
import { identity } from '../../../helpers/showchain/keys.ts'
import { mutations } from '../../../helpers/sample.ts'
import type { Batch } from '../../../../src/types.ts'

const DATE = 1_700_000_000_000
const NAME = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 8])

/** Stands for the path of both ends. */
const PATH = {}

const partOf = (packet: Uint8Array): HandshakePart => readPart(packet) as HandshakePart

function handshake ({ offset = 0, signer = 'a' as 'a' | 'c', answerer = 'b' as 'b' | 'c' } = {}) {
  const clock = new VirtualClock({ date: DATE })
  const theirs = new VirtualClock({ date: DATE + offset })
  const offers: Batch[] = []
  const answers: Batch[] = []
  const agreed: Array<Agreement | undefined> = [undefined, undefined]
  const released: number[] = []
  const failures: string[] = []
  const offering = new Offering({
    clock,
    identity: { ...instant(identity(signer)), ...signer === 'a' ? {} : { der: identity('a').der, id: identity('a').id } },
    keys: new InstantKeys(),
    target: identity('b').id,
    index: 77,
    send: (parts) => { offers.push(parts) },
    onAgreed: (agreement) => { agreed[0] = agreement },
    onFailed: (err) => { failures.push(err.code) }
  })
  const answering = new Answering({
    clock: theirs,
    identity: { ...instant(identity(answerer)), id: identity('b').id, ...answerer === 'b' ? {} : { der: identity('b').der } },
    keys: new InstantKeys(),
    requester: identity('a').id,
    claimIndex: () => 88,
    releaseIndex: (index) => { released.push(index) },
    onAgreed: (agreement) => { agreed[1] = agreement }
  })
  const offer = (parts: Batch, now = clock.now(), from: object = PATH): void => { for (const packet of parts) answering.receive(partOf(packet), packet.subarray(1, 9), from, now, (sent) => { answers.push(sent) }) }
  let forged = 0
  const answer = (parts: Batch, from: object = PATH): void => { for (const packet of parts) offering.receive(partOf(packet), from, clock.now(), () => { forged++ }) }
  return { clock, theirs, offering, answering, offers, answers, agreed, released, failures, offer, answer, forged: () => forged }
}

t.test('both ends agree on keys and indexes', async (t) => {
  const h = handshake()
  await h.clock.pass(0)
  t.equal(h.offers.length, 1)
  t.equal(h.offers[0].length, 2)
  t.ok(h.offers[0].every((part) => part.length <= 492))
  h.offer(h.offers[0])
  await h.clock.pass(0)
  h.answer(h.answers[0])
  await h.clock.pass(0)
  const [here, there] = h.agreed as [Agreement, Agreement]
  t.match(here, { indexIn: 77, indexOut: 88 })
  t.match(there, { indexIn: 88, indexOut: 77 })
  t.equal(toHex(here.keys.send), toHex(there.keys.receive))
  t.equal(toHex(here.keys.receive), toHex(there.keys.send))
  t.not(toHex(here.keys.send), toHex(here.keys.receive))
})

t.test('the same offer has the same answer, and not too often', async (t) => {
  const h = handshake()
  await h.clock.pass(0)
  h.offer(h.offers[0])
  await h.clock.pass(0)
  h.offer(h.offers[0], 50)
  t.equal(h.answers.length, 1, 'within 100 ms')
  h.offer(h.offers[0].slice(1), 100)
  h.offer(h.offers[0].slice(0, 1), 200)
  t.equal(h.answers.length, 3, 'any part of it is enough')
  t.same(h.answers[1], h.answers[0])
  t.same(h.answers[2], h.answers[0])
})

t.test('the offer is repeated, and fails in the end', async (t) => {
  const h = handshake()
  const times: number[] = []
  for (let at = 0; at < 16_000; at += 100) {
    await h.clock.pass(100)
    while (times.length < h.offers.length) times.push(at + 100)
  }
  t.same(times, [100, 500, 1000, 2000, 4000, 6000, 8000, 10_000, 12_000])
  t.same(h.offers[3], h.offers[0], 'the same bytes')
  t.same(h.failures, ['ERR_HANDSHAKE'])
})

t.test('offers that are not fresh, not newer, or of somebody else (rows 2, 3)', async (t) => {
  for (const [offset, count] of [[30_000, 1], [-30_000, 1], [30_001, 0], [-30_001, 0]]) {
    const h = handshake({ offset })
    await h.clock.pass(0)
    h.offer(h.offers[0])
    await h.clock.pass(0)
    t.equal(h.answers.length, count, `${offset} ms`)
    t.equal(h.answering.drops.stale, 1 - count)
  }
  const late = handshake()
  await late.clock.pass(0)
  late.offer(late.offers[0])
  await late.clock.pass(0)
  const other = handshake()
  await other.clock.pass(0)
  late.offer(other.offers[0])
  await late.clock.pass(0)
  t.equal(late.answers.length, 1, 'the ts of the last one')
  t.equal(late.answering.drops.stale, 1)

  const forged = handshake({ signer: 'c' })
  await forged.clock.pass(0)
  forged.offer(forged.offers[0])
  await forged.clock.pass(0)
  t.equal(forged.answers.length, 0)
  t.equal(forged.answering.drops.forged, 1)

  const answered = handshake({ answerer: 'c' })
  await answered.clock.pass(0)
  answered.offer(answered.offers[0])
  await answered.clock.pass(0)
  answered.answer(answered.answers[0])
  await answered.clock.pass(0)
  t.equal(answered.agreed[0], undefined, 'an answer of somebody else')
  t.equal(answered.forged(), 1)
})

t.test('one bit changed in an offer or an answer (row 2)', async (t) => {
  const h = handshake()
  await h.clock.pass(0)
  const offer = Buffer.concat(h.offers[0].map((part) => part.subarray(12)))
  h.offer(h.offers[0])
  await h.clock.pass(0)
  const answer = Buffer.concat(h.answers[0].map((part) => part.subarray(12)))
  const handshakeName = h.offers[0][0].slice(1, 9)
  let accepted = 0
  for (let bit = 0; bit < offer.length * 8; bit += 97) {
    const other = handshake()
    const altered = Buffer.from(offer)
    altered[bit >> 3] ^= 1 << (bit & 7)
    other.offer(cutParts(handshakeName, Stage.OFFER, altered))
    await other.clock.pass(0)
    accepted += other.answers.length
    other.offering.close()
  }
  t.equal(accepted, 0, 'offers')
  for (let bit = 0; bit < answer.length * 8; bit += 97) {
    const altered = Buffer.from(answer)
    altered[bit >> 3] ^= 1 << (bit & 7)
    h.answer(cutParts(handshakeName, Stage.ANSWER, altered))
    await h.clock.pass(0)
  }
  t.equal(h.agreed[0], undefined, 'answers')
  h.answer(h.answers[0])
  await h.clock.pass(0)
  t.ok(h.agreed[0], 'that did no harm to the right one')
})

t.test('an ephemeral key that gives no secret is refused', async (t) => {
  const h = handshake()
  await h.clock.pass(0)
  const key = identity('a')
  const { offerBytes } = await import('../../../../src/nodes/showchain/protocol/signatures.ts')
  const values = { requester: key.id, target: identity('b').id, handshake: NAME, index: 5, ephemeral: new Uint8Array(32), ts: DATE }
  const offer = encodeOffer({ index: 5, ephemeral: values.ephemeral, ts: DATE, key: key.der, sign: key.sign(offerBytes(values)) })
  h.offer(cutParts(NAME, Stage.OFFER, offer))
  await h.clock.pass(0)
  t.equal(h.answers.length, 0)
  t.same(h.released, [88])
})

t.test('parts in any order; incomplete ones are bounded', async (t) => {
  const bytes = Uint8Array.from({ length: 1500 }, (_, i) => i)
  const parts = cutParts(NAME, Stage.OFFER, bytes).map(partOf)
  t.equal(parts.length, 4)
  const assembler = new PartsAssembler()
  t.equal(assembler.add(parts[2], 0), undefined)
  t.equal(assembler.add(parts[2], 0), undefined, 'a second time')
  assembler.add(parts[0], 0)
  assembler.add(parts[3], 0)
  t.same(new Uint8Array(assembler.add(parts[1], 0) as Uint8Array), bytes)
  t.equal(assembler.size, 0)

  for (let i = 0; i < 100; i++) assembler.add(partOf(cutParts(Uint8Array.from({ length: 8 }, () => i), Stage.OFFER, bytes)[0]), 0)
  t.equal(assembler.size, 4)

  const another = new PartsAssembler()
  for (const part of parts.slice(0, 3)) another.add(part, 0)
  t.equal(another.add(parts[3], 15_000), undefined, 'the others are too old')
  another.add({ ...parts[0], parts: 3 }, 15_000)
  t.equal(another.size, 1, 'another number of parts changes nothing')
})

t.test('what is no part, offer or answer', async (t) => {
  const [whole, rest] = cutParts(NAME, Stage.OFFER, new Uint8Array(500))
  const bad = [
    new Uint8Array(0), whole.subarray(0, 12), Buffer.concat([whole, Buffer.alloc(1)]), whole.subarray(0, 400),
    Uint8Array.from([...rest.subarray(0, 9), 3, ...rest.subarray(10)]), Uint8Array.from([...rest.subarray(0, 10), 2, 2, ...rest.subarray(12)]),
    Uint8Array.from([...rest.subarray(0, 10), 0, 5, ...rest.subarray(12)]), Uint8Array.from([0xc1, ...rest.subarray(1)])
  ]
  for (const packet of bad) t.equal(readPart(packet), undefined, toHex(packet.subarray(0, 12)))

  const message = { index: 7, ephemeral: new Uint8Array(32).fill(3), key: new Uint8Array(294).fill(4), sign: new Uint8Array(256).fill(5), ts: DATE }
  const offer = encodeOffer(message)
  const answer = encodeAnswer(message)
  t.match(decodeOffer(offer), { index: 7, ts: DATE })
  t.match(decodeAnswer(answer), { index: 7 })
  for (let length = 0; length < 48 + 294; length++) {
    if (decodeOffer(offer.subarray(0, length)) !== undefined) t.fail(`an offer of ${length} bytes`)
    if (decodeAnswer(answer.subarray(0, length)) !== undefined && length < 39 + 294 + 1) t.fail(`an answer of ${length} bytes`)
  }
  t.equal(decodeOffer(Uint8Array.from([2, ...offer.subarray(1)])), undefined, 'another version')
  t.equal(decodeOffer(encodeOffer({ ...message, index: 0 })), undefined, 'index 0')

  const below = random(41)
  const assembler = new PartsAssembler()
  const samples = [...cutParts(NAME, Stage.OFFER, offer), ...cutParts(NAME, Stage.ANSWER, answer)]
  for (let i = mutations(); i > 0; i--) {
    const part = readPart(mutate(samples[below(samples.length)], below))
    const bytes = part === undefined ? undefined : assembler.add(part, i)
    if (bytes !== undefined) {
      decodeOffer(bytes)
      decodeAnswer(bytes)
    }
  }
  t.ok(assembler.size <= 4)
})

t.test('what comes by one path spoils nothing that comes by another one', async (t) => {
  const h = handshake()
  const evil = {}
  await h.clock.pass(0)
  const spoilt = (parts: Batch): Batch => parts.slice(0, 1).map((part) => part.map((byte, i) => i === part.length - 1 ? byte ^ 1 : byte))
  h.offer(spoilt(h.offers[0]), 0, evil)
  for (let i = 0; i < 8; i++) h.offer(spoilt(h.offers[0]).map((part) => part.fill(i, 1, 9)), 0, evil)
  h.offer(h.offers[0])
  await h.clock.pass(0)
  t.equal(h.answers.length, 1)
  h.answer(spoilt(h.answers[0]), evil)
  h.answer(h.answers[0])
  await h.clock.pass(0)
  t.ok(h.agreed[0])
  t.equal(h.forged(), 0, 'nobody is blamed for the part of another path')
})

t.test('offers of one R that are answered are bounded', async (t) => {
  const h = handshake()
  await h.clock.pass(0)
  let answered = 0
  for (let i = 0; i < 40; i++) {
    await h.theirs.pass(1)
    const offers: Batch[] = []
    const offering = new Offering({ clock: h.theirs, identity: instant(identity('a')), keys: new InstantKeys(), target: identity('b').id, index: 77, send: (parts) => { offers.push(parts) }, onAgreed: () => {}, onFailed: () => {} })
    await h.theirs.pass(0)
    h.offer(offers[0])
    await h.theirs.pass(0)
    offering.close()
    answered = h.answers.length
  }
  t.equal(answered, 16)
  t.equal(h.answering.drops.busy, 24)
})
