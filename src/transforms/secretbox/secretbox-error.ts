/** Errors of secret boxes. */
import { CodedError } from '../../errors.ts'

/** Codes of a {@link SecretboxError}. */
export type SecretboxErrorCode =
  | 'ERR_SECRETBOX_SHORT' // a frame is shorter than a tag, and longer than what passes in the clear
  | 'ERR_SECRETBOX_FORGED' // a frame is not authentic: changed, lost or repeated on its way, or of another key
  | 'ERR_SECRETBOX_COUNTER' // a direction has used up all its nonces

/** A frame cannot be opened, or no more can be sealed. The link has to end. */
export class SecretboxError extends CodedError<SecretboxErrorCode> {
  override readonly name = 'SecretboxError'
}
