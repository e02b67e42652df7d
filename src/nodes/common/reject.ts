import type { RateLimitedLog } from '../../limits/rate-limited-log.ts'

/** The counter and the log of rejected connections. */
export interface RejectTo<Reason extends string> {
  readonly refused: Record<Reason, number>
  readonly log: Pick<RateLimitedLog, 'log'>
}

/**
 * Rejects a connection: counts, logs and answers.
 *
 * @param who fields of the log line that identify the client; `what`, fields that say what was wrong, its text as `detail`
 * @param answer ends the connection and answers as the protocol does
 */
export function reject<Reason extends string, T> ({ refused, log }: RejectTo<Reason>, reason: Reason, who: object, what: object, answer: (reason: Reason) => T): T {
  refused[reason]++
  log.log('warn', { ...who, reason, ...what }, 'connection refused')
  return answer(reason)
}
