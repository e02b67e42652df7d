/** Counters of a relay: plain numbers, raised where it happens and added up when somebody asks. */

/**
 * Why a connection to the control port was refused or ended: `malformed`, its first frame is none; `token`, unknown; `rate`, too
 * many unknown tokens from its source; `timeout`, no first frame, or no ping, in time; `mode`, the relay or the port asks for strict mode; `port`,
 * one that its identity may not have; `busy`, in use by another; `name`, that of another identity; `ports`, its identity has as
 * many as it may, or the relay has; `not_owner`, a data connection for a port of another; `unclaimed`, a data connection that
 * nobody waits for; `unresponsive`, no data connection has come for a user; `replaced`, by a newer one of the same identity; `removed`, by other settings; `write_timeout`, it does not read; `source` and
 * `limit`, turned away by the limiter.
 */
export type GotunnelRejectReason =
  | 'malformed' | 'protocol' | 'token' | 'rate' | 'timeout' | 'mode' | 'port' | 'busy' | 'name' | 'ports' | 'not_owner' | 'unclaimed' | 'unresponsive' | 'replaced' | 'removed' | 'write_timeout'
  | 'source' | 'limit'

/**
 * Why a user was let go unserved: `waiting`, too many wait for this port; `limit`, its identity serves as many as it may;
 * `left`, the user has gone while it waited; `timeout`, no data connection in time; `failed`, the peer says that it has none;
 * `offline`, the port went offline, or its client went away, while the user waited; `silent`, its data connection does not answer, or nothing it was sent is acknowledged.
 * Or ended while it was served: `stalled`, it stood still, or its service did, and too much was kept for all users.
 */
export type UserDrop = 'waiting' | 'limit' | 'timeout' | 'failed' | 'left' | 'offline' | 'silent' | 'stalled'

/** What users have brought and got. Bytes without any frames. */
export interface UserTraffic {
  /** User connections now, those that wait included. */
  users: number
  /** Of them those that wait for a data connection. */
  waiting: number
  /** Ever taken. */
  accepted: number
  bytesIn: number
  bytesOut: number
  drops: Record<UserDrop, number>
}

export interface GotunnelRelayStats extends UserTraffic {
  /** Connections to the control port now that have not said what they are for. */
  halfOpen: number
  /** Control connections now. */
  clients: number
  /** Ports that are served now. */
  ports: number
  refused: Record<GotunnelRejectReason, number>
  /** Messages on control connections that had to wait, as more came than one client may send. */
  heldMessages: number
  /** Bytes that are kept for users now, as who reads is slower than who writes. */
  bufferedBytes: number
  /** Users that were not let in: `source`, too many from one address; `total`, too many of all ports. Nobody looks at which port. */
  turnedAway: { source: number, total: number }
}

export const newTraffic = (): UserTraffic => ({
  users: 0, waiting: 0, accepted: 0, bytesIn: 0, bytesOut: 0, drops: { waiting: 0, limit: 0, timeout: 0, failed: 0, left: 0, offline: 0, silent: 0, stalled: 0 }
})

export const newRefused = (): Record<GotunnelRejectReason, number> => ({
  malformed: 0, protocol: 0, token: 0, rate: 0, timeout: 0, mode: 0, port: 0, busy: 0, name: 0, ports: 0, not_owner: 0, unclaimed: 0, unresponsive: 0, replaced: 0, removed: 0, write_timeout: 0, source: 0, limit: 0
})

/** Traffic is counted for the port and for its identity at once, so that neither has to be added up, or lost with the other. */
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
