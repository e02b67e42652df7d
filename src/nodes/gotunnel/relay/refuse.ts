/** Answers to a first frame (gotunnel protocol, section 3). */
import { hangUp } from '../protocol/hang-up.ts'
import { STRICT, type RegisterResp } from '../protocol/messages.ts'
import type { Caller, Shared } from './shared.ts'
import { REASONS } from '../protocol/reasons.ts'
import { encodeJson } from '../../../transforms/json.ts'
import { LengthPrefixEncoder } from '../../../transforms/length-prefix.ts'
import { u32be } from '../../../transforms/length-codecs.ts'
import type { Link } from '../../../types.ts'

const frames = new LengthPrefixEncoder(u32be)

const frameOf = (message: RegisterResp): Uint8Array => frames.push([encodeJson(message)])[0]

const OK = frameOf({ type: 'register_resp', status: 'ok' })
const STRICT_OK = frameOf({ type: 'register_resp', status: 'ok', tunpipe: STRICT })
const ACKNOWLEDGING_OK = frameOf({ type: 'register_resp', status: 'ok', tunpipe: STRICT, acknowledge: 1 })

/** The bytes are those of every other answer; whoever gets them may change them. */
export function accept (link: Link, isStrict: boolean, acknowledges = false): void {
  link.port.send([Uint8Array.from(!isStrict ? OK : acknowledges ? ACKNOWLEDGING_OK : STRICT_OK)])
}

/** Too many unknown tokens have come from there. What needs no token, or has proven itself already, is not asked. */
export const mayNotTry = ({ failures, clock }: Shared, { pass }: Caller): boolean => !pass.isLocal && !failures.allows(pass.source, clock.now())

/** Counts, logs and answers, then ends the connection; settles when it is gone. */
export async function refuse (shared: Shared, { link, remote, pass }: Caller, why: keyof typeof REASONS, fields: object = {}): Promise<void> {
  shared.refused[why]++
  if (why === 'token' && !pass.isLocal) shared.failures.take(pass.source, shared.clock.now())
  shared.refusals.line('warn', { remote, why, ...fields }, 'connection refused')
  link.port.send([frameOf({ type: 'register_resp', status: 'fail', reason: REASONS[why] })])
  await hangUp(link, shared.clock)
}
