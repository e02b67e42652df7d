/** Counters of a relay: plain numbers, incremented in place and added up on request. */

import type { RelayCounters } from '../../common/status.ts'

/**
 * Why a connection to the control port was rejected or ended: `malformed`, invalid first frame; `token`, unknown; `rate`, too
 * many unknown tokens from its source; `timeout`, no first frame, or no ping, in time; `mode`, the relay or the port requires strict mode;
 * `port`, not allowed for its identity; `busy`, in use by another; `name`, that of another identity; `ports`, its identity or the relay
 * has as many as it may; `not_owner`, a data connection for a port of another; `unclaimed`, a data connection without a waiting user;
 * `unresponsive`, no data connection came for a user; `replaced`, by a newer client of the same identity; `removed`, by new settings;
 * `write_timeout`, it does not read; `source` and `limit`, rejected by the limiter.
 */
export type GotunnelRejectReason =
  | 'malformed' | 'protocol' | 'token' | 'rate' | 'timeout' | 'mode' | 'port' | 'busy' | 'name' | 'ports' | 'not_owner' | 'unclaimed' | 'unresponsive' | 'replaced' | 'removed' | 'write_timeout'
  | 'source' | 'limit'

/**
 * Why a user was dropped before it was served: `waiting`, too many wait for this port; `limit`, its identity serves as many as it may;
 * `left`, the user closed while it waited; `timeout`, no data connection in time; `failed`, the peer says that it has none;
 * `offline`, the port went offline, or its client left, while the user waited; `silent`, its data connection does not answer, or does
 * not acknowledge what it is sent. Or ended while served: `stalled`, it or its service stalled while the buffers of all users were full.
 */
export type UserDrop = 'waiting' | 'limit' | 'timeout' | 'failed' | 'left' | 'offline' | 'silent' | 'stalled'

/** Traffic of users, in bytes without framing. */
export interface UserTraffic {
  /** Current user connections, including those that wait. */
  users: number
  /** Those of them that wait for a data connection. */
  waiting: number
  /** User connections accepted since the start. */
  accepted: number
  bytesIn: number
  bytesOut: number
  drops: Record<UserDrop, number>
}

/** Counters of a relay; `clients`, `ports`, `bufferedBytes`, and `halfOpen`, connections to the control port without a first frame, are gauges. */
export interface GotunnelRelayStats extends UserTraffic, RelayCounters<GotunnelRejectReason> {
  /** Current control connections. */
  clients: number
  /** Ports that are served now. */
  ports: number
  /** Messages on control connections that had to wait for the rate limit. */
  heldMessages: number
  /** Bytes buffered for users now. */
  bufferedBytes: number
  /** Rejected users: `source`, too many from one address; `total`, too many on all ports. */
  turnedAway: { source: number, total: number }
}

export const newTraffic = (): UserTraffic => ({
  users: 0, waiting: 0, accepted: 0, bytesIn: 0, bytesOut: 0, drops: { waiting: 0, limit: 0, timeout: 0, failed: 0, left: 0, offline: 0, silent: 0, stalled: 0 }
})

export const newRefused = (): Record<GotunnelRejectReason, number> => ({
  malformed: 0, protocol: 0, token: 0, rate: 0, timeout: 0, mode: 0, port: 0, busy: 0, name: 0, ports: 0, not_owner: 0, unclaimed: 0, unresponsive: 0, replaced: 0, removed: 0, write_timeout: 0, source: 0, limit: 0
})

/** Counts traffic for the port and for its identity at once, so that they need not be added up, and outlive each other. */
export class TrafficCounters {
  readonly #all: readonly UserTraffic[]

  constructor (...all: UserTraffic[]) { this.#all = all }

  add (name: 'users' | 'waiting' | 'accepted' | 'bytesIn' | 'bytesOut', count: number): void {
    for (const traffic of this.#all) traffic[name] += count
  }

  drop (reason: UserDrop): void {
    for (const traffic of this.#all) traffic.drops[reason]++
  }
}
