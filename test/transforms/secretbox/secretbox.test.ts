import fc from 'fast-check'
import t from 'tap'
import { over, stack } from '../../../src/layer.ts'
import { lengthPrefix, rustdeskLength, secretbox, SecretboxDecoder, SecretboxEncoder, u16be, type SecretboxInit } from '../../../src/transforms/index.ts'
import { CounterNonce } from '../../../src/transforms/secretbox/counter-nonce.ts'
import { memoryPair } from '../../../src/transports/memory/index.ts'
import { cut, hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { byDefault, byTweetNacl, nacls, SESSION_KEY, vector } from '../../helpers/crypto/nacls.ts'
import { collect, from, pieces, recordingLink } from '../../helpers/links.ts'
import { sample } from '../../helpers/sample.ts'

const LAST = 2n ** 64n - 1n
const nacl = byDefault
const init: SecretboxInit = { nacl, keys: SESSION_KEY, clear: 1 }
const hello = Buffer.from('hello')
const [first, second] = [vector('secretbox_frame_1').hex, vector('secretbox_frame_2').hex]
const copies = (batch: Uint8Array[]): Uint8Array[] => batch.map((bytes) => Uint8Array.from(bytes))

t.test('golden bytes', async (t) => {
  for (const { name, nacl, skip } of nacls) {
    t.test(name, { skip }, async (t) => {
      const encoder = new SecretboxEncoder({ ...init, nacl })
      t.same(encoder.push([hello, hello]).map(toHex), [first, second])
      const decoder = new SecretboxDecoder({ ...init, nacl })
      t.same(decoder.push([hex(first)]).map(toHex), [toHex(hello)])
      t.same(decoder.push([hex(second)]).map(toHex), [toHex(hello)])
    })
  }
})

t.test('one byte or none passes in the clear and is not counted', async (t) => {
  const batch = [hex(''), hello, hex('0a'), hex(''), hello, hex('ff')]
  const wire = new SecretboxEncoder(init).push(batch)
  t.same(wire.map(toHex), ['', first, '0a', '', second, 'ff'])
  t.same(new SecretboxDecoder(init).push(copies(wire)).map(toHex), batch.map(toHex))
  t.same(new SecretboxEncoder(init).push([hex(''), hex('01')]).map(toHex), ['', '01'])
})

t.test('unless all is sealed', async (t) => {
  const all = { nacl, keys: SESSION_KEY }
  const wire = new SecretboxEncoder(all).push([hex(''), hex('0a'), hello])
  t.same(wire.map(({ length }) => length), [16, 17, 21])
  t.same(new SecretboxDecoder(all).push(copies(wire)).map(toHex), ['', '0a', toHex(hello)])
  for (const frame of ['', '00', '00'.repeat(15)]) {
    const decoder = new SecretboxDecoder(all)
    t.same(decoder.push([hex(frame)]), [])
    t.match(decoder.failure, { name: 'SecretboxError', code: 'ERR_SECRETBOX_SHORT' })
  }
})

t.test('frames between the clear and a tag, and those of others', async (t) => {
  for (let length = 2; length < 40; length++) {
    const decoder = new SecretboxDecoder(init)
    t.same(decoder.push([hex(first), new Uint8Array(length), hex(second)]).length, 1, 'what was before is passed up')
    t.match(decoder.failure, { name: 'SecretboxError', code: length < 16 ? 'ERR_SECRETBOX_SHORT' : 'ERR_SECRETBOX_FORGED' })
    t.throws(() => decoder.push([hex(second)]), { name: 'SecretboxError' })
    t.throws(() => { decoder.end() }, { name: 'SecretboxError' })
  }
})

t.test('repeated, left out, in another order', async (t) => {
  const wire = new SecretboxEncoder(init).push([hello, hello, hello])
  for (const order of [[0, 0], [1], [0, 2], [1, 0], [2, 1, 0]]) {
    const decoder = new SecretboxDecoder(init)
    decoder.push(copies(order.map((i) => wire[i])))
    t.match(decoder.failure, { code: 'ERR_SECRETBOX_FORGED' }, order.join())
  }
})

t.test('a key for each direction: what comes back to its sender is refused', async (t) => {
  const keys = { send: SESSION_KEY, receive: Buffer.alloc(32, 5) }
  const [here, there] = memoryPair()
  const one = over(here, stack(lengthPrefix(u16be), secretbox({ nacl, keys })))
  const other = over(there, stack(lengthPrefix(u16be), secretbox({ nacl, keys: { send: keys.receive, receive: keys.send } })))
  one.port.send([hello])
  other.port.send([hello, hex('')])
  const [answers] = await Promise.all([one.source, other.source].map(async (source) => (await source[Symbol.asyncIterator]().next()).value))
  t.same(answers.map(toHex), [toHex(hello), ''])
  const decoder = new SecretboxDecoder({ nacl, keys })
  decoder.push(new SecretboxEncoder({ nacl, keys }).push([hello]))
  t.match(decoder.failure, { code: 'ERR_SECRETBOX_FORGED' })
  const reflected = new SecretboxDecoder(init)
  t.equal(reflected.push(new SecretboxEncoder(init).push([hello])).length, 1, 'with one key it is not')
})

t.test('any batches, views of what comes in, and one buffer for each batch', async (t) => {
  const batches = fc.array(fc.array(fc.uint8Array({ maxLength: 100 }), { maxLength: 6 }))
  for (const { name, nacl, skip } of nacls) {
    if (skip !== false) continue
    fc.assert(fc.property(batches, fc.option(fc.integer({ min: 0, max: 15 }), { nil: undefined }), (batches, clear) => {
      const settings = { nacl, keys: SESSION_KEY, clear }
      const encoder = new SecretboxEncoder(settings)
      const decoder = new SecretboxDecoder(settings)
      const given = batches.flat().map(toHex)
      const wire = batches.map((batch) => encoder.push(batch))
      if (batches.flat().map(toHex).join() !== given.join()) return false // what is sent is only read
      return wire.every((frames, i) => {
        const got = decoder.push(frames)
        return frames.every((frame) => frame.buffer === frames[0].buffer) && got.every((payload, k) => payload.buffer === frames[k].buffer && toHex(payload) === toHex(batches[i][k]))
      }) && decoder.failure === undefined
    }), { numRuns: sample('batches', { short: 60, long: 2000 }) })
    t.pass(name)
  }
})

t.test('in chunks of every size, cut off anywhere', async (t) => {
  const layers = stack(lengthPrefix(rustdeskLength), secretbox(init))
  const payloads = [hello, hex(''), Buffer.alloc(70, 'x'), hex('07'), Buffer.alloc(2), hello]
  const lower = recordingLink()
  over(lower, layers).port.send(payloads)
  const wire = Buffer.concat(lower.sent.flat())
  for (let size = 1; size <= wire.length; size++) {
    t.same((await collect(over(recordingLink([...cut(wire, size)].map((piece) => [piece])), layers).source)).map(toHex), payloads.map(toHex), `chunks of ${size}`)
  }
  for (let length = 0; length < wire.length; length++) {
    const got: Uint8Array[] = []
    const reading = (async () => { for await (const batch of over(recordingLink([pieces(wire.subarray(0, length), [3, 11])]), layers).source) got.push(...batch) })()
    await reading.catch((err) => { t.equal(err.code, 'ERR_TRUNCATED') })
    t.same(got.map(toHex), payloads.slice(0, got.length).map(toHex))
  }
})

t.test('mutations: nothing else comes out than what went in', async (t) => {
  const below = random(4)
  const payloads = [hello, Buffer.from('a second one'), Buffer.alloc(40, 3)]
  const wire = new SecretboxEncoder(init).push(payloads).map((bytes) => Uint8Array.from(bytes))
  let wrong = 0
  for (let i = sample('mutations', { short: 1500, long: 200_000 }); i > 0; i--) {
    const at = below(3)
    const frames = wire.map((frame, k) => k === at ? mutate(frame, below) : Uint8Array.from(frame))
    const isSame = toHex(frames[at]) === toHex(wire[at])
    const decoder = new SecretboxDecoder(init)
    const sealed = decoder.push(frames).filter(({ length }) => length > 1)
    const wanted = isSame ? payloads : payloads.slice(0, at)
    if (sealed.slice(0, at).map(toHex).join() !== payloads.slice(0, at).map(toHex).join()) wrong++
    // a frame that became one byte or none passes in the clear, and the next one is not the one that was expected
    if (sealed.length !== wanted.length || (!isSame && at < 2 && decoder.failure === undefined)) wrong++
  }
  t.equal(wrong, 0)
})

t.test('a link that fails passes up what was authentic, by source and by flow', async (t) => {
  for (const bad of [hex(second.replace('10', '11')), hex(first), new Uint8Array(9)]) {
    const [here, there] = memoryPair()
    const framing = lengthPrefix(u16be)
    const reader = over(there, stack(framing, secretbox(init)))
    over(here, framing).port.send([hex(first), bad])
    const got: Uint8Array[] = []
    const code = bad.length < 16 ? 'ERR_SECRETBOX_SHORT' : 'ERR_SECRETBOX_FORGED'
    await t.rejects((async () => { for await (const batch of reader.source) got.push(...batch) })(), { name: 'SecretboxError', code })
    t.same(got.map(toHex), [toHex(hello)])
  }
})

t.test('a batch that is not taken is not counted', async (t) => {
  const lower = recordingLink()
  const { port } = over(lower, stack(lengthPrefix(u16be), secretbox(init)))
  t.equal(port.send([hello, new Uint8Array(65536)]), 0, 'too large for the frames below')
  lower.queued = 1000
  t.equal(port.send([hello]), 0)
  lower.queued = 0
  t.equal(port.send([hello]), 1)
  t.equal(port.send([new Uint8Array(1), new Uint8Array(65536)]), 0)
  t.equal(port.send([hello]), 1)
  t.same(lower.sent.map((batch) => toHex(Buffer.concat(batch))), [`0015${first}`, `0015${second}`])
})

t.test('sink and port share the counter', async (t) => {
  const lower = recordingLink()
  const { sink, port } = over(lower, secretbox(init))
  port.send([hello])
  await sink(from([[hello]]))
  t.same(lower.sent.flat().map(toHex), [first, second])
})

t.test('the counter ends, and no nonce is used twice', async (t) => {
  const near: SecretboxInit = { ...init, counters: { sent: LAST - 3n, received: LAST - 3n } }
  const encoder = new SecretboxEncoder(near)
  const decoder = new SecretboxDecoder(near)
  const wire = encoder.push([hello, hex(''), hello])
  t.equal(decoder.push(copies(wire)).length, 3)
  t.throws(() => encoder.push([hello, hello]), { name: 'SecretboxError', code: 'ERR_SECRETBOX_COUNTER' }, 'none of a batch with one too many')
  const last = encoder.push([hex('01'), hello])
  t.equal(decoder.push(copies(last)).length, 2)
  t.throws(() => encoder.push([hello]), { code: 'ERR_SECRETBOX_COUNTER' })
  t.same(encoder.push([hex(''), hex('01')]).map(toHex), ['', '01'], 'what is in the clear passes')
  t.same(decoder.push([hex(''), hex(first), hex('')]).map(toHex), [''])
  t.match(decoder.failure, { code: 'ERR_SECRETBOX_COUNTER' })
  const { port, sink } = over(recordingLink(), secretbox({ ...init, counters: { sent: LAST } }))
  t.equal(port.send([hello]), 0)
  await t.rejects(sink(from([[hello]])), { code: 'ERR_SECRETBOX_COUNTER' })
})

t.test('nonces of any counter', async (t) => {
  const wanted = (counter: bigint): string => toHex(Buffer.concat([hex(counter.toString(16).padStart(16, '0')).reverse(), Buffer.alloc(16)]))
  const steps = fc.array(fc.integer({ min: 1, max: 9 }), { maxLength: 12 })
  const start = fc.oneof(fc.bigInt({ min: 0n, max: LAST - 200n }), fc.bigInt({ min: -20n, max: 20n }).chain((by) => fc.constantFrom(1n, 2n, 3n, 2n ** 31n).map((high) => (high << 32n) + by)))
  fc.assert(fc.property(start, steps, (start, steps) => {
    const nonce = new CounterNonce(start)
    let counter = start
    return steps.every((count, i) => {
      nonce.require(count)
      for (let k = 0; k < count; k++) if (toHex(nonce.next()) !== wanted(++counter)) return false
      if (i % 2 === 1) {
        nonce.back(count)
        counter -= BigInt(count)
      }
      return true
    })
  }))
  const nonce = new CounterNonce(LAST - 1n)
  nonce.require(1)
  t.throws(() => { nonce.require(2) }, { code: 'ERR_SECRETBOX_COUNTER' })
  t.equal(toHex(nonce.next()).slice(0, 16), 'ff'.repeat(8))
  t.throws(() => { nonce.require(1) }, { code: 'ERR_SECRETBOX_COUNTER' })
  nonce.require(0)
})

t.test('options', async (t) => {
  const bad: object[] = [{ keys: new Uint8Array(31) }, { keys: undefined }, { keys: 'text' }, { keys: { send: SESSION_KEY } }, { keys: { receive: SESSION_KEY } }, { keys: { send: SESSION_KEY, receive: new Uint8Array(33) } },
    { clear: -1 }, { clear: 16 }, { clear: 1.5 }, { clear: Number.NaN }, { counters: { sent: -1n } }, { counters: { received: LAST + 1n } }, { counters: { sent: 1 } }, { nacl: undefined }, { nacl: {} }]
  for (const options of bad) {
    t.throws(() => secretbox({ ...init, ...options } as SecretboxInit), { code: 'ERR_OPTION' })
    t.notMatch(String((() => { try { secretbox({ ...init, ...options } as SecretboxInit) } catch (err) { return err } })()), '11,11')
  }
})

t.test('a key that its owner wipes is still that of the link', async (t) => {
  const key = Buffer.from(SESSION_KEY)
  const { port } = over(recordingLink(), secretbox({ ...init, keys: key }))
  const lower = recordingLink()
  const link = over(lower, secretbox({ ...init, keys: key }))
  key.fill(0)
  t.equal(port.send([hello]), 1)
  link.port.send([hello])
  t.equal(toHex(lower.sent[0][0]), first)
})

t.test('implementations understand each other', async (t) => {
  const wire = new SecretboxEncoder({ ...init, nacl: byTweetNacl }).push([hello, Buffer.alloc(3000, 1)])
  t.same(new SecretboxDecoder(init).push(copies(wire)).map(({ length }) => length), [5, 3000])
})
