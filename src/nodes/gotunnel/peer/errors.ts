/** What ends a connection to a server. */
import { REASONS, REPLACED } from '../protocol/reasons.ts'
import { CodedError } from '../../../errors.ts'
import { printable, reasonOf } from '../../../text/printable.ts'

/** The numbers of the original's documentation (gotunnel protocol, section 7). */
export const CONNECT_FAILED = 1001
export const AUTHENTICATION_FAILED = 1002

const PERMANENT: ReadonlySet<string> = new Set([REASONS.token, REASONS.mode, REASONS.port, REASONS.name, REPLACED])

/** Those that may be otherwise some time later without a change of this peer: others hold the port, or the server's settings were others. */
const RECOVERABLE: ReadonlySet<string> = new Set([REASONS.port, REPLACED])

/** There is no connection to the server: nobody listens, no answer. */
export class ConnectError extends CodedError<'ERR_GOTUNNEL_CONNECT'> {
  override readonly name = 'ConnectError'
  readonly number = CONNECT_FAILED

  constructor (cause: Error) {
    super('ERR_GOTUNNEL_CONNECT', reasonOf(cause), { cause })
  }
}

/** The server has said no, then or later. */
export class RefusedError extends CodedError<'ERR_GOTUNNEL_REFUSED'> {
  override readonly name = 'RefusedError'
  /** Of the original's documentation; undefined for what that does not know. */
  readonly number: number | undefined
  /** A retry cannot mend it. */
  readonly isPermanent: boolean
  /** The port was there before, and may be again. */
  readonly isRecoverable: boolean

  constructor (reason: string, isPermanent = PERMANENT.has(reason)) {
    super('ERR_GOTUNNEL_REFUSED', printable(reason))
    this.number = reason === REASONS.token ? AUTHENTICATION_FAILED : undefined
    this.isPermanent = isPermanent
    this.isRecoverable = RECOVERABLE.has(reason)
  }
}
