/** Waits for another peer at a local address from which its NAT, or that of the other one, was opened (RustDesk protocol, section 6.5). */
import type { PeerLink, PeerTransport } from './transport.ts'
import { LinkClosedError } from '../../../errors.ts'
import type { Clock, Endpoint } from '../../../types.ts'

/** Milliseconds. */
const PATIENCE = 18_000

/** Connections that may be no peer: scanners find open ports. */
const MAX_LINKS = 8

export interface MeetInit {
  transport: PeerTransport
  clock: Clock
  at: Endpoint
  signal: AbortSignal
  /** @returns whether it has become a session, so that nobody else is waited for */
  onLink (link: PeerLink): Promise<boolean>
}

/** @throws an error of the system when it cannot listen there; {@link LinkClosedError} when nobody has come */
export async function meet ({ transport, clock, at, signal, onLink }: MeetInit): Promise<void> {
  const listener = transport.listen({ host: at.host, port: at.port, sharesPort: true })
  const stop = (): void => { listener.close() }
  const timer = clock.set(PATIENCE, stop)
  signal.addEventListener('abort', stop, { once: true })
  let isMet = false
  try {
    let links = 0
    for await (const link of listener) {
      if (++links > MAX_LINKS) link.abort(new LinkClosedError('too many connections'))
      else {
        void onLink(link).then((isSession) => {
          if (!isSession) return
          isMet = true
          stop()
        })
      }
    }
  } finally {
    clock.clear(timer)
    signal.removeEventListener('abort', stop)
    stop()
  }
  if (!isMet && !signal.aborted) throw new LinkClosedError(`nobody has come within ${PATIENCE / 1000} s`)
}
