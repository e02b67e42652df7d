/** Errors of the keys of a server. */
import { CodedError } from '../../../errors.ts'

/** Codes of a {@link RustdeskKeyError}. */
export type RustdeskKeyErrorCode =
  | 'ERR_RUSTDESK_KEY' // a key that was given has two halves that do not belong together
  | 'ERR_RUSTDESK_KEY_FILE' // a key file cannot be read or written, or what is in it is no key

/** A key cannot be used. The files are as they were. No text of it has a secret key. */
export class RustdeskKeyError extends CodedError<RustdeskKeyErrorCode> {
  override readonly name = 'RustdeskKeyError'
}
