/** Waiting for a socket to open, shared by every dialling transport. */
import type { Duplex } from 'node:stream'
import { LinkClosedError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock } from '../types.ts'

/** There was no connection in time. */
export class DialTimeoutError extends Error {
  override readonly name = 'DialTimeoutError'
  readonly code = 'ERR_DIAL_TIMEOUT'
}

/** How long something may take, and the error when it takes longer. */
export interface TimeLimit {
  readonly milliseconds: number
  /** Default: that of the system. */
  readonly clock?: Clock
  error (): Error
}

/** What is left of it, until `ends` by its clock. */
export const leftOf = (limit: TimeLimit, ends: number): TimeLimit => ({ ...limit, milliseconds: Math.max(1, ends - (limit.clock ?? systemClock).now()) })

/** Settles with the first of `event`, a failure of the socket, the signal, or the end of the time; a socket that lost is destroyed. */
export function opened<S extends Duplex> (socket: S, event: string, signal?: AbortSignal, limit?: TimeLimit): Promise<S> {
  return new Promise((resolve, reject) => {
    const clock = limit?.clock ?? systemClock
    const timer = limit === undefined ? undefined : clock.set(limit.milliseconds, () => { settle(limit.error()) })
    const settle = (err?: Error): void => {
      socket.off(event, done).off('error', settle).off('close', closed)
      signal?.removeEventListener('abort', aborted)
      clock.clear(timer)
      if (err === undefined) {
        resolve(socket)
        return
      }
      socket.destroy()
      reject(err)
    }
    const done = (): void => { settle() }
    const closed = (): void => { settle(new LinkClosedError('the connection closed before it was open')) }
    const aborted = (): void => { settle(signal?.reason) }
    // It stays: an error may come before the caller goes on with the socket, or after it has lost interest.
    socket.on('error', () => {})
    if (signal?.aborted === true) {
      aborted()
      return
    }
    socket.once(event, done).once('error', settle).once('close', closed)
    signal?.addEventListener('abort', aborted, { once: true })
  })
}
