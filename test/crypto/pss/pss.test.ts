/** RSA-PSS by functions of OpenSSL: the same as node:crypto, and used only where it is. */
import { constants, generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { skip } from '../../helpers/crypto/sealings.ts'
import { loadPssVerifier, type PssContext } from '../../../src/crypto/pss/index.ts'
import { pssVerifierBy } from '../../../src/crypto/pss/load.ts'
import { NativeError } from '../../../src/net/native/native-error.ts'
import { loadOpenSslPss } from '../../../src/net/native/openssl-pss.ts'

const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 3072 })
const der = publicKey.export({ type: 'pkcs1', format: 'der' })
const bytes = Buffer.from('signed')
const signed = (padding: number, saltLength: number, hash = 'sha256'): Buffer => sign(hash, bytes, { key: privateKey, padding, saltLength })
const { RSA_PKCS1_PSS_PADDING: PSS, RSA_PKCS1_PADDING: PKCS1 } = constants

t.test('signatures that hold, and others', { skip }, async (t) => {
  const verifier = await loadPssVerifier()
  t.ok(verifier)
  const context = verifier?.open(der) as PssContext
  const signature = signed(PSS, 32)
  t.ok(context.verify(bytes, signature))
  t.ok(context.verify(bytes, Buffer.concat([Buffer.alloc(3), signature]).subarray(3)), 'anywhere in memory')
  for (let i = 0; i < signature.length; i += 37) t.notOk(context.verify(bytes, signature.map((byte, at) => at === i ? byte ^ 0x10 : byte)), `byte ${i} is another one`)
  t.notOk(context.verify(Buffer.from('Signed'), signature))
  t.notOk(context.verify(bytes, signed(PSS, 20)), 'another length of the salt')
  t.notOk(context.verify(bytes, signed(PSS, 32, 'sha512')), 'another hash')
  t.notOk(context.verify(bytes, signed(PKCS1, 0)), 'another padding')
  t.notOk(context.verify(bytes, signature.subarray(1)), 'another length')
  t.notOk(context.verify(bytes, Buffer.alloc(384, 0xff)), 'more than the modulus')
  t.ok(context.verify(bytes, signature), 'none of them has changed anything')
  t.ok(sign('sha256', bytes, privateKey).length > 0, 'nor left an error to others')
  context.close()
})

t.test('a context that is closed verifies nothing, and is freed once', { skip }, async (t) => {
  const functions = await loadOpenSslPss()
  const freed: number[] = []
  const verifier = await pssVerifierBy(() => Promise.resolve({
    ...functions,
    freeContext: (context) => {
      freed.push(context)
      functions.freeContext(context)
    }
  }))
  const context = verifier?.open(der) as PssContext
  const signature = signed(PSS, 32)
  t.ok(context.verify(bytes, signature))
  freed.length = 0
  context.close()
  t.notOk(context.verify(bytes, signature))
  context.close()
  t.equal(freed.filter((one) => one !== 0).length, 1)
})

t.test('a key that is none', { skip }, async (t) => {
  const verifier = await loadPssVerifier()
  t.equal(verifier?.open(der.subarray(1)), undefined)
  t.equal(verifier?.open(der.subarray(0, 100)), undefined)
  t.equal(verifier?.open(new Uint8Array(0)), undefined)
})

t.test('functions that are missing, or do something else', { skip }, async (t) => {
  const functions = await loadOpenSslPss()
  t.ok(await pssVerifierBy(() => Promise.resolve(functions)))
  t.equal(await pssVerifierBy(() => Promise.reject(new NativeError('ERR_NATIVE_OPENSSL', 'not there'))), undefined)
  for (const wrong of [{ verify: () => 1 }, { verify: () => 0 }, { readKey: () => 0 }, { newContext: () => 0 }, { setSaltLength: () => 1 }, { setPadding: () => 0 }]) {
    t.equal(await pssVerifierBy(() => Promise.resolve({ ...functions, ...wrong })), undefined, Object.keys(wrong)[0])
  }
  t.equal(await loadPssVerifier(), await loadPssVerifier(), 'it is found out once')
})
