/** What each implementation does with datagrams, wherever they are and whatever was done to them. */
import { createCipheriv } from 'node:crypto'
import fc from 'fast-check'
import t from 'tap'
import { mutate, random, SEED } from '../helpers/bytes.ts'
import { byDefault, byNode, CANDY, sealings, skip } from '../helpers/crypto/sealings.ts'
import { mutations } from '../helpers/sample.ts'
import { counterIvs, type SealLayout } from '../../src/crypto/index.ts'
import { OptionError } from '../../src/errors.ts'

const KEY = Buffer.alloc(32, 'key ')
const HEADER = 28

/** A datagram of candy before it is sealed: IV, room for the tag, text. */
function plain (length: number, seed = length): Buffer {
  const below = random(seed)
  const bytes = Buffer.alloc(HEADER + length)
  for (let i = 0; i < bytes.length; i++) bytes[i] = i < 12 || i >= HEADER ? below(256) : 0
  return bytes
}

/** By an object for each, as anybody would write it. */
function sealed (datagram: Uint8Array, key: Uint8Array = KEY): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, datagram.subarray(0, 12))
  const text = Buffer.concat([cipher.update(datagram.subarray(HEADER)), cipher.final()])
  return Buffer.concat([datagram.subarray(0, 12), cipher.getAuthTag(), text])
}

interface WasmMemory {
  readonly buffer: ArrayBuffer
  grow (pages: number): number
}

/** The parts of the language that the declarations in use do not have. */
const { WebAssembly, ArrayBuffer: Resizable } = globalThis as unknown as {
  WebAssembly: { Memory: new (pages: { initial: number }) => WasmMemory }
  ArrayBuffer: new (length: number, init: { maxByteLength: number }) => ArrayBuffer
}

function failure (call: () => void): unknown {
  try {
    call()
  } catch (err) {
    return err
  }
}

/** Memory of every kind that a datagram of a length may be in. */
const MEMORIES: Record<string, (length: number) => Uint8Array> = {
  'a typed array': (length) => new Uint8Array(length),
  'a Buffer of the pool': (length) => Buffer.allocUnsafe(length),
  'a SharedArrayBuffer': (length) => new Uint8Array(new SharedArrayBuffer(length)),
  'memory of WebAssembly': (length) => new Uint8Array(new WebAssembly.Memory({ initial: 2 }).buffer, 0, length),
  'an odd offset': (length) => new Uint8Array(length + 64).subarray(13, 13 + length),
  'a buffer that can grow': (length) => new Uint8Array(new Resizable(length, { maxByteLength: 2 * length }))
}

for (const { name, sealing, skip } of sealings) {
  t.test(name, { skip }, async (t) => {
    const cipher = sealing.cipher({ key: KEY, layout: CANDY })
    t.teardown(() => { cipher.close() })
    t.equal(cipher.implementation, name)
    t.equal(cipher.shortest, HEADER)

    t.test('every length, from none to the longest datagram of UDP', async (t) => {
      for (const length of [0, 1, 15, 16, 17, 31, 32, 33, 36, 63, 64, 65, 255, 256, 257, 1360, 1472 - HEADER, 9000, 65_507 - HEADER]) {
        const before = plain(length)
        const bytes = Buffer.from(before)
        cipher.seal(bytes)
        if (!bytes.equals(sealed(before))) t.fail(`sealed, ${length}`)
        if (!cipher.open(bytes) || !bytes.subarray(HEADER).equals(before.subarray(HEADER))) t.fail(`opened, ${length}`)
        t.ok(bytes.subarray(0, HEADER).equals(sealed(before).subarray(0, HEADER)), `IV and tag stay, ${length}`)
      }
    })

    t.test('memory of every kind, short and long', async (t) => {
      for (const [kind, make] of Object.entries(MEMORIES)) {
        for (const length of [0, 5, 36, 1360]) { // a typed array of 64 bytes or less is in the heap, until it is asked for its buffer
          const before = plain(length)
          const bytes = make(HEADER + length)
          bytes.set(before)
          cipher.seal(bytes)
          t.ok(sealed(before).equals(bytes), `${kind} sealed, ${length}`)
          t.ok(cipher.open(bytes) && before.subarray(HEADER).equals(bytes.subarray(HEADER)), `${kind} opened, ${length}`)
        }
      }
    })

    t.test('memory that WebAssembly has moved away is refused, the new one is taken', async (t) => {
      const memory = new WebAssembly.Memory({ initial: 1 })
      const old = new Uint8Array(memory.buffer, 0, 100)
      old.set(plain(72))
      cipher.seal(old)
      memory.grow(1)
      t.throws(() => { cipher.seal(old) }, { code: 'ERR_SEALING_SIZE' })
      t.throws(() => { cipher.seal(old, 0, 100) }, { code: 'ERR_SEALING_MEMORY' })
      t.equal(cipher.open(old), false)
      const bytes = new Uint8Array(memory.buffer, 0, 100)
      t.ok(cipher.open(bytes) && plain(72).subarray(HEADER).equals(bytes.subarray(HEADER)))
    })

    t.test('one of several datagrams in a block; nothing beside it changes', async (t) => {
      const datagrams = [10, 0, 100].map((length) => plain(length))
      const block = Buffer.concat([Buffer.alloc(3, 0xa5), ...datagrams.flatMap((bytes) => [bytes, Buffer.alloc(3, 0xa5)])])
      let at = 3
      for (const bytes of datagrams) {
        const before = Buffer.from(block)
        cipher.seal(block, at, at + bytes.length)
        sealed(bytes).copy(before, at)
        t.ok(block.equals(before))
        t.ok(cipher.open(block, at, at + bytes.length))
        bytes.copy(before, at + HEADER, HEADER)
        t.ok(block.equals(before))
        at += bytes.length + 3
      }
    })

    t.test('layouts', async (t) => {
      const layouts: Array<[SealLayout, shortest: number]> = [
        [{ iv: 16, tag: 0, text: 28 }, 28],
        [{ iv: 0, tag: 'end', text: 12 }, 28], // as in ESP
        [{ iv: 5, tag: 20, text: 40 }, 40],
        [{ iv: 8, tag: 'end', text: 20 }, 36]
      ]
      for (const [layout, shortest] of layouts) {
        const cipher = sealing.cipher({ key: KEY, layout })
        t.equal(cipher.shortest, shortest)
        for (const length of [0, 40]) {
          const { iv, text } = layout
          const bytes = Buffer.alloc(shortest + length, 0xa5)
          const tag = layout.tag === 'end' ? bytes.length - 16 : layout.tag
          const wanted = sealed(Buffer.concat([bytes.subarray(iv, iv + 12), Buffer.alloc(16), bytes.subarray(text, text + length)]))
          const before = Buffer.from(bytes)
          cipher.seal(bytes)
          wanted.copy(before, iv, 0, 12)
          wanted.copy(before, tag, 12, 28)
          wanted.copy(before, text, 28)
          t.ok(bytes.equals(before), 'sealed, all else as it was')
          t.ok(cipher.open(bytes))
          t.ok(bytes.subarray(text, text + length).equals(Buffer.alloc(length, 0xa5)))
          t.equal(cipher.open(bytes.subarray(0, shortest - 1)), false)
        }
        cipher.close()
      }
    })

    t.test('every changed bit is found, and no text is left', async (t) => {
      const before = sealed(plain(20))
      let wrong = 0
      for (let bit = 0; bit < 8 * before.length; bit++) {
        const bytes = Buffer.from(before)
        bytes[bit >> 3] ^= 1 << (bit & 7)
        const head = Buffer.from(bytes.subarray(0, HEADER))
        if (cipher.open(bytes) || !bytes.equals(Buffer.concat([head, Buffer.alloc(20)]))) wrong++
        const good = Buffer.from(before)
        if (!cipher.open(good) || !good.subarray(HEADER).equals(plain(20).subarray(HEADER))) wrong++ // the next one is not affected
      }
      t.equal(wrong, 0)
    })

    t.test('a failed open in the middle of other work changes nothing of it', async (t) => {
      const wanted = sealed(plain(100))
      const bytes = plain(100)
      t.equal(cipher.open(plain(100, 2)), false)
      cipher.seal(bytes)
      t.ok(bytes.equals(wanted))
      t.equal(cipher.open(plain(0)), false)
      t.equal(cipher.open(Buffer.alloc(3)), false)
      t.ok(cipher.open(bytes))
    })

    t.test('cut off anywhere, at either end', async (t) => {
      const before = sealed(plain(40))
      for (let length = 0; length < before.length; length++) {
        if (cipher.open(Buffer.from(before.subarray(0, length)))) t.fail(`the first ${length}`)
        if (cipher.open(Buffer.from(before.subarray(before.length - length)))) t.fail(`the last ${length}`)
        if (cipher.open(Buffer.from(before), 0, length)) t.fail(`0 to ${length}`)
      }
      t.equal(cipher.open(Buffer.concat([before, Buffer.alloc(1)])), false, 'longer')
    })

    t.test('mutations are never opened', async (t) => {
      const below = random(7)
      const samples = [0, 1, 20, 40].map((length) => sealed(plain(length)))
      let opened = 0
      for (let i = mutations(); i > 0; i--) {
        const sample = samples[below(samples.length)]
        const bytes = mutate(sample, below)
        if (!sample.equals(bytes) && cipher.open(bytes)) opened++
      }
      t.equal(opened, 0)
    })

    t.test('no datagram of another key', async (t) => {
      const other = sealing.cipher({ key: Buffer.alloc(32, 'yek '), layout: CANDY })
      const bytes = sealed(plain(20))
      t.equal(other.open(Buffer.from(bytes)), false)
      other.close()
      t.ok(cipher.open(bytes))
    })

    t.test('what is no datagram', async (t) => {
      for (const length of [0, 1, HEADER - 1, 65_536]) {
        const bytes = Buffer.alloc(length, 0xa5)
        t.throws(() => { cipher.seal(bytes) }, { name: 'SealingError', code: 'ERR_SEALING_SIZE' }, `${length}`)
        t.equal(cipher.open(bytes), false, `${length}`)
        t.ok(bytes.equals(Buffer.alloc(length, 0xa5)), 'stays as it is')
      }
      const bytes = Buffer.alloc(100)
      const outside: Array<[from: number, to: number]> = [[-1, 100], [0, 101], [60, 50], [0.5, 100], [0, 99.5], [NaN, 100], [0, NaN], [0, Infinity]]
      for (const range of outside) {
        t.throws(() => { cipher.seal(bytes, ...range) }, { code: 'ERR_SEALING_MEMORY' }, `${range}`)
        t.throws(() => cipher.open(bytes, ...range), { code: 'ERR_SEALING_MEMORY' }, `${range}`)
      }
      const strangers: unknown[] = ['text', new ArrayBuffer(100), new DataView(new ArrayBuffer(100)), new Uint16Array(100), Array(100).fill(0), { length: 100 }, null, undefined]
      for (const stranger of strangers) {
        t.throws(() => { cipher.seal(stranger as Uint8Array, 0, 100) }, { code: 'ERR_SEALING_MEMORY' })
        t.throws(() => cipher.open(stranger as Uint8Array, 0, 100), { code: 'ERR_SEALING_MEMORY' })
      }
    })

    t.test('a closed cipher', async (t) => {
      const cipher = sealing.cipher({ key: KEY, layout: CANDY })
      const bytes = plain(20)
      cipher.seal(bytes)
      cipher.close()
      cipher.close()
      t.throws(() => { cipher.seal(bytes) }, { code: 'ERR_SEALING_CLOSED' })
      t.throws(() => cipher.open(bytes), { code: 'ERR_SEALING_CLOSED' })
      t.equal(cipher.sealed, 1)
    })

    t.test('the key is copied, and the caller may wipe it', async (t) => {
      const key = Buffer.from(KEY)
      const cipher = sealing.cipher({ key, layout: CANDY })
      key.fill(0)
      const bytes = plain(20)
      cipher.seal(bytes)
      t.ok(bytes.equals(sealed(plain(20))))
      t.ok(cipher.open(bytes))
      cipher.close()
    })

    t.test('ciphers do not affect each other', async (t) => {
      const keys = Array.from({ length: 20 }, (_, i) => Buffer.alloc(32, i + 1))
      const ciphers = keys.map((key) => sealing.cipher({ key, layout: CANDY }))
      const datagrams = ciphers.map(() => plain(50))
      for (const [i, cipher] of ciphers.entries()) cipher.seal(datagrams[i])
      for (const cipher of ciphers.filter((_, i) => i % 2 === 0)) cipher.close()
      for (const [i, cipher] of ciphers.entries()) {
        t.ok(datagrams[i].equals(sealed(plain(50), keys[i])))
        if (i % 2 === 1) t.ok(cipher.open(datagrams[i]))
        cipher.close()
      }
    })

    t.test('options that cannot work', async (t) => {
      const secret = 'a-secret-that-is-shown-nowhere'
      for (const key of [Buffer.alloc(31), Buffer.alloc(33), Buffer.alloc(0), Buffer.from(secret), secret, new Uint16Array(32), null, undefined, Array(32).fill(1)]) {
        const err = failure(() => { sealing.cipher({ key: key as Uint8Array, layout: CANDY }) })
        t.ok(err instanceof OptionError)
        t.notMatch(`${(err as Error).stack}${JSON.stringify(err)}`, secret)
      }
      const layouts: unknown[] = [
        { iv: 0, tag: 11, text: 28 }, { iv: 15, tag: 0, text: 40 }, { iv: 0, tag: 12, text: 27 }, { iv: 0, tag: 'end', text: 11 }, { iv: 17, tag: 0, text: 28 },
        { iv: -1, tag: 12, text: 28 }, { iv: 0, tag: 12.5, text: 40 }, { iv: 0, tag: 12, text: NaN }, { iv: 0, tag: 12, text: 65_536 }, { iv: 0, tag: 'end', text: 65_520 },
        { iv: 0, tag: 'start', text: 28 }, { iv: '0', tag: 12, text: 28 }, { iv: 0, tag: 12 }, {}, undefined, null
      ]
      for (const layout of layouts) t.throws(() => sealing.cipher({ key: KEY, layout: layout as SealLayout }), OptionError, JSON.stringify(layout))
      t.throws(() => sealing.cipher({ key: KEY, layout: CANDY, ivs: {} as ReturnType<typeof counterIvs> }), OptionError)
    })
  })
}

t.test('property: both implementations make the same of any datagram', { skip }, async (t) => {
  const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
  const parts = fc.record({
    key: bytesOf(32),
    iv: bytesOf(12),
    text: fc.uint8Array({ maxLength: 300 }),
    gaps: fc.tuple(fc.nat(9), fc.nat(9), fc.nat(9)),
    order: fc.constantFrom('iv first', 'tag first', 'tag last'),
    before: fc.nat(40),
    after: fc.nat(40)
  })
  fc.assert(fc.property(parts, ({ key, iv, text, gaps: [a, b, c], order, before, after }) => {
    const layout: SealLayout = order === 'tag last'
      ? { iv: a, tag: 'end', text: a + 12 + b }
      : order === 'iv first' ? { iv: a, tag: a + 12 + b, text: a + 28 + b + c } : { iv: a + 16 + b, tag: a, text: a + 28 + b + c }
    const ciphers = [byNode, byDefault].map((sealing) => sealing.cipher({ key, layout }))
    const size = ciphers[0].shortest + text.length
    const block = Buffer.alloc(before + size + after, 0xa5)
    block.set(iv, before + layout.iv)
    block.set(text, before + layout.text)
    const [one, other] = [Buffer.from(block), Buffer.from(block)]
    ciphers[0].seal(one, before, before + size)
    ciphers[1].seal(other, before, before + size)
    const isSame = one.equals(other) && !one.equals(block)
    const isOpened = ciphers[1].open(one, before, before + size) && ciphers[0].open(other, before, before + size)
    const isText = [one, other].every((bytes) => bytes.subarray(before + layout.text, before + layout.text + text.length).equals(text))
    const isKept = [one, other].every((bytes) => bytes.subarray(0, before).every((byte) => byte === 0xa5) && bytes.subarray(before + size).every((byte) => byte === 0xa5))
    for (const cipher of ciphers) cipher.close()
    return isSame && isOpened && isText && isKept
  }), { seed: SEED, numRuns: 300 })
})

t.test('messages are counted', async (t) => {
  const cipher = byNode.cipher({ key: KEY, layout: CANDY, ivs: counterIvs({ sender: 1 }) })
  const bytes = Buffer.alloc(HEADER)
  for (let i = 0; i < 3; i++) cipher.seal(bytes)
  cipher.open(bytes)
  t.throws(() => { cipher.seal(bytes.subarray(1)) })
  t.equal(cipher.sealed, 3)
})
