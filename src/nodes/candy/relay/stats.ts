/** Counters of a relay: plain numbers, incremented in the packet path and added up on request. */

import type { RelayCounters } from '../../common/status.ts'

/** Why a connection was rejected or ended. */
export type CandyRejectReason =
  | 'malformed' | 'password' | 'clock' | 'replay' | 'rate' | 'unauthenticated' | 'not_owner' | 'address' | 'range' | 'pool' | 'full' | 'address_in_use'
  | 'timeout' | 'path' | 'protocol' | 'source' | 'limit'

/**
 * Why a message was not delivered: `source`, not an address of its sender; `route`, to a network behind a
 * member to which no rule of its sender leads through that member; `destination`, no such member; `isolated`, its network
 * isolates the two; `queue`, its receiver was too slow; `total`, all receivers together were; `broadcast`, its sender exceeded
 * the broadcast budget, or broadcasts are off; `rate`, its sender exceeded its rate.
 */
export type Drop = 'source' | 'route' | 'destination' | 'isolated' | 'queue' | 'total' | 'broadcast' | 'rate'

/** Messages between clients (FORWARD, CONN, DISCOVERY, GENERAL), and their bytes without framing. */
export interface Traffic {
  packetsIn: number
  bytesIn: number
  packetsOut: number
  bytesOut: number
  /** How often the frames of a client were resynchronised after one that it had cut. */
  resyncs: number
  /** How often reading a connection paused, as it had sent frames too fast. */
  throttled: number
  drops: Record<Drop, number>
}

/** Counters of one network; `peers` is a gauge. */
export interface CandyNetworkStats extends Traffic {
  /** Connections with an address now. */
  peers: number
  /** Connections that were rejected or ended, by reason. */
  refused: Record<CandyRejectReason, number>
}

/** Counters of all networks and connections; `connections` and `halfOpen`, which includes those before the WebSocket handshake, are gauges. */
export interface CandyRelayStats extends CandyNetworkStats, RelayCounters<CandyRejectReason> {
  /** Current WebSocket connections, authenticated or not. */
  connections: number
  /** Connections accepted since the start. */
  accepted: number
}

export const newTraffic = (): Traffic => ({
  packetsIn: 0,
  bytesIn: 0,
  packetsOut: 0,
  bytesOut: 0,
  resyncs: 0,
  throttled: 0,
  drops: { source: 0, route: 0, destination: 0, isolated: 0, queue: 0, total: 0, broadcast: 0, rate: 0 }
})

const DROPS = Object.keys(newTraffic().drops) as Drop[]

export const newRefused = (): Record<CandyRejectReason, number> => ({
  malformed: 0, password: 0, clock: 0, replay: 0, rate: 0, unauthenticated: 0, not_owner: 0, address: 0, range: 0, pool: 0, full: 0, address_in_use: 0, timeout: 0, path: 0, protocol: 0, source: 0, limit: 0
})

export const newNetworkStats = (): CandyNetworkStats => ({ peers: 0, ...newTraffic(), refused: newRefused() })

/** Adds the second to the first; on request, once for each connection. */
export function addTraffic (sum: Traffic, part: Traffic): void {
  sum.packetsIn += part.packetsIn
  sum.bytesIn += part.bytesIn
  sum.packetsOut += part.packetsOut
  sum.bytesOut += part.bytesOut
  sum.resyncs += part.resyncs
  sum.throttled += part.throttled
  for (const drop of DROPS) sum.drops[drop] += part.drops[drop]
}

/** Adds the numbers of the second to the first, recursively; only for the names that the second has. */
export function addStats (sum: object, part: object): void {
  const into = sum as Record<string, unknown>
  for (const [name, value] of Object.entries(part)) {
    if (typeof value === 'number') into[name] = (into[name] as number) + value
    else addStats(into[name] as object, value)
  }
}
