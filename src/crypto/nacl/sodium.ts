/** NaCl by libsodium. The only place that knows `sodium-native`, which is optional. */
import { randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { KeyPair } from './key-pair.ts'
import { NaclError } from './nacl-error.ts'
import type { Nacl } from './nacl.ts'
import { BOX_TAG_BYTES, NACL_KEY_BYTES, NONCE_BYTES, SIGN_SECRET_BYTES, SIGNATURE_BYTES, verifyBox, verifyKeys, verifySize } from './sizes.ts'

/** Functions of the package; results come first. Those without a result throw when they fail. */
export interface Sodium {
  crypto_secretbox_easy (sealed: Uint8Array, text: Uint8Array, nonce: Uint8Array, key: Uint8Array): void
  crypto_secretbox_open_easy (text: Uint8Array, sealed: Uint8Array, nonce: Uint8Array, key: Uint8Array): boolean
  crypto_scalarmult_base (publicKey: Uint8Array, secretKey: Uint8Array): void
  crypto_scalarmult (shared: Uint8Array, secretKey: Uint8Array, publicKey: Uint8Array): void
  crypto_box_easy (sealed: Uint8Array, text: Uint8Array, nonce: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): void
  crypto_box_open_easy (text: Uint8Array, sealed: Uint8Array, nonce: Uint8Array, publicKey: Uint8Array, secretKey: Uint8Array): boolean
  crypto_sign_seed_keypair (publicKey: Uint8Array, secretKey: Uint8Array, seed: Uint8Array): void
  crypto_sign (signed: Uint8Array, message: Uint8Array, secretKey: Uint8Array): void
  crypto_sign_verify_detached (signature: Uint8Array, message: Uint8Array, publicKey: Uint8Array): boolean
}

/** @throws what loading the package throws, where it is not installed or has nothing for this system */
export const loadSodium = (): Sodium => createRequire(import.meta.url)('sodium-native')

const NO_NONCE = new Uint8Array(NONCE_BYTES)

/** NaCl by functions of the package. */
export const sodiumNacl = (sodium: Sodium): Nacl => ({
  implementation: 'sodium-native',
  problem: undefined,
  seal (sealed, text, nonce, key) {
    verifyBox(sealed, text, nonce, key)
    sodium.crypto_secretbox_easy(sealed, text, nonce, key)
  },
  open (text, sealed, nonce, key) {
    if (sealed.length < BOX_TAG_BYTES) return false
    verifyBox(sealed, text, nonce, key)
    return sodium.crypto_secretbox_open_easy(text, sealed, nonce, key)
  },
  boxKeys (secretKey = randomBytes(NACL_KEY_BYTES)) {
    verifySize('a secret key', secretKey, NACL_KEY_BYTES)
    const publicKey = new Uint8Array(NACL_KEY_BYTES)
    sodium.crypto_scalarmult_base(publicKey, secretKey)
    return new KeyPair(publicKey, secretKey)
  },
  box (text, publicKey, secretKey) {
    verifyKeys(publicKey, secretKey)
    verifyOrder(sodium, publicKey, secretKey)
    const sealed = new Uint8Array(BOX_TAG_BYTES + text.length)
    sodium.crypto_box_easy(sealed, text, NO_NONCE, publicKey, secretKey)
    return sealed
  },
  openBox (sealed, publicKey, secretKey) {
    verifyKeys(publicKey, secretKey)
    if (sealed.length < BOX_TAG_BYTES) return undefined
    const text = new Uint8Array(sealed.length - BOX_TAG_BYTES)
    return sodium.crypto_box_open_easy(text, sealed, NO_NONCE, publicKey, secretKey) ? text : undefined
  },
  signKeys (seed = randomBytes(NACL_KEY_BYTES)) {
    verifySize('a seed', seed, NACL_KEY_BYTES)
    const publicKey = new Uint8Array(NACL_KEY_BYTES)
    const secretKey = new Uint8Array(SIGN_SECRET_BYTES)
    sodium.crypto_sign_seed_keypair(publicKey, secretKey, seed)
    return new KeyPair(publicKey, secretKey)
  },
  sign (message, secretKey) {
    verifySize('a secret key', secretKey, SIGN_SECRET_BYTES)
    const signed = new Uint8Array(SIGNATURE_BYTES + message.length)
    sodium.crypto_sign(signed, message, secretKey)
    return signed
  },
  openSigned (signed, publicKey) {
    verifySize('a public key', publicKey, NACL_KEY_BYTES)
    if (signed.length < SIGNATURE_BYTES) return undefined
    const message = signed.subarray(SIGNATURE_BYTES)
    return sodium.crypto_sign_verify_detached(signed.subarray(0, SIGNATURE_BYTES), message, publicKey) ? message : undefined
  }
})

/** Apart from the box, whose other failures must not be taken for this one. */
function verifyOrder (sodium: Sodium, publicKey: Uint8Array, secretKey: Uint8Array): void {
  try {
    sodium.crypto_scalarmult(new Uint8Array(NACL_KEY_BYTES), secretKey, publicKey)
  } catch (cause) {
    throw new NaclError('ERR_NACL_PUBLIC_KEY', 'the public key is of low order', { cause })
  }
}
