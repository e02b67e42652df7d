/** The errors of reliable links. */
import { CodedError } from '../../errors.ts'

/**
 * - `ERR_RELIABLE_TIMEOUT`: the other side has not answered for too long, although data waited
 */
export type ReliableErrorCode = 'ERR_RELIABLE_TIMEOUT'

/** A reliable link has failed. */
export class ReliableError extends CodedError<ReliableErrorCode> {
  override readonly name = 'ReliableError'
}
