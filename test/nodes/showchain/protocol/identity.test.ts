import fc from 'fast-check'
import t from 'tap'
import { createHash, createPublicKey, verify } from 'node:crypto'
import { Identity } from '../../../../src/nodes/showchain/protocol/identity.ts'
import { idText, modulusBytes, parseId, PublicKey, userIdOf } from '../../../../src/nodes/showchain/protocol/public-key.ts'
import { PublicKeys } from '../../../../src/nodes/showchain/protocol/public-keys.ts'
import { toHex } from '../../../helpers/bytes.ts'
import { identity, privateKey, publicDer, type AnyKeyName } from '../../../helpers/showchain/keys.ts'

const GOOD: ReadonlyArray<[name: 'a' | 'rsa2056' | 'rsa3072' | 'rsa4096', size: number]> = [['a', 256], ['rsa2056', 257], ['rsa3072', 384], ['rsa4096', 512]]
const BAD: readonly AnyKeyName[] = ['rsa1024', 'rsa2052', 'rsa16384', 'exponent3', 'rsapss', 'ec', 'ed25519']

t.test('keys that may be used, and their ids (row 4)', async (t) => {
  for (const [name, size] of GOOD) {
    const der = publicDer(name)
    t.equal(modulusBytes(der), size, name)
    const key = PublicKey.read(der) as PublicKey
    t.equal(key.size, size)
    t.equal(toHex(key.id), createHash('sha256').update(der).digest('hex'))
    t.equal(toHex(identity(name).id), toHex(key.id))
    t.ok(Buffer.from(identity(name).der).equals(der))
    const signature = identity(name).sign(Buffer.from('text'))
    t.ok(key.verify(Buffer.from('text'), signature))
    t.notOk(key.verify(Buffer.from('Text'), signature))
    t.notOk(key.verify(Buffer.from('text'), signature.subarray(1)), 'of another length')
  }
})

t.test('keys that are refused before anything is verified (row 4)', async (t) => {
  for (const name of BAD) {
    t.equal(modulusBytes(publicDer(name)), undefined, name)
    t.equal(PublicKey.read(publicDer(name)), 'key', name)
  }
  for (const name of ['rsa1024', 'rsa2052', 'exponent3'] as const) t.throws(() => new Identity(privateKey(name)), { code: 'ERR_SHOWCHAIN_KEY' }, name)
})

t.test('a key has one form: no other byte, no other length (row 4)', async (t) => {
  const der = publicDer('a')
  const inModulus = (at: number): boolean => at >= 33 && at < 33 + 256
  for (let at = 0; at < der.length; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const other = Buffer.from(der)
      other[at] ^= 1 << bit
      const isKey = inModulus(at) && !(at === 33 && bit === 7) && !(at === 33 + 255 && bit === 0) // full, and odd
      if ((modulusBytes(other) !== undefined) !== isKey) t.fail(`byte ${at}, bit ${bit}`)
    }
    if (modulusBytes(der.subarray(0, at)) !== undefined) t.fail(`cut to ${at}`)
  }
  t.equal(modulusBytes(Buffer.concat([der, Buffer.alloc(1)])), undefined, 'a byte behind it')
})

t.test('what is accepted, OpenSSL reads as the same key', async () => {
  fc.assert(fc.property(fc.integer({ min: 256, max: 512 }), fc.uint8Array({ minLength: 512, maxLength: 512 }), (size, bytes) => {
    const modulus = bytes.subarray(0, size)
    modulus[0] |= 0x80
    modulus[size - 1] |= 1
    const jwk = { kty: 'RSA', e: 'AQAB', n: Buffer.from(modulus).toString('base64url') }
    const der = createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' })
    const key = PublicKey.read(der)
    return key instanceof PublicKey && key.size === size && !key.verify(Buffer.alloc(1), Buffer.alloc(size, 1))
  }), { numRuns: 100 })
})

t.test('text of ids', async (t) => {
  const { id } = identity('a')
  t.match(idText(id), /^[0-9a-f]{64}$/)
  t.ok(Buffer.from(parseId(idText(id)) as Uint8Array).equals(id))
  t.ok(Buffer.from(parseId(idText(id).toUpperCase()) as Uint8Array).equals(id))
  for (const text of ['', 'f'.repeat(63), 'f'.repeat(65), 'g'.repeat(64), `${'f'.repeat(64)}\n`, ` ${'f'.repeat(63)}`]) t.equal(parseId(text), undefined, JSON.stringify(text))
})

t.test('PEM there and back, and what is no key of a node', async (t) => {
  const again = Identity.fromPem(identity('b').pem)
  t.same(again.id, identity('b').id)
  const bytes = Buffer.from('x')
  t.ok(verify('sha256', bytes, { key: again.privateKey, padding: 6, saltLength: 32 }, again.sign(bytes)), 'RSASSA-PSS with a salt of 32 bytes')
  for (const pem of ['', 'text', privateKey('rsa1024').export({ type: 'pkcs8', format: 'pem' }) as string, createPublicKey(privateKey('a')).export({ type: 'spki', format: 'pem' }) as string]) {
    t.throws(() => Identity.fromPem(pem), { code: 'ERR_SHOWCHAIN_KEY' })
  }
  for (const bits of [1024, 2047, 2052, 4104, NaN]) await t.rejects(Identity.generate(bits), { code: 'ERR_SHOWCHAIN_KEY' }, `${bits} bits`)
  t.equal((await Identity.generate(2048)).size, 256)
})

t.test('keys by id: a known one is not made again, a false one not taken', async (t) => {
  const keys = new PublicKeys({ maxKeys: 2 })
  const id = (name: 'a' | 'b' | 'c'): Uint8Array => identity(name).id
  const first = keys.read(publicDer('a'), id('a')) as PublicKey
  t.equal(keys.size, 0, 'reading remembers nothing')
  keys.remember(first)
  t.equal(keys.read(publicDer('a'), id('a')), first)
  t.equal(keys.read(publicDer('b'), id('a')), 'id', 'where it is known')
  t.equal(keys.read(publicDer('a'), id('b')), 'id', 'where it is not')
  t.equal(keys.read(publicDer('exponent3'), userIdOf(publicDer('exponent3'))), 'key')
  keys.remember(keys.read(publicDer('b'), id('b')) as PublicKey)
  keys.remember(first)
  keys.remember(keys.read(publicDer('c'), id('c')) as PublicKey)
  t.equal(keys.find(id('b')), undefined, 'the least recently used one is forgotten')
  t.equal(keys.find(id('a')), first)
  t.throws(() => new PublicKeys({ maxKeys: 0 }), { code: 'ERR_OPTION' })
})

t.test('a key that has come again keeps a context, until it is forgotten', async (t) => {
  const bytes = Buffer.from('x')
  let [open, asked, isThere] = [0, 0, true]
  const context = { verify: () => ++asked > 0, close: () => { open-- } }
  const keys = new PublicKeys({ maxKeys: 2, verifier: { open: () => isThere && ++open > 0 ? context : undefined } })
  const keyOf = (name: 'a' | 'b' | 'c'): PublicKey => keys.read(publicDer(name), identity(name).id) as PublicKey
  const [first, twin] = [keyOf('a'), keyOf('a')]
  const none = Buffer.alloc(first.size)
  t.ok(first.verify(bytes, none))
  keys.remember(first)
  t.same([open, asked], [0, 1], 'not for one message')
  keys.remember(twin)
  t.equal(keyOf('a'), first, 'two that came at one time are one key')
  for (let i = 0; i < 3; i++) keys.remember(first)
  t.equal(open, 1)
  t.ok(first.verify(bytes, none))
  t.notOk(first.verify(bytes, none.subarray(1)), 'a signature of another length is none')
  t.same([open, asked], [1, 2])
  for (const name of ['b', 'c'] as const) keys.remember(keyOf(name))
  t.equal(open, 0)
  t.ok(first.verify(bytes, none))
  t.same([open, asked], [0, 3], 'it verifies as before')
  isThere = false
  t.notOk(first.verify(bytes, none), 'by node:crypto')
  t.ok(first.verify(bytes, identity('a').sign(bytes)))
  isThere = true
  keys.remember(keyOf('b'))
  t.equal(open, 1)
  const last = keyOf('b')
  keys.clear()
  t.equal(open, 0)
  for (let i = 0; i < 2; i++) keys.remember(last)
  t.equal(open, 0, 'after the end none is kept')
})
