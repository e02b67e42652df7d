/** Libraries of functions that do nothing, in the place of those of the process and of the system. */
import type { Libraries } from '../../../src/net/native/openssl.ts'

/** A process and a library of the system with some functions, all of which return a number. */
export const librariesOf = (functions: Record<string, Record<string, number | bigint>>, asked: string[] = []): Libraries => ({
  load (path) {
    const name = path ?? 'process'
    if (functions[name] === undefined) throw new Error(`no ${name}`)
    return {
      func (of) {
        const result = functions[name][of]
        if (result === undefined) throw new Error(`no ${of}`)
        asked.push(`${name}: ${of}`)
        return () => result
      }
    }
  },
  address: () => 4096n
})

/** All functions that are asked for, as of OpenSSL 3. */
export const ALL = {
  OPENSSL_version_major: 3,
  EVP_CIPHER_CTX_new: 4096,
  EVP_CIPHER_CTX_free: 0,
  EVP_aes_256_gcm: 4096,
  EVP_CipherInit_ex: 1,
  EVP_Cipher: 0,
  EVP_CIPHER_CTX_ctrl: 1,
  ERR_clear_error: 0
}
