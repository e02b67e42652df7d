/** Errors of a pair of nodes and of the paths between them. */
import { CodedError } from '../../../errors.ts'

/**
 * - `ERR_HANDSHAKE`: the other node has not answered the offer, or not with its own key
 * - `ERR_PATH_ALTERED`: a proxy has altered what it had to pass on, and there is no other path
 * - `ERR_PATH_STALLED`: a proxy has acknowledged data for some time that it has not passed on, and there is no other path
 * - `ERR_PROXY_SESSION`: nothing sent by a proxy has been acknowledged for 30 s
 * - `ERR_PAIR_UNREACHABLE`: nothing has come back by any path for 45 s, or for 15 s and the node is there without the session
 * - `ERR_PAIR_CLOSED`: the other node has closed the session; `reason` is of `CloseReason`
 */
export type PairErrorCode = 'ERR_HANDSHAKE' | 'ERR_PATH_ALTERED' | 'ERR_PATH_STALLED' | 'ERR_PROXY_SESSION' | 'ERR_PAIR_UNREACHABLE' | 'ERR_PAIR_CLOSED'

/** A proxy has altered what it had to pass on, or has kept it. */
export const isAlteration = (err: Error | undefined): err is PairError => err instanceof PairError && (err.code === 'ERR_PATH_ALTERED' || err.code === 'ERR_PATH_STALLED')

export class PairError extends CodedError<PairErrorCode> {
  override readonly name = 'PairError'
  /** A number of `CloseReason` where the other node has closed the session. */
  readonly reason: number | undefined

  constructor (code: PairErrorCode, message: string, reason?: number) {
    super(code, message)
    this.reason = reason
  }
}
