/** SHA-256 and HMAC by each implementation: published answers, places in memory, and OpenSSL only where it does the same as node:crypto. */
import t from 'tap'
import { createHash, createHmac } from 'node:crypto'
import fc from 'fast-check'
import { ALL, librariesOf } from '../../helpers/crypto/libraries.ts'
import { skip } from '../../helpers/crypto/sealings.ts'
import { DIGEST_BYTES, loadSha256, type Sha256 } from '../../../src/crypto/index.ts'
import { sha256By } from '../../../src/crypto/sha256/load.ts'
import { NativeError } from '../../../src/net/native/native-error.ts'
import { loadOpenSslSha256, sha256Of } from '../../../src/net/native/openssl-sha256.ts'

const byNode = await sha256By(() => Promise.reject(new NativeError('ERR_NATIVE_KOFFI', 'not asked for')))
const byDefault = await loadSha256()
const FUNCTIONS = { ...ALL, SHA256_Init: 1, SHA256_Update: 1, SHA256_Final: 1 }

function digestOf (sha256: Sha256, bytes: Uint8Array): string {
  const into = Buffer.alloc(DIGEST_BYTES)
  sha256.digest(bytes, 0, bytes.length, into, 0)
  return into.toString('hex')
}

function hmacOf (sha256: Sha256, key: Uint8Array, bytes: Uint8Array): string {
  const into = Buffer.alloc(DIGEST_BYTES)
  sha256.hmac(key).sign(bytes, 0, bytes.length, into, 0)
  return into.toString('hex')
}

for (const { name, sha256, isSkipped } of [{ name: 'node:crypto', sha256: byNode, isSkipped: false }, { name: 'openssl', sha256: byDefault, isSkipped: skip }]) {
  t.test(name, { skip: isSkipped }, async (t) => {
    t.equal(sha256.implementation, name)
    t.test('FIPS 180-4 and RFC 4231', async (t) => {
      t.equal(digestOf(sha256, Buffer.from('abc')), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
      t.equal(hmacOf(sha256, Buffer.alloc(20, 0x0b), Buffer.from('Hi There')), 'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7')
      t.equal(hmacOf(sha256, Buffer.alloc(131, 0xaa), Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First')), '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54')
    })
    t.test('any bytes, anywhere in memory', async (t) => {
      const places = fc.record({ bytes: fc.uint8Array({ maxLength: 300 }), key: fc.uint8Array({ maxLength: 80 }), before: fc.nat(20), behind: fc.nat(20), at: fc.nat(20) })
      fc.assert(fc.property(places, ({ bytes, key, before, behind, at }) => {
        const memory = Buffer.concat([Buffer.alloc(before, 1), bytes, Buffer.alloc(behind, 2)])
        const view = memory.subarray(Math.min(3, before))
        const from = before - Math.min(3, before)
        const into = Buffer.alloc(at + DIGEST_BYTES + 5, 9)
        const hmac = sha256.hmac(key)
        sha256.digest(view, from, bytes.length, into, at)
        const expected = Buffer.concat([Buffer.alloc(at, 9), createHash('sha256').update(bytes).digest(), Buffer.alloc(5, 9)])
        if (!into.equals(expected)) return false
        hmac.sign(view, from, bytes.length, into, at)
        expected.set(createHmac('sha256', key).update(bytes).digest(), at)
        return into.equals(expected)
      }))
    })
    t.test('a key that is overwritten afterwards', async (t) => {
      const key = Buffer.alloc(32, 'key ')
      const hmac = sha256.hmac(key)
      key.fill(0)
      const into = Buffer.alloc(DIGEST_BYTES)
      hmac.sign(Buffer.from('text'), 0, 4, into, 0)
      t.equal(into.toString('hex'), createHmac('sha256', Buffer.alloc(32, 'key ')).update('text').digest('hex'))
    })
  })
}

t.test('it is found out once', async (t) => {
  t.equal(await loadSha256(), byDefault)
  t.equal(byNode.problem?.code, 'ERR_NATIVE_KOFFI')
})

t.test('functions that are missing, or of an old library', async (t) => {
  for (const missing of ['SHA256_Init', 'SHA256_Update', 'SHA256_Final', 'OPENSSL_version_major'] as const) {
    const { [missing]: _, ...rest } = FUNCTIONS
    const sha256 = await sha256By(async () => sha256Of(librariesOf({ process: rest })))
    t.match(sha256, { implementation: 'node:crypto', problem: { code: 'ERR_NATIVE_OPENSSL' } }, missing)
  }
  const old = await sha256By(async () => sha256Of(librariesOf({ process: { ...FUNCTIONS, OPENSSL_version_major: 1 } })))
  t.match(old.problem, { code: 'ERR_NATIVE_OPENSSL', message: 'OpenSSL 1 is too old' })
})

t.test('functions that do something else', async (t) => {
  const sha256 = await sha256By(async () => sha256Of(librariesOf({ process: FUNCTIONS })))
  t.match(sha256, { implementation: 'node:crypto', problem: { code: 'ERR_NATIVE_OPENSSL' } })
  t.equal(digestOf(sha256, Buffer.from('abc')), digestOf(byNode, Buffer.from('abc')))
})

t.test('an HMAC that is right only once', { skip }, async (t) => {
  const openssl = await loadOpenSslSha256()
  let calls = 0
  const final = (into: number, state: number): number => {
    if (++calls === 5) openssl.update(state, state, 1)
    return openssl.final(into, state)
  }
  const sha256 = await sha256By(async () => ({ ...openssl, final }))
  t.match(sha256, { implementation: 'node:crypto', problem: { message: 'OpenSSL differs from node:crypto: the HMAC of 0 bytes with a key of 0' } })
})

t.test('a failure of any other kind', async (t) => {
  const sha256 = await sha256By(() => Promise.reject(new Error('of another kind')))
  t.match(sha256.problem, { code: 'ERR_NATIVE_OPENSSL', cause: { message: 'of another kind' } })
})
