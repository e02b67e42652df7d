/** Counters of a relay: plain numbers, incremented in place. */
import type { RelayCounters } from '../../common/status.ts'

/**
 * Why a connection was rejected or ended without a partner: `malformed`, its first message is none, or none that a relay takes; `timeout`,
 * no first message in time; `key`, a wrong key; `uuid`, an empty uuid or one that is too long; `blocked`, its address is on the blocklist;
 * `unpaired`, no partner in time; `left`, it has ended before; `pending_source`, too many of its source wait; `pending`, it made room for
 * newer ones; `pairs_source`, there are too many pairs with an end at its address; `protocol`, it speaks another one; `source` and `limit`, rejected by the limiter.
 */
export type RustdeskRejectReason = 'malformed' | 'timeout' | 'key' | 'uuid' | 'blocked' | 'unpaired' | 'left' | 'pending_source' | 'pending' | 'pairs_source' | 'protocol' | 'source' | 'limit'

/**
 * Why a pair has ended: `closed`, by one of its ends, in order; `lost`, one end has broken; `idle`, no data; `blocked`, one of its addresses
 * is on the blocklist now; `stalled`, one end did not read while too much was kept for all; `stopping`, the relay stops.
 */
export type PairEnding = 'closed' | 'lost' | 'idle' | 'blocked' | 'stalled' | 'stopping'

/** Counters of a relay; `pairs`, `pending`, `bufferedBytes` and `halfOpen` are gauges. */
export interface RustdeskRelayStats extends RelayCounters<RustdeskRejectReason> {
  /** Current pairs. */
  pairs: number
  /** Connections that wait for a partner. */
  pending: number
  /** Pairs since the start. */
  paired: number
  /** Bytes forwarded, both directions. */
  bytes: number
  /** Bytes kept for pairs that do not read, and early bytes of connections without a partner. */
  bufferedBytes: number
  /** Pairs that have ended. */
  ended: Record<PairEnding, number>
}

export const newRefused = (): Record<RustdeskRejectReason, number> => ({
  malformed: 0, timeout: 0, key: 0, uuid: 0, blocked: 0, unpaired: 0, left: 0, pending_source: 0, pending: 0, pairs_source: 0, protocol: 0, source: 0, limit: 0
})

export const newTotals = () => ({
  paired: 0,
  bytes: 0,
  ended: { closed: 0, lost: 0, idle: 0, blocked: 0, stalled: 0, stopping: 0 } satisfies RustdeskRelayStats['ended']
})

export type RelayTotals = ReturnType<typeof newTotals>
