/** The functions of OpenSSL that verify by RSA-PSS, with a context that is made once for a key. */
import { loadKoffi } from './koffi.ts'
import { addressesOf, exact, functionsOf, type Libraries, type Library } from './openssl.ts'

/** Functions have the arguments of their C namesakes; 1 when they have worked. An address of 0 is a null pointer. */
export interface OpenSslPss {
  /** `d2i_PublicKey`, of PKCS #1: a new key, 0 when it is none. `into` is 0; `from` the address of a pointer, which it changes. */
  readKey (type: number, into: number, from: number, length: number): number
  /** `EVP_PKEY_free`. */
  freeKey (key: number): void
  /** `EVP_PKEY_CTX_new`: a new context, which holds the key; 0 when there is no memory for one. */
  newContext (key: number, engine: number): number
  /** `EVP_PKEY_CTX_free`. */
  freeContext (context: number): void
  /** `EVP_PKEY_verify_init`, and what is set after it. */
  init (context: number): number
  setPadding (context: number, padding: number): number
  setSaltLength (context: number, length: number): number
  setDigest (context: number, digest: number): number
  /** `EVP_sha256`. */
  sha256 (): number
  /** `EVP_PKEY_verify`, of a digest: 1 when the signature is that of the key. */
  verify (context: number, signature: number, signatureLength: number, digest: number, digestLength: number): number
  /** `ERR_clear_error`: empties the thread's queue of errors, in which other code would look for its own. */
  clearErrors (): void
  /** The address of the first byte of a view, see `OpenSsl`. */
  address (bytes: Uint8Array): number
}

let loaded: Promise<OpenSslPss> | undefined

/** Loads it once. Rejects with `ERR_NATIVE_KOFFI`, or with `ERR_NATIVE_OPENSSL` when there is no OpenSSL 3 or later with these functions. */
export function loadOpenSslPss (): Promise<OpenSslPss> {
  loaded ??= loadKoffi().then((libraries: Libraries) => functionsOf(libraries, bind))
  return loaded
}

function bind (libraries: Libraries, library: Library): OpenSslPss {
  const readKey = library.func('d2i_PublicKey', 'uintptr_t', ['int', 'uintptr_t', 'uintptr_t', 'long'])
  const freeKey = library.func('EVP_PKEY_free', 'void', ['uintptr_t'])
  const newContext = library.func('EVP_PKEY_CTX_new', 'uintptr_t', ['uintptr_t', 'uintptr_t'])
  const freeContext = library.func('EVP_PKEY_CTX_free', 'void', ['uintptr_t'])
  const sha256 = library.func('EVP_sha256', 'uintptr_t', [])
  const clearErrors = library.func('ERR_clear_error', 'void', [])
  const setting = (name: string) => library.func(name, 'int', ['uintptr_t', 'int']) as OpenSslPss['setPadding']
  const addresses = addressesOf(libraries)
  return {
    readKey: (type, into, from, length) => exact(readKey(type, into, from, length)),
    freeKey: (key) => { freeKey(key) },
    newContext: (key, engine) => exact(newContext(key, engine)),
    freeContext: (context) => { freeContext(context) },
    init: library.func('EVP_PKEY_verify_init', 'int', ['uintptr_t']) as OpenSslPss['init'],
    setPadding: setting('EVP_PKEY_CTX_set_rsa_padding'),
    setSaltLength: setting('EVP_PKEY_CTX_set_rsa_pss_saltlen'),
    setDigest: library.func('EVP_PKEY_CTX_set_signature_md', 'int', ['uintptr_t', 'uintptr_t']) as OpenSslPss['setDigest'],
    sha256: () => exact(sha256()),
    verify: library.func('EVP_PKEY_verify', 'int', ['uintptr_t', 'uintptr_t', 'size_t', 'uintptr_t', 'size_t']) as OpenSslPss['verify'],
    clearErrors: () => { clearErrors() },
    address: (bytes) => addresses.of(bytes)
  }
}
