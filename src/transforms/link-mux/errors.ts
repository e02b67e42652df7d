/** The errors of multiplexed links. */
import { CodedError } from '../../errors.ts'

/**
 * - `ERR_MUX_PROTOCOL`: the other side has broken the protocol: of one link, or of the connection when the framing is at stake
 * - `ERR_MUX_CREDIT`: it has sent more than it had credit for
 * - `ERR_MUX_STALLED`: it has not taken the answers to its frames for too long; the connection ends
 * - `ERR_LINK_STALLED`: this side has not read a link for too long
 * - `ERR_LINK_LIMIT`: this side has too many links to open another one, or too many frames wait to be written
 */
export type LinkMuxErrorCode = 'ERR_MUX_PROTOCOL' | 'ERR_MUX_CREDIT' | 'ERR_MUX_STALLED' | 'ERR_LINK_STALLED' | 'ERR_LINK_LIMIT'

/** A rule or a limit of multiplexed links was broken. */
export class LinkMuxError extends CodedError<LinkMuxErrorCode> {
  override readonly name = 'LinkMuxError'
}

/** The other side has refused to open a link. */
export class LinkRefusedError<Response = unknown> extends Error {
  override readonly name = 'LinkRefusedError'
  readonly code = 'ERR_LINK_REFUSED'
  /** See `ResetCode`. */
  readonly reason: number
  /** What it has answered; undefined when nothing. */
  readonly response: Response | undefined

  constructor (reason: number, response: Response | undefined) {
    super(`the other side has refused the link, code ${reason}`)
    this.reason = reason
    this.response = response
  }
}
