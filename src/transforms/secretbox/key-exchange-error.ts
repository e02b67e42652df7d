/** Errors of key exchanges. */
import { CodedError } from '../../errors.ts'

/** Codes of a {@link KeyExchangeError}. */
export type KeyExchangeErrorCode =
  | 'ERR_KEY_EXCHANGE_MISSING' // the other side offers no key
  | 'ERR_KEY_EXCHANGE_OFFER' // an offer has another number of keys, or another size
  | 'ERR_KEY_EXCHANGE_SIGNATURE' // an offer is not signed by the server that was expected
  | 'ERR_KEY_EXCHANGE_ANSWER' // an answer has another number of keys, or another size
  | 'ERR_KEY_EXCHANGE_BOX' // the key in an answer is not for this offer

/** Both sides have no key in common. The link has to end. */
export class KeyExchangeError extends CodedError<KeyExchangeErrorCode> {
  override readonly name = 'KeyExchangeError'
}
