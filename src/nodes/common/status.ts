/** What the status of relays and peers of all protocols has in common. Plain data, made on request. */
import type { TrafficRates } from '../../limits/rate-meter.ts'

/** Counters of any relay. */
export interface RelayCounters<Reason extends string> {
  /** Current connections that have not authenticated. */
  halfOpen: number
  /** Connections that were rejected or ended, by reason. */
  refused: Record<Reason, number>
}

/** The status of any relay on a port. */
export interface ServerStatus {
  /** With the port in use; empty when it does not listen. */
  url: string
}

/** The connection of any peer to its server. */
export interface PeerConnection extends TrafficRates {
  /** Why the last connection was lost or could not be made; undefined while there is one, and before the first attempt. */
  reason: string | undefined
  /** Seconds since the server accepted the peer; undefined while it has not. */
  connected: number | undefined
  /** Connections that were lost or could not be made. */
  failures: number
  /** Bytes of users or packets from the server, without framing. */
  bytesIn: number
  /** The same to the server. */
  bytesOut: number
}
