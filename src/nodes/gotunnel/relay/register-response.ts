/** Answers to a first frame (gotunnel protocol, section 3). */
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

/** A connection whose first frame was read. */
export interface PendingConnection {
  /** What is behind that frame. */
  link: Link
  /** In its canonical form. */
  remote: Endpoint
  slot: ConnectionSlot
}

export interface RejectContext {
  readonly clock: Clock
  /** Of connections that are refused: what strangers do must not hide the rest. */
  readonly rejectLog: RejectTo<RejectReason>
  /** Unknown tokens. */
  readonly throttle: AuthThrottle
}

/** The bytes are those of every other answer; whoever gets them may change them. */
export function accept (link: Link, isStrict: boolean, acknowledges = false): void {
  link.port.send([Uint8Array.from(!isStrict ? OK : acknowledges ? ACKNOWLEDGING_OK : STRICT_OK)])
}

/** Counts, logs and answers, then ends the connection; settles when it is gone. */
export async function rejectConnection ({ clock, rejectLog, throttle }: RejectContext, { link, remote, slot }: PendingConnection, reason: RejectReason, fields: object = {}): Promise<void> {
  if (reason === 'token') throttle.failed(slot)
  await reject(rejectLog, reason, { remote }, fields, async (reason) => {
    link.port.send([frameOf({ type: 'register_resp', status: 'fail', reason: REASONS[reason] })])
    await lingeringClose(link, clock)
  })
}
