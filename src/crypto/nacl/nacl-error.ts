/** Errors of NaCl. */
import { CodedError } from '../../errors.ts'

/** Codes of a {@link NaclError}. */
export type NaclErrorCode =
  | 'ERR_NACL_SIZE' // a key, nonce, seed or result has another size than it must have
  | 'ERR_NACL_PUBLIC_KEY' // a box for a public key of low order, which anybody could open

/** A function of NaCl is used in a wrong way. What is not authentic is no error. */
export class NaclError extends CodedError<NaclErrorCode> {
  override readonly name = 'NaclError'
}
