/** The status of a helper and proxy. Plain data, made on request. */
import type { RelayStep } from './history.ts'
import type { ShowchainRelayCounters } from './stats.ts'
import type { MessageStats } from '../protocol/pipeline-stats.ts'

/** Counters since the start, and what is there now. */
export interface ShowchainRelayStats extends ShowchainRelayCounters, MessageStats {
  /** Nodes that are registered, and their addresses. */
  nodes: number
  sources: number
  /** Introductions of the last seconds. */
  introductions: number
  /** Pairs whose data is carried. */
  sessions: number
  /** Messages that wait to be verified, and answers that wait to be signed. */
  verifying: number
  signing: number
}

/** Another helper with which this relay registers. */
export interface OtherHelper {
  /** As it was named: `relay.example:7700`. */
  name: string
  /** Its id as text; undefined until it has answered. */
  id: string | undefined
  isRegistered: boolean
  /** Milliseconds to it and back; undefined until they were measured. */
  roundTrip: number | undefined
  /** Why it is not registered. */
  reason: string | undefined
}

/** A helper and proxy. */
export interface ShowchainRelayStatus extends ShowchainRelayStats {
  /** Its own id, as text. */
  id: string
  /** It carries data. */
  proxy: boolean
  pageSignatures: boolean
  helpers: OtherHelper[]
}

/** Why a node can be reached through this helper, or not. */
export interface NodeExplanation {
  /** Undefined when it is not registered. */
  registration: {
    /** `192.0.2.1:7700`. */
    endpoint: string
    /** NAT kind, 1 to 4; 0: unknown. */
    kind: number
    /** Seconds since it was heard. */
    silent: number
  } | undefined
  /** What has happened to it, the last at the end. */
  steps: readonly RelayStep[]
}
