/** Errors of sealing. */
import { CodedError } from '../errors.ts'

/** Codes of a {@link SealingError}. */
export type SealingErrorCode =
  | 'ERR_SEALING_SIZE' // the datagram has no room for what its layout places in it, or is longer than a datagram can be
  | 'ERR_SEALING_MEMORY' // the datagram is no `Uint8Array`, or not inside the given one
  | 'ERR_SEALING_IVS' // the counter has no further IV
  | 'ERR_SEALING_CLOSED' // the cipher has been closed
  | 'ERR_SEALING_FAILED' // OpenSSL has reported a failure

/** A datagram cannot be sealed, or a cipher is used in a wrong way. A datagram that is not authentic is no error. */
export class SealingError extends CodedError<SealingErrorCode> {
  override readonly name = 'SealingError'
}
