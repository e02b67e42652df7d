/** Reads the first bytes of a server that has answered TLS with another protocol, on a second connection: TLS does not expose them. */
import { connect } from 'node:net'
import { addAbortSignal } from 'node:stream'
import { LinkClosedError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'
import type { Endpoint } from '../types.ts'

/** Milliseconds to wait for the first bytes: the server has just answered. */
const BANNER_TIMEOUT = 1000

/**
 * A warning alert, `close_notify`, in a TLS 1.0 record (RFC 8446, section 6). An HTTP server answers it with an error; servers of other
 * protocols speak first.
 */
const ALERT = Uint8Array.of(0x15, 3, 1, 0, 2, 1, 0)

/**
 * The first bytes of a server, from one read; undefined when nothing comes in time, or the signal is aborted.
 *
 * @param to the address that has answered before
 */
export async function bannerOf (to: Endpoint, signal?: AbortSignal, clock = systemClock): Promise<Uint8Array | undefined> {
  const socket = connect(to)
  if (signal !== undefined) addAbortSignal(signal, socket)
  const timer = clock.set(BANNER_TIMEOUT, () => { socket.destroy(new LinkClosedError(`nothing was said in ${BANNER_TIMEOUT} ms`)) })
  try {
    socket.write(ALERT)
    const { value } = await socket[Symbol.asyncIterator]().next()
    return value
  } catch {
    return undefined // the connection is lost, or it timed out
  } finally {
    clock.clear(timer)
    socket.destroy()
  }
}
