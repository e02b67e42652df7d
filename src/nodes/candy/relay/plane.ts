/** Whoever passes packets on for a relay, by what that has decided; see `workers/`. */
import type { ConnectionLimiter, ConnectionLimiterStats } from '../../../limits/connection-limiter.ts'
import type { RelaySettings } from './settings.ts'
import type { Session, SessionNetwork } from './session.ts'

export interface Plane {
  /** Settings of the relay have changed. */
  configure (settings: RelaySettings): void
  /** There is a network, or its settings have changed. */
  network (network: SessionNetwork): void
  noNetwork (network: SessionNetwork): void
  /** A connection is served. */
  enter (session: Session): void
  /** A connection has an address, or what the rules say about it has changed. */
  member (session: Session): void
  /** A connection has no address any more. */
  noMember (session: Session): void
  /** Whether somebody wants to see what a connection carries may have changed. */
  tap (session: Session): void
  /** What the relay's own limiter and those of others have counted, together. */
  limiterStats (own: ConnectionLimiter): Pick<ConnectionLimiterStats, 'halfOpen' | 'rejected' | 'evicted'>
}
