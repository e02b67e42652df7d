/** What the server decides about registrations (RustDesk protocol, sections 4.3 and 4.4), without a socket, a store or a clock. */
import type { Peer } from './peer.ts'
import { wholeSeconds } from './seconds.ts'
import { isLoopback } from '../../../net/client-address.ts'

/** Bytes of an id at least, and UTF-16 units at most. */
const SHORTEST_ID = 6
const LONGEST_ID = 100

/** Bytes of an identity of a machine, and of a key: real ones have 32 to 64. */
const LONGEST_FIELD = 256

/** Keys in a row, and whole seconds without one after which the row begins again. */
const MOST_KEYS = 3
const KEYS_PAUSE = 6

/**
 * A peer that says it is there: `unknown`, not in memory; `keyless`, without a key; `moved`, from another address, or it has a connection,
 * whose place a datagram takes only when it proves whose it is; `heard`, as before. Only the last one is heard.
 */
export type Presence = 'unknown' | 'keyless' | 'moved' | 'heard'

/** @param host its address */
export function presenceOf (peer: Peer | undefined, host: string): Presence {
  if (peer === undefined) return 'unknown'
  if (!peer.hasKey) return 'keyless'
  if (peer.connection !== undefined) return 'moved'
  return host !== (peer.port === 0 ? peer.ip : peer.host) && !isLoopback(host) ? 'moved' : 'heard'
}

/** The registration of a key. */
export interface KeyRequest {
  readonly id: string
  readonly uuid: Uint8Array
  readonly pk: Uint8Array
}

/** Whether a peer may have this id. */
export const isId = (id: string): boolean => id.length <= LONGEST_ID && Buffer.byteLength(id) >= SHORTEST_ID

/** `ignored`: it gets no answer. `no_id`: the id is none. */
export type Plausibility = 'ignored' | 'no_id' | 'plausible'

/** Looks at a request alone, before anything is counted or looked up. */
export function plausibilityOf ({ id, uuid, pk }: KeyRequest): Plausibility {
  if (uuid.length === 0 || pk.length === 0 || uuid.length > LONGEST_FIELD || pk.length > LONGEST_FIELD) return 'ignored'
  return isId(id) ? 'plausible' : 'no_id'
}

/**
 * `machine`: the id is that of another machine. `stolen`: key and address have changed at once, so that nothing tells it from another
 * machine. `frequent`: too many keys in a row. `same`: nothing has changed. `new`: the first one. `changed`: another key or address.
 */
export type KeyDecision = 'machine' | 'stolen' | 'frequent' | 'same' | 'new' | 'changed'

/**
 * Decides about a plausible request.
 *
 * @param peer undefined: of an id that nobody has
 * @param ip its address
 * @param now milliseconds of a monotonic clock
 */
export function decideKey (peer: Peer | undefined, { uuid, pk }: Pick<KeyRequest, 'uuid' | 'pk'>, ip: string, now: number): KeyDecision {
  if (peer?.hasUuid !== true) return peer !== undefined && !mayRegister(peer, now) ? 'frequent' : 'new'
  if (!peer.isOfMachine(uuid)) return 'machine'
  const isSameKey = peer.isKey(pk)
  const isSameIp = peer.ip === ip
  if (!isSameKey && !isSameIp) return 'stolen'
  if (!mayRegister(peer, now)) return 'frequent'
  return isSameKey && isSameIp ? 'same' : 'changed'
}

const isPaused = (peer: Peer, now: number): boolean => wholeSeconds(now - peer.keyAt) > KEYS_PAUSE

const mayRegister = (peer: Peer, now: number): boolean => peer.keyCount < MOST_KEYS || isPaused(peer, now)

/** Counts a key of a peer. */
export function countKey (peer: Peer, now: number): void {
  peer.keyCount = isPaused(peer, now) ? 1 : peer.keyCount + 1
  peer.keyAt = now
}
