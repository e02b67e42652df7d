/** Reads the PROXY header off a connection, and leaves what follows it to whoever takes the connection over. */
import type { Socket } from 'node:net'
import { decodeProxyHeader, ProxyHeaderError, type ProxyHeader } from './proxy-header.ts'
import { LinkClosedError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'

const NOTHING = new Uint8Array(0)

/** Not in the function below: it stays with the connection, and would keep all that is there. */
const ignore = (): void => {}

/**
 * Waits until a connection has said whether it begins with a header.
 *
 * @param socket nobody has read from it; its other bytes are given back before `done` is called
 * @param timeout milliseconds
 * @param done called once, at once with the read that told; the error is a {@link ProxyHeaderError}, or `ERR_LINK_CLOSED` when
 *   the other side has left or said nothing in time. The socket is still open then
 */
export function readProxyHeader (socket: Socket, timeout: number, done: (outcome: ProxyHeader | 'none' | Error) => void, clock = systemClock): void {
  let held: Uint8Array = NOTHING
  const settle = (outcome: ProxyHeader | 'none' | Error): void => {
    clock.clear(timer)
    socket.off('readable', read).off('end', ended).off('close', closed)
    done(outcome)
  }
  const read = (): void => {
    const bytes = socket.read() as Uint8Array | null
    if (bytes === null) return
    held = held.length === 0 ? bytes : Buffer.concat([held, bytes])
    let header
    try {
      header = decodeProxyHeader(held)
    } catch (err) {
      settle(err as Error)
      return
    }
    if (header === 'more') return // the decoder wants more only up to its own bound
    const rest = header === 'none' ? held : held.subarray(header.length)
    if (rest.length > 0) socket.unshift(rest)
    settle(header)
  }
  const ended = (): void => {
    if (held.length > 0) settle(new ProxyHeaderError('the connection ended inside a header'))
    else closed() // nothing wrong: so does a proxy find out whether anybody listens
  }
  const closed = (): void => { settle(new LinkClosedError('the connection ended before anything was said')) }
  const timer = clock.set(timeout, () => { settle(new LinkClosedError(`nothing that tells after ${timeout} ms`)) })
  socket.on('error', ignore) // one may come before somebody else listens. `close` follows
  socket.on('readable', read).once('end', ended).once('close', closed)
}
