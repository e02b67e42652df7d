import type { RateLimitedLog } from '../../limits/rate-limited-log.ts'

/** Who is told of connections that are rejected, by the reason. */
export interface RejectTo<Reason extends string> {
  readonly refused: Record<Reason, number>
  readonly log: Pick<RateLimitedLog, 'log'>
}

/**
 * A connection is rejected: counts it, logs it, and has it answered.
 *
 * @param who it is, and `what` was wrong, for the log: text is the `detail`
 * @param answer ends the connection; what the other side is told for the reason is a matter of the protocol
 */
export function reject<Reason extends string, T> ({ refused, log }: RejectTo<Reason>, reason: Reason, who: object, what: object, answer: (reason: Reason) => T): T {
  refused[reason]++
  log.log('warn', { ...who, reason, ...what }, 'connection refused')
  return answer(reason)
}
