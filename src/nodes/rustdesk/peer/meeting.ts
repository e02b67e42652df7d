/** Waits for another peer at a local address from which its NAT, or that of the other one, was opened (RustDesk protocol, section 6.5). */
import type { PeerLink, PeerTransport } from './transport.ts'
import { LinkClosedError } from '../../../errors.ts'
import type { Clock, Endpoint, Listener } from '../../../types.ts'

/** Milliseconds. */
export const PATIENCE = 18_000

/** Connections that may be no peer: scanners find open ports. */
const MAX_LINKS = 4

export interface MeetInit {
  transport: PeerTransport
  clock: Clock
  at: Endpoint
  signal: AbortSignal
  /** Tells the other peer to come, and ends the connection from that address. */
  announce (): Promise<void>
  /**
   * A connection to the other peer from the same address that is still being made. A router that tracks connections takes what comes for that
   * one, so its end has to be the one that answers. Default: none.
   */
  outgoing?: Promise<PeerLink>
  /** @returns whether it has become a session, so that nobody else is waited for */
  onLink (link: PeerLink): Promise<boolean>
}

/** @throws an error of the system when it cannot listen there; {@link LinkClosedError} when nobody has come */
export async function meet ({ transport, clock, at, signal, announce, outgoing, onLink }: MeetInit): Promise<void> {
  const listener = await listenFirst(() => transport.listen({ host: at.host, port: at.port, sharesPort: true }), announce)
  const stop = (): void => { listener.close() }
  const timer = clock.set(PATIENCE, stop)
  if (signal.aborted) stop()
  signal.addEventListener('abort', stop, { once: true })
  let isMet = false
  const take = (link: PeerLink): void => {
    void onLink(link).then((isSession) => {
      if (!isSession) return
      isMet = true
      stop()
    })
  }
  outgoing?.then(take, () => {}) // others may still come
  try {
    let links = 0
    for await (const link of listener) {
      if (++links > MAX_LINKS) link.abort(new LinkClosedError('too many connections'))
      else take(link)
    }
  } finally {
    clock.clear(timer)
    signal.removeEventListener('abort', stop)
    stop()
  }
  if (!isMet && !signal.aborted) throw new LinkClosedError(`nobody has come within ${PATIENCE / 1000} s`)
}

/**
 * The other peer may come before its answer is told here: a router that has seen it refused lets it in no more for a while. Where the system
 * does not give a port that a connection has, there is no other order.
 */
async function listenFirst (listen: () => Listener<PeerLink>, announce: () => Promise<void>): Promise<Listener<PeerLink>> {
  const listener = listen()
  const isThere = await listener.port().then(() => true, () => false)
  if (isThere) void announce()
  else await announce()
  return isThere ? listener : listen()
}
