/**
 * RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes, by functions of OpenSSL: a context is kept for a key, where
 * `crypto.verify` makes one for each signature, which takes a quarter of its time.
 */
import { DIGEST_BYTES, type Sha256 } from '../sha256/sha256.ts'
import type { OpenSslPss } from '../../net/native/openssl-pss.ts'

/** `EVP_PKEY_RSA`, `RSA_PKCS1_PSS_PADDING`. */
const RSA = 6
const PSS = 6
const SALT_BYTES = 32

/** Makes contexts for keys. */
export interface PssVerifier {
  /** A context for a key, which its owner has to close; undefined when OpenSSL does not take it. @param der PKCS #1 */
  open (der: Uint8Array): PssContext | undefined
}

/** Verifies signatures of one key. */
export interface PssContext {
  verify (bytes: Uint8Array, signature: Uint8Array): boolean
  /** Frees its memory. From then on it verifies nothing. */
  close (): void
}

export class FunctionsOfPss implements PssVerifier {
  readonly #openssl: OpenSslPss
  readonly #sha256: Sha256

  constructor (openssl: OpenSslPss, sha256: Sha256) {
    this.#openssl = openssl
    this.#sha256 = sha256
  }

  open (der: Uint8Array): PssContext | undefined {
    const { readKey, freeKey, newContext, clearErrors, address } = this.#openssl
    pointer[0] = BigInt(address(der))
    const key = readKey(RSA, 0, address(pointerBytes), der.length)
    const context = key === 0 ? 0 : newContext(key, 0)
    if (key !== 0) freeKey(key) // the context holds it
    if (context !== 0 && this.#prepare(context)) return new Context(this.#openssl, this.#sha256, context)
    this.#openssl.freeContext(context)
    clearErrors()
    return undefined
  }

  #prepare (context: number): boolean {
    const { init, setPadding, setSaltLength, setDigest, sha256 } = this.#openssl
    return init(context) === 1 && setPadding(context, PSS) === 1 && setSaltLength(context, SALT_BYTES) === 1 && setDigest(context, sha256()) === 1
  }
}

class Context implements PssContext {
  readonly #openssl: OpenSslPss
  readonly #sha256: Sha256
  /** 0: it is closed. */
  #context: number

  constructor (openssl: OpenSslPss, sha256: Sha256, context: number) {
    this.#openssl = openssl
    this.#sha256 = sha256
    this.#context = context
  }

  verify (bytes: Uint8Array, signature: Uint8Array): boolean {
    if (this.#context === 0) return false
    const { verify, clearErrors, address } = this.#openssl
    this.#sha256.digest(bytes, 0, bytes.length, digest, 0)
    const isValid = verify(this.#context, address(signature), signature.length, address(digest), DIGEST_BYTES) === 1
    if (!isValid) clearErrors()
    return isValid
  }

  close (): void {
    this.#openssl.freeContext(this.#context)
    this.#context = 0
  }
}

/** To the DER at hand. */
const pointer = new BigUint64Array(1)
const pointerBytes = new Uint8Array(pointer.buffer)

/** Of the message at hand. */
const digest = Buffer.alloc(DIGEST_BYTES)
