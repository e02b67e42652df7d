/** Counters of a relay: plain numbers, incremented in place and added up on request. */
import type { LinkType } from '../protocol/message-types.ts'
import type { RelayCounters } from '../../common/status.ts'

/**
 * Why a connection was rejected or ended: `malformed`, a frame or a message that is none; `protocol`, it speaks another one; `timeout`, no
 * handshake, or no message, in time; `secret`, a wrong proof; `rate`, too many wrong proofs from its source; `replay`, in strict mode a
 * proof that another address has sent; `id`, an id that no client may have; `replaced`, by a newer connection of the same id; `removed`,
 * the relay stops; `write_timeout`, it does not read; `source` and `limit`, rejected by the limiter.
 */
export type NatpassRejectReason = 'malformed' | 'protocol' | 'timeout' | 'secret' | 'rate' | 'replay' | 'id' | 'replaced' | 'removed' | 'write_timeout' | 'source' | 'limit'

/**
 * Why a message was dropped: `unknown_link`, its link has ended or never was; `not_owner`, its sender is not an end of the link, or it is
 * not for the other end; `unknown_client`, it is for none that is there; `policy`, the rules do not allow it; `handshake`, a second one;
 * `queue`, it belongs to no link, and its receiver is slow.
 */
export type MessageDrop = 'unknown_link' | 'not_owner' | 'unknown_client' | 'policy' | 'handshake' | 'queue'

/**
 * Why a link was not opened: `unknown_client`, there is no client of that id; `policy`, the rules do not allow it; `link_id`, it has none,
 * or one that is too long or in use; `links`, one of the ends or the relay has as many as it may; `busy`, the other end does not read.
 * `malformed`: the request is none.
 */
export type LinkRefusal = 'unknown_client' | 'policy' | 'link_id' | 'links' | 'busy' | 'malformed'

/**
 * Why the relay has ended a link: `client`, the connection of one end has ended; `stalled`, one end did not read; `unanswered`, the
 * other end has not accepted it in two minutes; `policy`, new rules do not allow it.
 */
export type LinkEnding = 'client' | 'stalled' | 'unanswered' | 'policy'

/** Messages and their bytes, checksums and lengths included. */
export interface ClientTraffic {
  framesIn: number
  framesOut: number
  bytesIn: number
  bytesOut: number
}

/** Counters of a relay; `clients`, `links`, `queuedBytes` and `halfOpen` are gauges. */
export interface NatpassRelayStats extends RelayCounters<NatpassRejectReason>, ClientTraffic {
  /** Current clients. */
  clients: number
  /** Current links, by type; `other` for numbers that are none of ours. */
  links: Record<LinkType | 'other', number>
  /** Links opened since the start. */
  opened: number
  /** Links that were not opened. */
  refusedLinks: Record<LinkRefusal, number>
  /** Links that the relay has ended. */
  endedLinks: Record<LinkEnding, number>
  drops: Record<MessageDrop, number>
  /** Bytes that wait for clients. */
  queuedBytes: number
}

export const newCounters = () => ({
  framesIn: 0,
  framesOut: 0,
  bytesIn: 0,
  bytesOut: 0,
  opened: 0,
  links: { tcp: 0, udp: 0, shell: 0, vnc: 0, bench: 0, code: 0, other: 0 } satisfies NatpassRelayStats['links'],
  refusedLinks: { unknown_client: 0, policy: 0, link_id: 0, links: 0, busy: 0, malformed: 0 } satisfies NatpassRelayStats['refusedLinks'],
  endedLinks: { client: 0, stalled: 0, unanswered: 0, policy: 0 } satisfies NatpassRelayStats['endedLinks'],
  drops: { unknown_link: 0, not_owner: 0, unknown_client: 0, policy: 0, handshake: 0, queue: 0 } satisfies NatpassRelayStats['drops']
})

export const newRefused = (): Record<NatpassRejectReason, number> => ({
  malformed: 0, protocol: 0, timeout: 0, secret: 0, rate: 0, replay: 0, id: 0, replaced: 0, removed: 0, write_timeout: 0, source: 0, limit: 0
})

export type RelayTotals = ReturnType<typeof newCounters>
