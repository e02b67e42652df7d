/** Reads the PROXY header of a connection, and leaves the bytes after it in the socket. */
import type { Socket } from 'node:net'
import { decodeProxyHeader, ProxyHeaderError, type ProxyHeader } from './proxy-header.ts'
import { LinkClosedError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'

const NOTHING = new Uint8Array(0)

/** Outside of the function below: it stays with the connection, and would keep the scope of that function alive. */
const ignore = (): void => {}

/**
 * Waits until it is known whether a connection begins with a header.
 *
 * @param socket must not have been read from; its other bytes are unshifted before `done` is called
 * @param timeout milliseconds
 * @param done called once, synchronously with the deciding read; the error is a {@link ProxyHeaderError}, or `ERR_LINK_CLOSED` when the
 *   other side has left or has sent nothing in time. The socket is still open then
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
    if (header === 'more') return // the decoder bounds the bytes that it asks for
    const rest = header === 'none' ? held : held.subarray(header.length)
    if (rest.length > 0) socket.unshift(rest)
    settle(header)
  }
  const ended = (): void => {
    if (held.length > 0) settle(new ProxyHeaderError('the connection ended inside a header'))
    else closed() // not an error: port checks of a proxy do that
  }
  const closed = (): void => { settle(new LinkClosedError('the connection ended before anything was said')) }
  const timer = clock.set(timeout, () => { settle(new LinkClosedError(`nothing that tells after ${timeout} ms`)) })
  socket.on('error', ignore) // an error may come before other listeners exist; `close` follows
  socket.on('readable', read).once('end', ended).once('close', closed)
}
