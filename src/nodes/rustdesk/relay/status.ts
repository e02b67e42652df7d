/** The status of a relay: its pairs. Plain data, made on request. */
import type { Pair } from './pair.ts'
import type { RustdeskRelayStats } from './stats.ts'
import type { ServerStatus } from '../../common/status.ts'
import { remoteText } from '../../../net/endpoint.ts'

/** Pairs in one list. */
const MOST_LISTED = 1000

/** One pair. Speeds in kb/s, as the console shows them. */
export interface RustdeskPairStatus {
  /** Addresses and ports of the connection that was there first, and of the other one. */
  first: string
  second: string
  /** The id that one of them wants to reach, as it says; may be empty. */
  id: string
  /** Bytes of both directions. */
  bytes: number
  /** Seconds. */
  lasted: number
  peak: number
  average: number
  last: number
  /** It is slowed, as it is on the blacklist or has used too much. */
  isSlowed: boolean
}

/** A relay, with its pairs, those with most bytes first; 1000 of them at most. */
export interface RustdeskRelayStatus extends RustdeskRelayStats {
  members: RustdeskPairStatus[]
}

/** A relay on its ports. */
export interface RustdeskRelayServerStatus extends RustdeskRelayStatus, ServerStatus {
  /** Where clients connect by WebSocket. */
  websocketUrl: string
}

export const statusOf = (pairs: Iterable<Pair>): RustdeskPairStatus[] => Array.from(pairs, ({ first, second, usage, isSlowed }) => ({
  first: remoteText(first.remote),
  second: remoteText(second.remote),
  id: first.wants === '' ? second.wants : first.wants,
  bytes: usage.bytes,
  lasted: Math.trunc(usage.elapsed / 1000),
  peak: usage.peak,
  average: usage.average,
  last: usage.last,
  isSlowed
})).sort((a, b) => b.bytes - a.bytes).slice(0, MOST_LISTED)
