/** Forwards packets for a relay, which keeps the control plane (RFC 3746); see `workers/`. */
import type { ConnectionLimiter, ConnectionLimiterStats } from '../../../limits/connection-limiter.ts'
import type { RelaySettings } from './settings.ts'
import type { Session, SessionNetwork } from './session.ts'

export interface ForwardingPlane {
  /** The settings of the relay have changed. */
  configure (settings: RelaySettings): void
  /** A network was added, or its settings have changed. */
  setNetwork (network: SessionNetwork): void
  removeNetwork (network: SessionNetwork): void
  /** A connection has been accepted. */
  addSession (session: Session): void
  /** A connection has an address, or its routes and rules have changed. */
  setMember (session: Session): void
  /** A connection no longer has an address. */
  removeMember (session: Session): void
  /** The taps of a connection may have changed. */
  setTaps (session: Session): void
  /** Counters of the relay's own limiter and those of the workers, added up. */
  limiterStats (own: ConnectionLimiter): Pick<ConnectionLimiterStats, 'halfOpen' | 'rejected' | 'evicted'>
}
