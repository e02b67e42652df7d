/** Errors that end a connection to a server. */
import { refusalOf, type GotunnelRefusal } from '../protocol/reasons.ts'
import { CodedError } from '../../../errors.ts'
import { printable, reasonOf } from '../../../text/printable.ts'

/** Error numbers of the original's documentation (gotunnel protocol, section 7). */
export const CONNECT_FAILED = 1001
/** The number of the error: the server does not know the token (gotunnel protocol, section 7). */
export const AUTHENTICATION_FAILED = 1002

const PERMANENT: ReadonlySet<GotunnelRefusal> = new Set(['token', 'mode', 'no_strict', 'port', 'name', 'replaced'])

/** Rejections that may end without a change of this peer: another client holds the port, or the server's settings change. */
const RECOVERABLE: ReadonlySet<GotunnelRefusal> = new Set(['port', 'replaced'])

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
  readonly reason: GotunnelRefusal
  /** The error number of the original; undefined for reasons that it does not have. */
  readonly number: number | undefined
  /** A retry cannot succeed. */
  readonly isPermanent: boolean
  /** The port may become available again. */
  readonly isRecoverable: boolean

  /** @param text what the server says */
  constructor (text: string | undefined, reason = refusalOf(text)) {
    super('ERR_GOTUNNEL_REFUSED', reason === 'none' ? 'the server gives no reason' : printable(text ?? ''))
    this.reason = reason
    this.number = reason === 'token' ? AUTHENTICATION_FAILED : undefined
    this.isPermanent = PERMANENT.has(reason)
    this.isRecoverable = RECOVERABLE.has(reason)
  }
}
