/** A route by delay, and what neighbours tell each other about it; candy protocol, section 2.6. */
import type { TokenBucket } from '../../../../limits/token-bucket.ts'

/** Maximum rtt in milliseconds of a path. What exceeds it is withdrawn, which ends counting to infinity. */
export const MAX_RTT = 1000

/** Why an advertisement was not taken. */
export type DelayRouteRejection =
  | 'off' // the cost is 0
  | 'next hop' // is not the sender
  | 'neighbour' // the sender is none with a measured rtt
  | 'rate' // too many of this sender
  | 'destination' // is the sender or this node, or no host of the network
  | 'held down' // was withdrawn a moment ago
  | 'full' // the table, or the share of this sender

/** What one neighbour tells another: a round trip in milliseconds, or `WITHDRAWN`. */
export interface Advertisement {
  destination: number
  rtt: number
}

/** A route, for status. */
export interface DelayRoute extends Advertisement {
  nextHop: number
}

/** One with a measured path. */
export interface Neighbour {
  readonly address: number
  /** As measured. */
  rtt: number
  measuredAt: number
  /** Number of destinations learned from it. */
  learned: number
  readonly received: TokenBucket
  /** The part of the table that it has not been told yet. */
  untold: Iterator<Route> | undefined
  readonly tellAt: number
}

/** The route in use to a destination. */
export interface Route {
  readonly destination: number
  /** The neighbour that it leads through, or led through before it was withdrawn. */
  via: Neighbour
  /** The address of `via`; 0 when withdrawn. */
  nextHop: number
  /** The rtt that `via` has advertised; 0 for a direct path. */
  advertised: number
  /** Of the whole path. */
  rtt: number
  /** When `via` has advertised it last. */
  heardAt: number
  sentAt: number
  /** Of a withdrawn route: end of the hold-down, and whether the withdrawal was repeated. */
  heldUntil: number
  isRepeated: boolean
}

/** Whether there is a path of this rtt. */
export const isPath = (rtt: number): boolean => rtt >= 0 && rtt <= MAX_RTT // NaN is none
