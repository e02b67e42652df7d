/** What a server says that has answered TLS with something else: TLS shows nothing of that, so it is asked once more. */
import { connect } from 'node:net'
import { addAbortSignal } from 'node:stream'
import { LinkClosedError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'
import type { Endpoint } from '../types.ts'

/** Milliseconds until something has to come: the server is there, and has just answered. */
const BANNER_TIMEOUT = 1000

/** A warning alert, `close_notify`, in a record of TLS 1.0: servers of HTTP answer it as they have answered TLS; others speak first. */
const ALERT = Uint8Array.of(0x15, 3, 1, 0, 2, 1, 0)

/**
 * The first bytes of a server, out of one read; undefined when it says nothing in time, or the signal asks for an end.
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
    return undefined // it has left, or time is over
  } finally {
    clock.clear(timer)
    socket.destroy()
  }
}
