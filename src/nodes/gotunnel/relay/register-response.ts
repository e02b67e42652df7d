/** Answers to a first frame (gotunnel protocol, sections 3 and 12.1). */
import { STRICT, type RegisterResp } from '../protocol/messages.ts'
import { REASONS, type RejectReason } from '../protocol/reasons.ts'
import type { AuthThrottle } from '../../common/auth-throttle.ts'
import { lingeringClose } from '../../common/lingering-close.ts'
import { reject, type RejectTo } from '../../common/reject.ts'
import type { ConnectionSlot } from '../../../limits/connection-limiter.ts'
import { encodeJson } from '../../../transforms/json.ts'
import { LengthPrefixEncoder } from '../../../transforms/length-prefix.ts'
import { u32be } from '../../../transforms/length-codecs.ts'
import type { Clock, Endpoint, Link } from '../../../types.ts'

const frames = new LengthPrefixEncoder(u32be)

const frameOf = (message: RegisterResp): Uint8Array => frames.push([encodeJson(message)])[0]

const OK = frameOf({ type: 'register_resp', status: 'ok' })
const STRICT_OK = frameOf({ type: 'register_resp', status: 'ok', tunpipe: STRICT })
const ACKNOWLEDGING_OK = frameOf({ type: 'register_resp', status: 'ok', tunpipe: STRICT, acknowledge: 1 })

/** A connection whose first frame has been read. */
export interface PendingConnection {
  /** The rest of the connection, behind that frame. */
  link: Link
  /** With the address in canonical form. */
  remote: Endpoint
  slot: ConnectionSlot
}

export interface RejectContext {
  readonly clock: Clock
  /** Rate-limited, apart from other logs: rejected connections must not hide other lines. */
  readonly rejectLog: RejectTo<RejectReason>
  /** Bounds unknown tokens. */
  readonly throttle: AuthThrottle
}

/** Answers `ok` with a copy of the bytes, as the transport may change them. */
export function accept (link: Link, isStrict: boolean, acknowledges = false): void {
  link.port.send([Uint8Array.from(!isStrict ? OK : acknowledges ? ACKNOWLEDGING_OK : STRICT_OK)])
}

/** Counts, logs and answers a rejection, then closes the connection; settles when it has ended. */
export async function rejectConnection ({ clock, rejectLog, throttle }: RejectContext, { link, remote, slot }: PendingConnection, reason: RejectReason, fields: object = {}): Promise<void> {
  if (reason === 'token') throttle.failed(slot)
  await reject(rejectLog, reason, { remote }, fields, async (reason) => {
    link.port.send([frameOf({ type: 'register_resp', status: 'fail', reason: REASONS[reason] })])
    await lingeringClose(link, clock)
  })
}
