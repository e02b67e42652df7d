/** libsodium and tweetnacl make, take and refuse the same bytes. */
import { inspect } from 'node:util'
import { Worker } from 'node:worker_threads'
import fc from 'fast-check'
import t from 'tap'
import { CLIENT_SECRET, SEED, SERVER_SECRET, SESSION_KEY, byDefault, byTweetNacl, nacls, skip, vector } from '../../helpers/crypto/nacls.ts'
import { hex, mutate, random, toHex } from '../../helpers/bytes.ts'
import { STRIP_TYPES } from '../../helpers/programs/executables.ts'
import { sample } from '../../helpers/sample.ts'
import { PAGE, simdMemory } from '../../../src/buffers/simd/memory.ts'
import { KeyPair, loadNacl, type Nacl } from '../../../src/crypto/index.ts'
import { naclBy } from '../../../src/crypto/nacl/load.ts'
import { loadSodium } from '../../../src/crypto/nacl/sodium.ts'

const bytesOf = (length: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ minLength: length, maxLength: length })
const text = fc.uint8Array({ maxLength: 300 })

function sealed (nacl: Nacl, text: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array {
  const out = new Uint8Array(16 + text.length)
  nacl.seal(out, text, nonce, key)
  return out
}

function opened (nacl: Nacl, sealed: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const out = new Uint8Array(Math.max(0, sealed.length - 16))
  return nacl.open(out, sealed, nonce, key) ? out : undefined
}

const nonceOf = (counter: number): Uint8Array => Uint8Array.from({ length: 24 }, (_, i) => i === 0 ? counter : 0)

/** y or x of points whose order is small, as both curves have them, and forms of them that are not reduced. */
const LOW_ORDER_BOX = ['00'.repeat(32), '01' + '00'.repeat(31), 'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157', 'ec' + 'ff'.repeat(30) + '7f', 'ed' + 'ff'.repeat(30) + '7f', 'ee' + 'ff'.repeat(30) + '7f']
const LOW_ORDER_SIGN = ['00'.repeat(32), '01' + '00'.repeat(31), '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a', 'ec' + 'ff'.repeat(30) + '7f', 'ed' + 'ff'.repeat(30) + '7f', 'ee' + 'ff'.repeat(30) + '7f']

const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n

const littleEndian = (number: bigint): Buffer => hex(number.toString(16).padStart(64, '0')).reverse()

for (const { name, nacl, skip } of nacls) {
  t.test(name, { skip }, async (t) => {
    t.equal(nacl.implementation, name)
    const server = nacl.boxKeys(SERVER_SECRET)
    const client = nacl.boxKeys(CLIENT_SECRET)
    const signer = nacl.signKeys(SEED)

    t.test('golden bytes', async (t) => {
      t.equal(toHex(signer.secretKey), vector('key_file_secret').hex)
      t.equal(toHex(signer.publicKey), vector('key_file_public').hex)
      for (const counter of [1, 2]) {
        const { bytes, hex } = vector(`secretbox_frame_${counter}`)
        t.equal(toHex(sealed(nacl, Buffer.from('hello'), nonceOf(counter), SESSION_KEY)), hex)
        t.equal(Buffer.from(opened(nacl, bytes, nonceOf(counter), SESSION_KEY) ?? []).toString(), 'hello')
        t.equal(opened(nacl, bytes, nonceOf(counter + 1), SESSION_KEY), undefined)
      }
      t.equal(toHex(nacl.sign(vector('pb_id_pk').bytes, signer.secretKey)), vector('signed_id_pk').hex)
      t.equal(toHex(nacl.openSigned(vector('signed_id_pk').bytes, signer.publicKey) ?? Buffer.of()), vector('pb_id_pk').hex)
      t.match(vector('kx_offer').hex, toHex(nacl.sign(server.publicKey, signer.secretKey)))
      t.match(vector('kx_answer').hex, toHex(client.publicKey))
      const box = nacl.box(SESSION_KEY, server.publicKey, client.secretKey)
      t.match(vector('kx_answer').hex, toHex(box))
      t.equal(toHex(nacl.openBox(box, client.publicKey, server.secretKey) ?? Buffer.of()), toHex(SESSION_KEY))
    })

    t.test('in place', async (t) => {
      for (const length of [0, 1, 63, 64, 65, 1400]) {
        const memory = Buffer.alloc(3 + 16 + length, 'text')
        const box = memory.subarray(3)
        const wanted = toHex(memory.subarray(19))
        nacl.seal(box, box.subarray(16), nonceOf(7), SESSION_KEY)
        t.equal(toHex(box), toHex(sealed(byTweetNacl, hex(wanted), nonceOf(7), SESSION_KEY)))
        t.ok(nacl.open(box.subarray(16), box, nonceOf(7), SESSION_KEY))
        t.equal(toHex(memory.subarray(19)), wanted)
        t.equal(toHex(memory.subarray(0, 3)), '746578', 'nothing in front is touched')
      }
    })

    t.test('what is not authentic is left as it was', async (t) => {
      const box = sealed(nacl, Buffer.from('hello'), nonceOf(1), SESSION_KEY)
      for (let bit = 0; bit < box.length * 8; bit++) {
        const changed = Uint8Array.from(box)
        changed[bit >> 3] ^= 1 << (bit & 7)
        const before = toHex(changed)
        if (nacl.open(changed.subarray(16), changed, nonceOf(1), SESSION_KEY) || toHex(changed) !== before) t.fail(`bit ${bit}`)
      }
      for (let length = 0; length < box.length; length++) t.equal(opened(nacl, box.subarray(0, length), nonceOf(1), SESSION_KEY), undefined)
    })

    t.test('sizes', async (t) => {
      const right = { sealed: 21, text: 5, nonce: 24, key: 32 }
      for (const wrong of [{ sealed: 22 }, { text: 4 }, { nonce: 23 }, { nonce: 8 }, { key: 31 }, { key: 64 }]) {
        const [box, text, nonce, key] = Object.values({ ...right, ...wrong }).map((length) => new Uint8Array(length))
        t.throws(() => { nacl.seal(box, text, nonce, key) }, { name: 'NaclError', code: 'ERR_NACL_SIZE' })
        t.throws(() => { nacl.open(text, box, nonce, key) }, { name: 'NaclError', code: 'ERR_NACL_SIZE' })
      }
      for (const length of [0, 31, 33, 63, 65]) {
        const bad = new Uint8Array(length)
        const code = 'ERR_NACL_SIZE'
        t.throws(() => nacl.boxKeys(bad), { code })
        t.throws(() => nacl.signKeys(bad), { code })
        t.throws(() => nacl.sign(bad, bad), { code })
        t.throws(() => nacl.openSigned(bad, bad), { code })
        t.throws(() => nacl.box(bad, bad, SERVER_SECRET), { code })
        t.throws(() => nacl.box(bad, server.publicKey, bad), { code })
        t.throws(() => nacl.openBox(bad, bad, SERVER_SECRET), { code })
        t.throws(() => nacl.openBox(bad, server.publicKey, bad), { code })
      }
      for (let length = 0; length < 64; length++) {
        t.equal(nacl.openSigned(new Uint8Array(length), signer.publicKey), undefined)
        if (length < 48) t.equal(nacl.openBox(new Uint8Array(length), client.publicKey, SERVER_SECRET), undefined)
      }
    })

    t.test('public keys of low order', async (t) => {
      for (const point of LOW_ORDER_BOX) {
        for (const sign of [0, 0x80]) {
          const publicKey = hex(point)
          publicKey[31] |= sign
          t.throws(() => nacl.box(SESSION_KEY, publicKey, SERVER_SECRET), { code: 'ERR_NACL_PUBLIC_KEY' }, point)
          t.equal(nacl.openBox(new Uint8Array(48), publicKey, SERVER_SECRET), undefined, point)
        }
      }
      const message = Buffer.from('anything')
      for (const point of LOW_ORDER_SIGN) {
        for (const sign of [0, 0x80]) {
          const publicKey = hex(point)
          publicKey[31] |= sign
          // R is the neutral element or the key, S is 0: an equation without strict checks may hold
          for (const r of [LOW_ORDER_SIGN[1], toHex(publicKey)]) t.equal(nacl.openSigned(Buffer.concat([hex(r), Buffer.alloc(32), message]), publicKey), undefined, point)
        }
      }
    })

    t.test('a signature has one form', async (t) => {
      const signed = nacl.sign(vector('pb_id_pk').bytes, signer.secretKey)
      const scalar = BigInt(`0x${toHex(Buffer.from(signed.subarray(32, 64)).reverse())}`)
      for (let i = 1n; scalar + i * ORDER < 1n << 256n; i++) {
        const other = Buffer.from(signed)
        other.set(littleEndian(scalar + i * ORDER), 32)
        t.equal(nacl.openSigned(other, signer.publicKey), undefined)
      }
    })

    t.test('new keys differ, and work', async (t) => {
      const [one, two] = [nacl.boxKeys(), nacl.boxKeys()]
      t.not(toHex(one.publicKey), toHex(two.publicKey))
      t.equal(toHex(nacl.openBox(nacl.box(SEED, two.publicKey, one.secretKey), one.publicKey, two.secretKey) ?? SERVER_SECRET), toHex(SEED))
      const [first, second] = [nacl.signKeys(), nacl.signKeys()]
      t.not(toHex(first.publicKey), toHex(second.publicKey))
      t.equal(nacl.openSigned(nacl.sign(SEED, first.secretKey), second.publicKey), undefined)
      t.ok(nacl.openSigned(nacl.sign(SEED, first.secretKey), first.publicKey))
      t.ok(one.publicKey[31] < 0x80, 'bit 255 is clear')
    })

    t.test('any texts and keys', async (t) => {
      fc.assert(fc.property(text, bytesOf(24), bytesOf(32), (text, nonce, key) => {
        const box = sealed(nacl, text, nonce, key)
        return toHex(box) === toHex(sealed(byTweetNacl, text, nonce, key)) && toHex(opened(nacl, box, nonce, key) ?? SEED) === toHex(text)
      }), { numRuns: sample('boxes', { short: 100, long: 5000 }) })
      fc.assert(fc.property(text, bytesOf(32), bytesOf(32), (text, one, other) => {
        const [from, to] = [nacl.boxKeys(one), nacl.boxKeys(other)]
        const box = nacl.box(text, to.publicKey, from.secretKey)
        const signed = nacl.sign(text, nacl.signKeys(one).secretKey)
        return toHex(box) === toHex(byTweetNacl.box(text, to.publicKey, from.secretKey)) &&
          toHex(nacl.openBox(box, from.publicKey, to.secretKey) ?? SEED) === toHex(text) &&
          toHex(signed) === toHex(byTweetNacl.sign(text, byTweetNacl.signKeys(one).secretKey)) &&
          toHex(nacl.openSigned(signed, nacl.signKeys(one).publicKey) ?? SEED) === toHex(text)
      }), { numRuns: sample('keys', { short: 4, long: 300 }) })
    })
  })
}

t.test('mutations: nothing is accepted, and both agree', { skip }, async (t) => {
  const below = random(21)
  const signer = byDefault.signKeys(SEED)
  const [server, client] = [byDefault.boxKeys(SERVER_SECRET), byDefault.boxKeys(CLIENT_SECRET)]
  const box = vector('secretbox_frame_1').bytes
  const signed = vector('signed_id_pk').bytes
  const keyBox = byDefault.box(SESSION_KEY, server.publicKey, client.secretKey)
  let accepted = 0
  for (let i = sample('mutated boxes', { short: 2000, long: 100_000 }); i > 0; i--) {
    const changed = mutate(box, below)
    const results = [byDefault, byTweetNacl].map((nacl) => opened(nacl, changed, nonceOf(1), SESSION_KEY) !== undefined)
    if (results.includes(!box.equals(changed))) accepted++
  }
  for (let i = sample('mutated signatures and keys', { short: 15, long: 4000 }); i > 0; i--) {
    const changed = mutate(signed, below)
    const results = [byDefault, byTweetNacl].map((nacl) => nacl.openSigned(changed, signer.publicKey) !== undefined)
    if (results.includes(!signed.equals(changed))) accepted++
    const other = mutate(keyBox, below)
    const opened = [byDefault, byTweetNacl].map((nacl) => nacl.openBox(other, client.publicKey, server.secretKey) !== undefined)
    if (opened.includes(!Buffer.from(keyBox).equals(other))) accepted++
    const publicKey = Buffer.from(signer.publicKey)
    publicKey[below(32)] ^= 1 << below(8)
    if ([byDefault, byTweetNacl].some((nacl) => nacl.openSigned(signed, publicKey) !== undefined)) accepted++
  }
  t.equal(accepted, 0)
})

t.test('memory of any kind', { skip }, async (t) => {
  const memories = [simdMemory(PAGE) as ArrayBuffer, new ArrayBuffer(100), new SharedArrayBuffer(100)]
  for (const memory of memories) {
    const box = new Uint8Array(memory, 5, 37).fill(9)
    byDefault.seal(box, box.subarray(16), nonceOf(1), SESSION_KEY)
    t.equal(toHex(box), toHex(sealed(byTweetNacl, new Uint8Array(21).fill(9), nonceOf(1), SESSION_KEY)))
    t.ok(byDefault.open(box.subarray(16), box, nonceOf(1), SESSION_KEY))
  }
})

t.test('it is loaded once, and without sodium-native it is tweetnacl', async (t) => {
  t.equal(await loadNacl(), byDefault)
  t.equal(byTweetNacl.implementation, 'tweetnacl')
  t.match(byTweetNacl.problem, { message: 'not asked for' })
  if (skip === false) t.equal((await naclBy(loadSodium)).problem, undefined)
})

t.test('a secret key is not shown', async (t) => {
  const pair = byTweetNacl.signKeys(SEED)
  t.ok(pair instanceof KeyPair)
  for (const shown of [inspect(pair, { showHidden: true, depth: 9 }), JSON.stringify(pair), JSON.stringify({ ...pair })]) {
    t.match(shown, 'publicKey')
    t.notMatch(shown.replaceAll(/[^\d,]/g, ''), '0,1,2,3,4,5')
    t.notMatch(shown, '"5":5,')
  }
})

t.test('in threads, one after the other', { skip }, async (t) => {
  const code = `
    import { parentPort, workerData } from 'node:worker_threads'
    const { loadNacl } = await import(workerData)
    const nacl = await loadNacl()
    parentPort.postMessage([nacl.implementation, nacl.openSigned(nacl.sign(Buffer.from('text'), nacl.signKeys().secretKey), nacl.signKeys().publicKey)])
  `
  const url = new URL('../../../src/crypto/index.ts', import.meta.url).href
  for (let i = 0; i < 2; i++) {
    const answer = await new Promise((resolve, reject) => {
      const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(code)}`), { execArgv: [...STRIP_TYPES], workerData: url })
      worker.once('message', (message) => { worker.once('exit', () => { resolve(message) }) }).once('error', reject)
    })
    t.same(answer, ['sodium-native', undefined])
  }
})
