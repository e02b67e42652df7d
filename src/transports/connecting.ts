/** Waits for a socket to open; shared by all transports that dial. */
import type { Duplex } from 'node:stream'
import { LinkClosedError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'
import type { Clock } from '../types.ts'

/** The connection was not made in time. */
export class DialTimeoutError extends Error {
  override readonly name = 'DialTimeoutError'
  readonly code = 'ERR_DIAL_TIMEOUT'
}

/** A time-out, and its error. */
export interface TimeLimit {
  readonly milliseconds: number
  /** Default: that of the system. */
  readonly clock?: Clock
  error (): Error
}

/** What is left of a time-out that ends at `ends`, by its clock. */
export const leftOf = (limit: TimeLimit, ends: number): TimeLimit => ({ ...limit, milliseconds: Math.max(1, ends - (limit.clock ?? systemClock).now()) })

/** Settles with the first of `event`, an error of the socket, the signal, and the time-out. The socket is destroyed unless it opened. */
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
    // The listener stays: an error may come before the caller adds its own, or after it has given up.
    socket.on('error', () => {})
    if (signal?.aborted === true) {
      aborted()
      return
    }
    socket.once(event, done).once('error', settle).once('close', closed)
    signal?.addEventListener('abort', aborted, { once: true })
  })
}
