/** Counters of a rendezvous server: plain numbers, incremented in place. */
import type { MemberName } from '../protocol/messages.ts'

/** Messages by how they came. */
export type Way = 'udp' | 'tcp' | 'websocket' | 'nat_test'

/**
 * Why a datagram or an answer of a peer was dropped: `malformed`, it is no message; `unserved`, a message that is not served there;
 * `empty`, without what it needs; `busy`, too many registrations wait; `queue`, the system had no room for an answer; `pushes`, the address
 * was sent too much for clients, or too many lists of servers; `unasked`, the answer of a peer that was not asked, or for a client that
 * does not wait any more; `offer`, a client that waits for a key was put off, as too many do.
 */
export type RendezvousDrop = 'malformed' | 'unserved' | 'empty' | 'busy' | 'queue' | 'pushes' | 'unasked' | 'offer'

/**
 * Why a registration was refused: `no_id`, its id is too short or too long; `blocked`, too many from its address; `machine`, the id is
 * that of another machine; `stolen`, address and key have changed at once; `frequent`, too many of one peer; `full`, there are too many
 * peers, too many of its address, or too many in the store; `store`, the store has failed; `connection`, it came by a connection;
 * `not_allowed`, neither its id nor its key is on the list of those that may register.
 */
export type RegistrationRefusal = 'no_id' | 'blocked' | 'machine' | 'stolen' | 'frequent' | 'full' | 'store' | 'connection' | 'not_allowed'

/** Why a client does not reach a peer: `key`, it has another licence key; `unknown`, nobody has the id; `offline`; `store`, the store has failed. */
export type PunchRefusal = 'key' | 'unknown' | 'offline' | 'store'

/**
 * Why a connection was refused or ended: `malformed`, a frame or a message that is none; `unserved`, a message that is not served there;
 * `timeout`, no message in time; `incomplete`, no whole message, while too much was kept of those of all; `protocol`, it speaks another
 * one; `source` and `limit`, by the limiter.
 */
export type RendezvousRejectReason = 'malformed' | 'unserved' | 'timeout' | 'incomplete' | 'protocol' | 'source' | 'limit'

/** Counters of a rendezvous server. */
export interface RendezvousCounters {
  /** Messages that have come, by their kind. */
  messages: Record<Way, Partial<Record<MemberName, number>>>
  drops: Record<RendezvousDrop, number>
  /** Registrations that were answered with OK, and those that changed the store. */
  registered: number
  stored: number
  refusedRegistrations: Record<RegistrationRefusal, number>
  /** Messages that peers were sent for clients. */
  asked: number
  /** Answers of peers that clients were sent. */
  answered: number
  refusedPunches: Record<PunchRefusal, number>
  /** Commands of the console. */
  commands: number
}

export const newCounters = (): RendezvousCounters => ({
  messages: { udp: {}, tcp: {}, websocket: {}, nat_test: {} },
  drops: { malformed: 0, unserved: 0, empty: 0, busy: 0, queue: 0, pushes: 0, unasked: 0, offer: 0 },
  registered: 0,
  stored: 0,
  refusedRegistrations: { no_id: 0, blocked: 0, machine: 0, stolen: 0, frequent: 0, full: 0, store: 0, connection: 0, not_allowed: 0 },
  asked: 0,
  answered: 0,
  refusedPunches: { key: 0, unknown: 0, offline: 0, store: 0 },
  commands: 0
})

export const newRefused = (): Record<RendezvousRejectReason, number> => ({ malformed: 0, unserved: 0, timeout: 0, incomplete: 0, protocol: 0, source: 0, limit: 0 })

/** Counts a message. */
export function countMessage ({ messages }: RendezvousCounters, way: Way, name: MemberName): void {
  messages[way][name] = (messages[way][name] ?? 0) + 1
}
