/** Sizes of what NaCl takes and gives, in bytes. */
import { NaclError } from './nacl-error.ts'

/** Of a secret box and of a box. */
export const BOX_TAG_BYTES = 16
export const NONCE_BYTES = 24
/** Of a secret box; X25519, public and secret; Ed25519, public; the seed of a pair. */
export const NACL_KEY_BYTES = 32
/** Ed25519: the seed and the public key. */
export const SIGN_SECRET_BYTES = 64
export const SIGNATURE_BYTES = 64

/** Says nothing about the bytes themselves, which may be secret. */
export function verifySize (what: string, bytes: Uint8Array, size: number): void {
  if (bytes.length !== size) throw new NaclError('ERR_NACL_SIZE', `${what} has ${bytes.length} bytes, not ${size}`)
}

/** @throws {NaclError} unless all sizes fit, as those of `seal` and `open` of {@link Nacl} */
export function verifyBox (sealed: Uint8Array, text: Uint8Array, nonce: Uint8Array, key: Uint8Array): void {
  if (sealed.length !== text.length + BOX_TAG_BYTES) verifySize('a sealed text', sealed, text.length + BOX_TAG_BYTES)
  if (nonce.length !== NONCE_BYTES) verifySize('a nonce', nonce, NONCE_BYTES)
  if (key.length !== NACL_KEY_BYTES) verifySize('a key', key, NACL_KEY_BYTES)
}

/** @throws {NaclError} unless these are keys of X25519 */
export function verifyKeys (publicKey: Uint8Array, secretKey: Uint8Array): void {
  verifySize('a public key', publicKey, NACL_KEY_BYTES)
  verifySize('a secret key', secretKey, NACL_KEY_BYTES)
}
