/** Keys as text: standard base64, with or without `=` at its end. */
import type { KeyPair, Nacl } from '../../../crypto/nacl/index.ts'
import { NACL_KEY_BYTES, SIGN_SECRET_BYTES } from '../../../crypto/nacl/index.ts'
import { RustdeskKeyError, type RustdeskKeyErrorCode } from './key-error.ts'

/** The text of a key. */
export const keyText = (key: Uint8Array): string => Buffer.from(key).toString('base64')

/** The bytes of a text; undefined when it is no base64 of so many bytes. */
export function bytesOfText (text: string, size: number): Buffer | undefined {
  const bytes = Buffer.from(text, 'base64')
  const wanted = bytes.toString('base64')
  return bytes.length === size && (text === wanted || text === wanted.replace(/=+$/, '')) ? bytes : undefined
}

/** Whether a text has the form of a secret key: the seed and the public key. */
export const isSecretText = (text: string): boolean => bytesOfText(text, SIGN_SECRET_BYTES) !== undefined

/**
 * The pair of the text of a secret key.
 *
 * @param what has it, as the error tells
 * @throws {RustdeskKeyError} with this code
 */
export function pairOfText (nacl: Nacl, text: string, what: string, code: RustdeskKeyErrorCode): KeyPair {
  const bytes = bytesOfText(text, SIGN_SECRET_BYTES)
  if (bytes === undefined) throw new RustdeskKeyError(code, `${what} has no secret key: that is ${SIGN_SECRET_BYTES} bytes in base64`)
  const pair = nacl.signKeys(bytes.subarray(0, NACL_KEY_BYTES))
  if (Buffer.compare(pair.publicKey, bytes.subarray(NACL_KEY_BYTES)) !== 0) throw new RustdeskKeyError(code, `${what} has a secret key whose second half is not the public key of the first`)
  return pair
}
