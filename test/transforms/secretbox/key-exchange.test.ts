import t from 'tap'
import { over, stack } from '../../../src/layer.ts'
import {
  answerOffer, exchangeKeys, KeyExchangeServer, KeyOffer, lengthPrefix, rustdeskLength, SecretboxDecoder, SecretboxEncoder
} from '../../../src/transforms/index.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import type { Link } from '../../../src/types.ts'
import { cut, hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { byDefault as nacl, CLIENT_SECRET, nacls, SEED, SERVER_SECRET, SESSION_KEY, vector } from '../../helpers/crypto/nacls.ts'
import { collect, from, recordingLink } from '../../helpers/links.ts'
import { sample } from '../../helpers/sample.ts'
import { frames } from '../../helpers/transforms/key-exchange-frames.ts'

const signer = nacl.signKeys(SEED)
const [server, client] = [nacl.boxKeys(SERVER_SECRET), nacl.boxKeys(CLIENT_SECRET)]
const offer = vector('kx_offer').bytes
const answer = vector('kx_answer').bytes
const framing = lengthPrefix(rustdeskLength)
const boxes = { nacl, keys: SESSION_KEY, clear: 1 }
const keysOf = (frame: Uint8Array): readonly Uint8Array[] => frames.read(frame) ?? []
const text = Buffer.from('a message')

/** A client with a session key of its choice: what it answers, and what it says behind that. */
function clientOf (offered: readonly Uint8Array[], said: Uint8Array[]): Uint8Array[] {
  const { keys } = answerOffer(nacl, offered, signer.publicKey, client, SESSION_KEY)
  return [frames.write(keys), ...new SecretboxEncoder(boxes).push(said)].map((bytes) => Uint8Array.from(bytes))
}

t.test('golden bytes', async (t) => {
  for (const { name, nacl, skip } of nacls) {
    t.test(name, { skip }, async (t) => {
      const offering = new KeyOffer(nacl, signer, server)
      t.equal(toHex(frames.write(offering.keys)), toHex(offer))
      const answered = answerOffer(nacl, keysOf(offer), signer.publicKey, client, SESSION_KEY)
      t.equal(toHex(frames.write(answered.keys)), toHex(answer))
      t.equal(toHex(offering.accept(keysOf(answer))), toHex(SESSION_KEY))
      const other = answerOffer(nacl, new KeyOffer(nacl, signer).keys, signer.publicKey)
      t.equal(other.key.length, 32)
      t.throws(() => offering.accept(other.keys), { code: 'ERR_KEY_EXCHANGE_BOX' }, 'an answer to another offer')
    })
  }
})

t.test('what is no answer', async (t) => {
  const [publicKey, box] = keysOf(answer)
  const cases: Array<[readonly Uint8Array[], string]> = [
    [[], 'ERR_KEY_EXCHANGE_ANSWER'], [[publicKey], 'ERR_KEY_EXCHANGE_ANSWER'], [[publicKey, box, box], 'ERR_KEY_EXCHANGE_ANSWER'], [Array(5000).fill(box), 'ERR_KEY_EXCHANGE_ANSWER'],
    [[publicKey.subarray(1), box], 'ERR_KEY_EXCHANGE_ANSWER'], [[publicKey, box.subarray(1)], 'ERR_KEY_EXCHANGE_ANSWER'], [[box, publicKey], 'ERR_KEY_EXCHANGE_ANSWER'],
    [[publicKey, Buffer.alloc(48)], 'ERR_KEY_EXCHANGE_BOX'], [[new Uint8Array(32), box], 'ERR_KEY_EXCHANGE_BOX'], [[server.publicKey, box], 'ERR_KEY_EXCHANGE_BOX']
  ]
  for (const [keys, code] of cases) t.throws(() => new KeyOffer(nacl, signer, server).accept(keys), { name: 'KeyExchangeError', code })
})

t.test('what is no offer', async (t) => {
  const [signed] = keysOf(offer)
  const changed = (at: number): Uint8Array => Uint8Array.from(signed, (byte, i) => i === at ? byte ^ 1 : byte)
  const cases: Array<[readonly Uint8Array[], string]> = [
    [[], 'ERR_KEY_EXCHANGE_OFFER'], [[signed, signed], 'ERR_KEY_EXCHANGE_OFFER'], [[signed.subarray(1)], 'ERR_KEY_EXCHANGE_OFFER'], [[Buffer.alloc(97)], 'ERR_KEY_EXCHANGE_OFFER'],
    ...[0, 40, 63, 64, 95].map((at): [Uint8Array[], string] => [[changed(at)], 'ERR_KEY_EXCHANGE_SIGNATURE'])
  ]
  for (const [keys, code] of cases) t.throws(() => answerOffer(nacl, keys, signer.publicKey), { name: 'KeyExchangeError', code })
  t.throws(() => answerOffer(nacl, [signed], nacl.signKeys().publicKey), { code: 'ERR_KEY_EXCHANGE_SIGNATURE' }, 'another server')
})

/** Both ends of a connection, with frames, that of the server with its layer. */
function connection (): { link: Link, wire: Link, exchange: KeyExchangeServer } {
  const [here, there] = memoryPair()
  const exchange = new KeyExchangeServer({ nacl, signer, frames })
  return { link: over(here, stack(framing, exchange.layer)), wire: over(there, framing), exchange }
}

const next = async (link: Link): Promise<string[]> => (await link.source[Symbol.asyncIterator]().next()).value?.map(toHex)

t.test('both sides', async (t) => {
  const { link, wire, exchange } = connection()
  const offered = exchange.offer()
  if (offered === undefined) throw new Error('not offered')
  t.equal(exchange.offer(), undefined, 'once')
  t.notOk(exchange.isSecure)
  link.port.send([hex(''), frames.write(offered)])
  const secured = exchangeKeys(wire, { nacl, publicKey: signer.publicKey, frames })
  const received = collect(link.source)
  const secure = await secured
  const answers = collect(secure.source)
  await secure.sink(from([[text, hex('')], [text]]))
  t.same((await received).map(toHex), [text, hex(''), text].map(toHex), 'the answer is not passed up')
  t.ok(exchange.isSecure)
  t.equal(exchange.offer(), undefined)
  await link.sink(from([[hex(''), text], [text]]))
  t.same((await answers).map(toHex), [hex(''), text, text].map(toHex))
})

t.test('the answer and what is behind it in one read, in chunks of every size', async (t) => {
  const said = [text, hex(''), Buffer.alloc(100, 'b'), hex('00')]
  for (let size = 1; size < 400; size += size < 10 ? 1 : 13) {
    const exchange = new KeyExchangeServer({ nacl, signer, frames })
    const offered = exchange.offer() ?? []
    const lower = recordingLink()
    over(lower, framing).port.send([hex(''), ...clientOf(offered, said)])
    const wire = Buffer.concat(lower.sent.flat())
    const link = over(recordingLink([...cut(wire, size)].map((piece) => [piece])), stack(framing, exchange.layer))
    t.same((await collect(link.source)).map(toHex), [hex(''), ...said].map(toHex), `chunks of ${size}`)
  }
})

t.test('a client that wants none', async (t) => {
  const { link, wire, exchange } = connection()
  link.port.send([frames.write(exchange.offer() ?? [])])
  wire.port.send([hex(''), text, answer])
  t.same(await next(link), ['', toHex(text), toHex(answer)], 'an answer that is too late is passed up')
  t.notOk(exchange.isSecure)
  await link.sink(from([[text]]))
  t.same((await collect(wire.source)).slice(1).map(toHex), [toHex(text)])
})

t.test('without an offer all is as it was', async (t) => {
  const { link, wire, exchange } = connection()
  wire.port.send([hex('')])
  t.same(await next(link), [''])
  t.equal(exchange.offer()?.length, 1, 'a heartbeat says nothing')
  const other = connection()
  other.wire.port.send([answer])
  t.same(await next(other.link), [toHex(answer)])
  t.equal(other.exchange.offer(), undefined, 'the client has spoken')
})

t.test('a bad answer ends its connection, and no other one', async (t) => {
  const [publicKey, box] = keysOf(answer)
  const bad: Array<[Uint8Array, string]> = [
    [frames.write([]), 'ERR_KEY_EXCHANGE_ANSWER'], [frames.write([publicKey]), 'ERR_KEY_EXCHANGE_ANSWER'], [frames.write([publicKey.subarray(1), box]), 'ERR_KEY_EXCHANGE_ANSWER'],
    [answer, 'ERR_KEY_EXCHANGE_BOX'], [hex('ca01030a0500'), 'ERR_TEST_FRAME'], [hex('ca01'), 'ERR_TEST_FRAME']
  ]
  const honest = connection()
  honest.link.port.send([frames.write(honest.exchange.offer() ?? [])])
  for (const [frame, code] of bad) {
    const { link, wire, exchange } = connection()
    exchange.offer()
    wire.port.send([hex('00'), frame, text])
    const got: Uint8Array[] = []
    await t.rejects((async () => { for await (const batch of link.source) got.push(...batch) })(), { code })
    t.same(got.map(toHex), ['00'])
    t.notOk(exchange.isSecure)
  }
  const received = collect(honest.link.source)
  await (await exchangeKeys(honest.wire, { nacl, publicKey: signer.publicKey, frames })).sink(from([[text]]))
  t.same((await received).map(toHex), [toHex(text)])
})

t.test('a second answer, and a changed frame', async (t) => {
  for (const behind of [answer, text, hex('0001')]) {
    const exchange = new KeyExchangeServer({ nacl, signer, frames })
    const said = clientOf(exchange.offer() ?? [], [text])
    const link = over(recordingLink([[...said, behind, said[1]]]), exchange.layer)
    const got: Uint8Array[] = []
    await t.rejects((async () => { for await (const batch of link.source) got.push(...batch) })(), { name: 'SecretboxError' })
    t.same(got.map(toHex), [toHex(text)])
  }
  const exchange = new KeyExchangeServer({ nacl, signer, frames })
  const link = over(recordingLink([clientOf(exchange.offer() ?? [], [answer])]), exchange.layer)
  t.same((await collect(link.source)).map(toHex), [toHex(answer)], 'one in a box is passed up')
})

t.test('a batch that is not taken is not counted', async (t) => {
  const exchange = new KeyExchangeServer({ nacl, signer, frames })
  const said = clientOf(exchange.offer() ?? [], [])
  const lower = recordingLink()
  const link = over(lower, stack(lengthPrefix(rustdeskLength, { maxFrame: 1000 }), exchange.layer))
  t.equal(link.port.send([new Uint8Array(2000)]), 0, 'in the clear')
  await collect(over(recordingLink([said]), exchange.layer).source)
  t.ok(exchange.isSecure)
  t.equal(link.port.send([new Uint8Array(2000)]), 0)
  t.equal(link.port.send([text]), 1)
  const sent = Buffer.concat(lower.sent.flat()).subarray(1)
  t.same(new SecretboxDecoder(boxes).push([Uint8Array.from(sent)]).map(toHex), [toHex(text)])
})

t.test('a client is told why', async (t) => {
  const [signed] = keysOf(offer)
  const cases: Array<[Uint8Array[], string]> = [
    [[], 'ERR_KEY_EXCHANGE_MISSING'], [[hex(''), hex('01')], 'ERR_KEY_EXCHANGE_MISSING'], [[text], 'ERR_KEY_EXCHANGE_MISSING'], [[frames.write([])], 'ERR_KEY_EXCHANGE_OFFER'],
    [[frames.write([signed, signed.subarray(0, 3)])], 'ERR_KEY_EXCHANGE_OFFER'], [[frames.write([Uint8Array.from(signed).reverse()])], 'ERR_KEY_EXCHANGE_SIGNATURE'], [[hex('ca0101')], 'ERR_TEST_FRAME']
  ]
  for (const [batch, code] of cases) {
    const lower = recordingLink([batch])
    await t.rejects(exchangeKeys(lower, { nacl, publicKey: signer.publicKey, frames }), { code })
    t.same(lower.sent, [], 'and says nothing')
  }
  const full = recordingLink([[offer]])
  full.queued = 1000
  await t.rejects(exchangeKeys(full, { nacl, publicKey: signer.publicKey, frames }), { code: 'ERR_LINK_CLOSED' })
})

t.test('mutations: no key but that of the client', async (t) => {
  const below = random(8)
  let wrong = 0
  for (let i = sample('mutations of answers', { short: 300, long: 50_000 }); i > 0; i--) {
    const changed = mutate(answer, below)
    try {
      const keys = frames.read(changed)
      if (keys === undefined) continue
      if (toHex(new KeyOffer(nacl, signer, server).accept(keys)) !== toHex(SESSION_KEY)) wrong++
      // the top bit of the public key is of no meaning
      if (toHex(changed) !== toHex(answer) && changed.findIndex((byte, at) => byte !== answer[at]) !== 36) wrong++
    } catch (err) {
      if (!/^ERR_(KEY_EXCHANGE|TEST)_/.test((err as { code?: string }).code ?? '')) throw err
    }
  }
  t.equal(wrong, 0)
})
