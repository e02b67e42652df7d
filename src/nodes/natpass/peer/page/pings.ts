/** Pings to a browser, which may be gone without a word. */
import type { WebSocket } from 'ws'
import { every, type Interval } from '../../../../streams/clock.ts'
import type { Clock } from '../../../../types.ts'

/**
 * Pings until the connection is closed, and ends it when nothing has come, no answer and no message, by when the next ping is due. While its
 * input is paused nobody can tell: what comes is not read.
 *
 * @param interval - milliseconds between two pings
 */
export function pingEach (interval: number, socket: WebSocket, clock: Clock): Interval {
  let isAlive = true
  const heard = (): void => { isAlive = true }
  const pings = every(clock, interval, () => {
    if (!isAlive && !socket.isPaused) return socket.terminate()
    isAlive = socket.isPaused // the first interval without a pause decides
    socket.ping()
  }).unref()
  socket.on('pong', heard)
  socket.on('message', heard)
  socket.once('close', () => { pings.stop() })
  return pings
}
