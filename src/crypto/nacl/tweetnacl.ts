/** NaCl in JavaScript, for systems that `sodium-native` has nothing for. Refuses what libsodium refuses, which the package itself does not. */
import { randomBytes } from 'node:crypto'
import type tweetnacl from 'tweetnacl'
import { KeyPair } from './key-pair.ts'
import { NaclError } from './nacl-error.ts'
import type { Nacl } from './nacl.ts'
import { BOX_TAG_BYTES, NACL_KEY_BYTES, NONCE_BYTES, SIGN_SECRET_BYTES, SIGNATURE_BYTES, verifyBox, verifyKeys, verifySize } from './sizes.ts'
import { isStrictSignature } from './strict-signature.ts'

const NO_NONCE = new Uint8Array(NONCE_BYTES)

/** @param problem why it is used */
export const tweetNacl = (nacl: typeof tweetnacl, problem?: Error): Nacl => ({
  implementation: 'tweetnacl',
  problem,
  seal (sealed, text, nonce, key) {
    verifyBox(sealed, text, nonce, key)
    sealed.set(nacl.secretbox(text, nonce, key))
  },
  open (text, sealed, nonce, key) {
    if (sealed.length < BOX_TAG_BYTES) return false
    verifyBox(sealed, text, nonce, key)
    const opened = nacl.secretbox.open(sealed, nonce, key)
    if (opened !== null) text.set(opened)
    return opened !== null
  },
  boxKeys (secretKey = randomBytes(NACL_KEY_BYTES)) {
    verifySize('a secret key', secretKey, NACL_KEY_BYTES)
    return new KeyPair(nacl.scalarMult.base(secretKey), secretKey)
  },
  box (text, publicKey, secretKey) {
    verifyKeys(publicKey, secretKey)
    if (isLowOrder(nacl, publicKey, secretKey)) throw new NaclError('ERR_NACL_PUBLIC_KEY', 'the public key is of low order')
    return nacl.box(text, NO_NONCE, publicKey, secretKey)
  },
  openBox (sealed, publicKey, secretKey) {
    verifyKeys(publicKey, secretKey)
    if (sealed.length < BOX_TAG_BYTES || isLowOrder(nacl, publicKey, secretKey)) return undefined
    return nacl.box.open(sealed, NO_NONCE, publicKey, secretKey) ?? undefined
  },
  signKeys (seed = randomBytes(NACL_KEY_BYTES)) {
    verifySize('a seed', seed, NACL_KEY_BYTES)
    const { publicKey, secretKey } = nacl.sign.keyPair.fromSeed(seed)
    return new KeyPair(publicKey, secretKey)
  },
  sign (message, secretKey) {
    verifySize('a secret key', secretKey, SIGN_SECRET_BYTES)
    return nacl.sign(message, secretKey)
  },
  openSigned (signed, publicKey) {
    verifySize('a public key', publicKey, NACL_KEY_BYTES)
    if (signed.length < SIGNATURE_BYTES) return undefined
    const signature = signed.subarray(0, SIGNATURE_BYTES)
    const message = signed.subarray(SIGNATURE_BYTES)
    return isStrictSignature(signature, publicKey) && nacl.sign.detached.verify(message, signature, publicKey) ? message : undefined
  }
})

/** Whether what both have in common is nothing but zeros, for every secret key. */
const isLowOrder = (nacl: typeof tweetnacl, publicKey: Uint8Array, secretKey: Uint8Array): boolean => nacl.scalarMult(secretKey, publicKey).every((byte) => byte === 0)
