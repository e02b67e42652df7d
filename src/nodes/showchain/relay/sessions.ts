/** Pairs of nodes whose data is carried (SHOW CHAIN protocol, section 6.1). */
import { PassWindow } from './pass-window.ts'
import { RandomIds } from './random-ids.ts'
import type { Registration } from './registrations.ts'
import type { Hmac } from '../../../crypto/index.ts'
import { SourceCounts } from '../../../limits/source-counts.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'
import { isAt } from '../protocol/data-fields.ts'
import { SESSION_BYTES } from '../protocol/field-table.ts'

/** Milliseconds without data after which a session is forgotten. */
export const SILENCE = 60_000

/** The share of a second whose bytes may pass at once. */
const BURST = 0.25

/** Bytes that may pass at once in any case: what an end sends before it hears of anything. */
const MIN_BURST = 64 * 1024

/** Nodes of one address may have so many times the sessions of one, and the bytes. */
const PER_SOURCE = 4

export interface SessionLimits {
  readonly maxSessions: number
  /** That one node has asked for. */
  readonly maxSessionsPerNode: number
  /** Bytes a second of one node, and of one session. */
  readonly byteRate: number
}

/** A key that one end has agreed with the proxy (SHOW CHAIN protocol, section 6.3). */
export interface AgreedKey {
  /** Of the end, as it has come. */
  readonly ephemeral: Uint8Array
  /** Of the proxy. */
  readonly own: Uint8Array
  readonly hmac: Hmac
}

/** What a node, or all of one address, may send. */
interface Sender {
  bytes: TokenBucket
  /** Ends of sessions, also of those that others have asked for. */
  ends: number
}

/** Bytes a second to an end that has sent nothing in a session yet, not even an acknowledgement, and bytes at once: it may not want any. */
const UNWANTED = { rate: 16 * 1024, burst: 64 * 1024 }

/** One end of a session. */
export interface End {
  registration: Registration
  /** What it has sent that was passed on. */
  window: PassWindow | undefined
  /** It has sent something, so that it takes part. */
  takesPart: boolean
  agreed: AgreedKey | undefined
  /** The one before: messages that were signed with it may still come. */
  agreedBefore: AgreedKey | undefined
  readonly sender: Sender
  /** Of the address where it was when the session was made. */
  readonly address: Sender
  readonly source: string
}

export interface ProxySession {
  /** 16 bytes. */
  readonly id: Uint8Array
  readonly ends: readonly [requester: End, target: End]
  /** Of the limits of who has asked for it. */
  readonly owner: string
  readonly source: string
  bytes: TokenBucket
  /** To an end that does not take part yet. */
  readonly unwanted: TokenBucket
  heardAt: number
}

/** Why there is no session: `full`, too many in all; `owner`, too many of the node or of its address. */
export type SessionRefusal = 'full' | 'owner'

export class Sessions {
  /** By the first bits of their ids, see `prefixOf`. */
  readonly #sessions = new Map<number, ProxySession>()
  readonly #pairs = new Map<string, ProxySession>()
  readonly #senders = new Map<string, Sender>()
  readonly #addresses = new Map<string, Sender>()
  /** Sessions by who has asked for them, by id and by address. */
  readonly #owners = new Map<string, number>()
  readonly #sources = new SourceCounts()
  readonly #ids = new RandomIds(SESSION_BYTES)
  #limits: SessionLimits

  constructor (limits: SessionLimits) { this.#limits = limits }

  get size (): number { return this.#sessions.size }

  /** Smaller numbers count for new sessions, the rate for all. */
  configure (limits: SessionLimits, now: number): void {
    const isSameRate = limits.byteRate === this.#limits.byteRate
    this.#limits = limits
    if (isSameRate) return
    for (const sender of this.#senders.values()) sender.bytes = this.#bucket(now)
    for (const address of this.#addresses.values()) address.bytes = this.#bucket(now, PER_SOURCE)
    for (const session of this.#sessions.values()) session.bytes = this.#bucket(now)
  }

  /** That one whose id begins there. */
  find (bytes: Uint8Array, at = 0): ProxySession | undefined {
    const session = this.#sessions.get(prefixOf(bytes, at))
    return session !== undefined && isAt(bytes, at, session.id) ? session : undefined
  }

  ofPair (one: Registration, other: Registration): ProxySession | undefined { return this.#pairs.get(pairOf(one, other)) }

  /** Before a request is verified: what would speak against it. */
  refusal (requester: Registration, target: Registration): SessionRefusal | undefined {
    const { maxSessions, maxSessionsPerNode } = this.#limits
    if (this.ofPair(requester, target) !== undefined) return undefined
    if (this.#sessions.size >= maxSessions) return 'full'
    const isOwnerFull = (this.#owners.get(requester.idKey) ?? 0) >= maxSessionsPerNode || !this.#sources.hasRoom(requester.source, maxSessionsPerNode * PER_SOURCE)
    return isOwnerFull ? 'owner' : undefined
  }

  /** The session of a pair, which is made when there is none. */
  open (requester: Registration, target: Registration, now: number): ProxySession | SessionRefusal {
    const known = this.ofPair(requester, target)
    if (known !== undefined) {
      known.heardAt = now
      return known
    }
    const refusal = this.refusal(requester, target)
    if (refusal !== undefined) return refusal
    const session: ProxySession = {
      id: this.#newId(),
      ends: [this.#end(requester, now), this.#end(target, now)],
      owner: requester.idKey,
      source: requester.source,
      bytes: this.#bucket(now),
      unwanted: new TokenBucket(UNWANTED, now),
      heardAt: now
    }
    this.#sessions.set(prefixOf(session.id), session)
    this.#pairs.set(pairOf(requester, target), session)
    count(this.#owners, session.owner, 1)
    this.#sources.add(session.source)
    return session
  }

  /** Forgets those that are silent. */
  tick (now: number, onGone: (session: ProxySession) => void): void {
    for (const session of this.#sessions.values()) {
      if (now - session.heardAt < SILENCE) continue
      this.#forget(session)
      onGone(session)
    }
  }

  clear (): void { for (const session of this.#sessions.values()) this.#forget(session) }

  #forget (session: ProxySession): void {
    const [requester, target] = session.ends
    this.#sessions.delete(prefixOf(session.id))
    this.#pairs.delete(pairOf(requester.registration, target.registration))
    count(this.#owners, session.owner, -1)
    this.#sources.remove(session.source)
    for (const { registration: { idKey }, sender, address, source } of session.ends) {
      if (--sender.ends === 0) this.#senders.delete(idKey)
      if (--address.ends === 0) this.#addresses.delete(source)
    }
  }

  #end (registration: Registration, now: number): End {
    const { idKey, source } = registration
    const sender = this.#senders.get(idKey) ?? { bytes: this.#bucket(now), ends: 0 }
    const address = this.#addresses.get(source) ?? { bytes: this.#bucket(now, PER_SOURCE), ends: 0 }
    this.#senders.set(idKey, sender)
    this.#addresses.set(source, address)
    sender.ends++
    address.ends++
    return { registration, window: undefined, takesPart: false, agreed: undefined, agreedBefore: undefined, sender, address, source }
  }

  #bucket (now: number, times = 1): TokenBucket {
    const rate = this.#limits.byteRate * times
    return new TokenBucket({ rate, burst: Math.max(MIN_BURST, rate * BURST) }, now)
  }

  /** Random, with a first part that no other one has. */
  #newId (): Uint8Array {
    for (;;) {
      const id = this.#ids.next()
      if (!this.#sessions.has(prefixOf(id))) return id
    }
  }
}

/** The end whose id begins there; undefined when it is of neither. */
export function endAt ({ ends: [requester, target] }: ProxySession, bytes: Uint8Array, at: number): End | undefined {
  if (isAt(bytes, at, requester.registration.id)) return requester
  return isAt(bytes, at, target.registration.id) ? target : undefined
}

/** The other end. */
export const otherOf = ({ ends: [requester, target] }: ProxySession, end: End): End => end === requester ? target : requester

/** 30 bits, so that they are a number that V8 needs no object for. */
const prefixOf = (id: Uint8Array, at = 0): number => id[at] | id[at + 1] << 8 | id[at + 2] << 16 | (id[at + 3] & 0x3f) << 24

const pairOf = ({ idKey: one }: Registration, { idKey: other }: Registration): string => one < other ? one + other : other + one

function count (counts: Map<string, number>, key: string, by: number): void {
  const sum = (counts.get(key) ?? 0) + by
  if (sum === 0) counts.delete(key)
  else counts.set(key, sum)
}
