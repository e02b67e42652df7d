/** AES-256-GCM by functions of OpenSSL: one context for each direction, in which each datagram sets the IV anew. Allocates no object. */
import type { OpenSsl } from '../net/native/openssl.ts'
import type { Gcm } from './gcm.ts'
import { TAG_BYTES } from './layout.ts'
import { SealingError } from './sealing-error.ts'

/** Of openssl/evp.h. */
const EVP_CTRL_AEAD_GET_TAG = 0x10
const EVP_CTRL_AEAD_SET_TAG = 0x11

const DECRYPT = 0
const ENCRYPT = 1
const UNCHANGED = -1

const collected = new FinalizationRegistry<() => void>((free) => { free() })

export class OpenSslGcm implements Gcm {
  readonly #init: OpenSsl['init']
  readonly #cipher: OpenSsl['cipher']
  readonly #control: OpenSsl['control']
  readonly #address: OpenSsl['address']
  readonly #clearErrors: OpenSsl['clearErrors']
  readonly #encrypting: number
  readonly #decrypting: number
  readonly #free: () => void

  /** @throws {SealingError} `ERR_SEALING_FAILED` */
  constructor (openssl: OpenSsl, key: Uint8Array) {
    this.#init = openssl.init
    this.#cipher = openssl.cipher
    this.#control = openssl.control
    this.#address = openssl.address
    this.#clearErrors = openssl.clearErrors
    const contexts: number[] = []
    this.#free = freeing(openssl, contexts)
    try {
      this.#encrypting = contexts[contexts.push(contextOf(openssl, key, ENCRYPT)) - 1]
      this.#decrypting = contexts[contexts.push(contextOf(openssl, key, DECRYPT)) - 1]
    } catch (err) {
      this.#free()
      throw err
    }
    collected.register(this, this.#free)
  }

  seal (bytes: Uint8Array, iv: number, tag: number, text: number, length: number): boolean {
    const at = this.#address(bytes)
    const context = this.#encrypting
    const isDone = this.#init(context, 0, 0, 0, at + iv, UNCHANGED) === 1 &&
      (length === 0 || this.#cipher(context, at + text, at + text, length) === length) &&
      this.#cipher(context, 0, 0, 0) === 0 &&
      this.#control(context, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, at + tag) === 1
    if (!isDone) this.#clearErrors()
    return isDone
  }

  open (bytes: Uint8Array, iv: number, tag: number, text: number, length: number): boolean {
    const at = this.#address(bytes)
    const context = this.#decrypting
    const isAuthentic = this.#init(context, 0, 0, 0, at + iv, UNCHANGED) === 1 &&
      (length === 0 || this.#cipher(context, at + text, at + text, length) === length) &&
      this.#control(context, EVP_CTRL_AEAD_SET_TAG, TAG_BYTES, at + tag) === 1 &&
      this.#cipher(context, 0, 0, 0) === 0
    if (!isAuthentic) this.#clearErrors()
    return isAuthentic
  }

  close (): void { this.#free() }
}

/** Frees them once. Apart from the object whose contexts these are, which it must not keep alive. */
function freeing (openssl: OpenSsl, contexts: number[]): () => void {
  return () => { for (const context of contexts.splice(0)) openssl.freeContext(context) }
}

function contextOf (openssl: OpenSsl, key: Uint8Array, encrypt: number): number {
  const context = openssl.newContext()
  if (context !== 0 && openssl.init(context, openssl.aes256Gcm(), 0, openssl.address(key), 0, encrypt) === 1) return context
  if (context !== 0) openssl.freeContext(context)
  openssl.clearErrors()
  throw new SealingError('ERR_SEALING_FAILED', 'OpenSSL makes no context for AES-256-GCM')
}
