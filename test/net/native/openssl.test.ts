/** Where functions of OpenSSL are looked for. What they do is tested where they are used, in test/crypto. */
import t from 'tap'
import { ALL, librariesOf } from '../../helpers/crypto/libraries.ts'
import { skip } from '../../helpers/crypto/sealings.ts'
import { loadOpenSsl, openSslOf } from '../../../src/net/native/openssl.ts'

t.test('a process without functions of its own: those of the system', async (t) => {
  const asked: string[] = []
  t.equal(openSslOf(librariesOf({ process: {}, 'libcrypto.so.3': { ...ALL, EVP_CIPHER_CTX_new: 8192 } }, asked)).newContext(), 8192)
  t.same(asked.filter((name) => !name.startsWith('libcrypto.so.3: ')), [])
})

t.test('a process with other functions of the same names: not those of the system beside them', async (t) => {
  t.throws(() => openSslOf(librariesOf({ process: { EVP_Cipher: 1 }, 'libcrypto.so.3': ALL })), { name: 'NativeError', code: 'ERR_NATIVE_OPENSSL' })
})

t.test('addresses that no number can hold are not rounded', async (t) => {
  const openssl = openSslOf({ ...librariesOf({ process: ALL }), address: () => 0xb400_0000_0000_1001n })
  t.throws(() => openssl.address(new Uint8Array(8)), { code: 'ERR_NATIVE_OPENSSL' })
})

t.test('this process', { skip }, async (t) => {
  const openssl = await loadOpenSsl()
  t.equal(await loadOpenSsl(), openssl, 'loaded once')
  const context = openssl.newContext()
  const key = new Uint8Array(32)
  t.equal(openssl.init(context, openssl.aes256Gcm(), 0, openssl.address(key), 0, 1), 1)
  openssl.freeContext(context)
})
