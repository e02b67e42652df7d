/** Whoever passes packets on for a relay, by what that has decided; see `workers/`. */
import type { ConnectionLimiter, ConnectionLimiterStats } from '../../../limits/connection-limiter.ts'
import type { RelaySettings } from './settings.ts'
import type { Session, SessionNetwork } from './session.ts'

export interface ForwardingPlane {
  /** Settings of the relay have changed. */
  configure (settings: RelaySettings): void
  /** There is a network, or its settings have changed. */
  setNetwork (network: SessionNetwork): void
  removeNetwork (network: SessionNetwork): void
  /** A connection is served. */
  addSession (session: Session): void
  /** A connection has an address, or what the rules say about it has changed. */
  setMember (session: Session): void
  /** A connection has no address any more. */
  removeMember (session: Session): void
  /** Whether somebody wants to see what a connection carries may have changed. */
  setTaps (session: Session): void
  /** What the relay's own limiter and those of others have counted, together. */
  limiterStats (own: ConnectionLimiter): Pick<ConnectionLimiterStats, 'halfOpen' | 'rejected' | 'evicted'>
}
