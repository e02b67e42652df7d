/** The status of a rendezvous server. Plain data, made on request. */
import type { RendezvousCounters, RendezvousRejectReason, Way } from './stats.ts'
import type { RelayCounters } from '../../common/status.ts'

/** Counters since the start; the first group is of now. */
export interface RendezvousStats extends RelayCounters<RendezvousRejectReason>, Omit<RendezvousCounters, 'messages'> {
  /** Messages by how they came and what they are. */
  messages: RendezvousCounters['messages']
  /** Peers in memory, those of them that were heard in the last 30 seconds, and those that have registered by a connection. */
  peers: number
  online: number
  connected: number
  /** Registrations that wait for the store. */
  registering: number
  /** Clients that wait for the answer of a peer, and those whose connection goes on after it. */
  waiting: number
  /** Bytes kept of messages that are not complete. */
  heldBytes: number
  /** Health checks that are held open. */
  healthChecks: number
  /** Addresses whose registrations are counted. */
  counted: number
  /** Peers that made room for others. */
  evicted: number
}

/** A peer that is online. */
export interface RendezvousPeerStatus {
  id: string
  /** Address and port; without a port for one that has registered by a connection. */
  address: string
  /** How it is reached; `none`, its connection has closed a moment ago. */
  way: Way | 'none'
  /** Seconds since it is online, and since it was heard. */
  online: number
  silent: number
}

/** A rendezvous server. */
export interface RendezvousStatus extends RendezvousStats {
  alwaysUseRelay: boolean
  /** Relays that peers are told, and all of them. */
  relays: { live: string[], all: string[] }
  /** Peers that are online, 1000 of them at most. */
  members: RendezvousPeerStatus[]
}
