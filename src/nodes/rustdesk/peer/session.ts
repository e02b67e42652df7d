/** TCP connections between two peers that have a session: links of one multiplexed connection (RustDesk protocol, section 11.2). */
import { heartbeats } from './heartbeats.ts'
import { LinkClosedError } from '../../../errors.ts'
import { compactMux, linkMux, type LinkMux, type Opening } from '../../../transforms/link-mux/index.ts'
import type { Clock, Link } from '../../../types.ts'

/** Milliseconds for the whole handshake. */
const HANDSHAKE_TIMEOUT = 18_000

/** TCP connections of a session at one time; all of them may be new. */
const MAX_LINKS = 256

export type Session = LinkMux<Uint8Array, Uint8Array>

export interface SessionInit {
  clock: Clock
  /** Of sealed frames. */
  link: Link
  /** The other peer opens a connection. Of the controlled peer. */
  onOpen?: (opening: Opening<Uint8Array, Uint8Array>) => Promise<void> | void
}

export function openSession ({ clock, link, onOpen }: SessionInit): Session {
  return linkMux({ codec: compactMux({ role: onOpen === undefined ? 'client' : 'server' }), clock, maxLinks: MAX_LINKS, maxHalfOpen: MAX_LINKS, ...(onOpen !== undefined && { onOpen }) })(heartbeats(clock)(link))
}

/** Runs a handshake on a link, which is aborted when that fails or takes too long. */
export async function inTime<T> (clock: Clock, link: Link, signal: AbortSignal, handshake: () => Promise<T>): Promise<T> {
  const abort = (): void => { link.abort(signal.reason as Error) }
  const timer = clock.set(HANDSHAKE_TIMEOUT, () => { link.abort(new LinkClosedError(`the other peer has not agreed on a session within ${HANDSHAKE_TIMEOUT / 1000} s`)) })
  signal.addEventListener('abort', abort, { once: true })
  try {
    signal.throwIfAborted()
    return await handshake()
  } catch (err) {
    link.abort(err as Error)
    throw err
  } finally {
    clock.clear(timer)
    signal.removeEventListener('abort', abort)
  }
}
