/** Errors that end a connection to a server. */
import { REASONS, REPLACED } from '../protocol/reasons.ts'
import { CodedError } from '../../../errors.ts'
import { printable, reasonOf } from '../../../text/printable.ts'

/** Error numbers of the original's documentation (gotunnel protocol, section 7). */
export const CONNECT_FAILED = 1001
export const AUTHENTICATION_FAILED = 1002

const PERMANENT: ReadonlySet<string> = new Set([REASONS.token, REASONS.mode, REASONS.port, REASONS.name, REPLACED])

/** Rejections that may end without a change of this peer: another client holds the port, or the server's settings change. */
const RECOVERABLE: ReadonlySet<string> = new Set([REASONS.port, REPLACED])

/** No connection to the server: refused, or no answer in time. */
export class ConnectError extends CodedError<'ERR_GOTUNNEL_CONNECT'> {
  override readonly name = 'ConnectError'
  readonly number = CONNECT_FAILED

  constructor (cause: Error) {
    super('ERR_GOTUNNEL_CONNECT', reasonOf(cause), { cause })
  }
}

/** The server has rejected a registration, or ended it later. */
export class RefusedError extends CodedError<'ERR_GOTUNNEL_REFUSED'> {
  override readonly name = 'RefusedError'
  /** The error number of the original; undefined for reasons that it does not have. */
  readonly number: number | undefined
  /** A retry cannot succeed. */
  readonly isPermanent: boolean
  /** The port may become available again. */
  readonly isRecoverable: boolean

  constructor (reason: string, isPermanent = PERMANENT.has(reason)) {
    super('ERR_GOTUNNEL_REFUSED', printable(reason))
    this.number = reason === REASONS.token ? AUTHENTICATION_FAILED : undefined
    this.isPermanent = isPermanent
    this.isRecoverable = RECOVERABLE.has(reason)
  }
}
