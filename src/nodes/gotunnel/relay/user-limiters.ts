/**
 * Limiters for the users of all ports: bounds by source and in total, and within these a share for each identity, so that a flood
 * on the ports of one does not keep out the users of others.
 *
 * An identity always gets as many users as are reserved for it. The rest is first come, first served. When an identity has reached its
 * bound, its own oldest waiting user is evicted, never that of another identity.
 */
import type { Identity } from './identities.ts'
import type { RelaySettings } from './settings.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../limits/connection-limiter.ts'

export class UserLimiters {
  /** Bounds by source and in total. */
  readonly all: ConnectionLimiter
  readonly #limiters = new Map<Identity, IdentityLimiter>()
  #settings: RelaySettings
  /** The reserve of an identity without `reserveUsers`. */
  #fairReserve = 0
  #reserved = 0

  constructor (settings: RelaySettings) {
    this.#settings = settings
    this.all = new ConnectionLimiter()
  }

  /** Changes bounds and identities; admitted users stay. */
  configure (settings: RelaySettings, identities: Iterable<Identity>): void {
    const { userLimiter: { maxPerSource, maxConnections } } = this.#settings = settings
    this.all.configure({ maxPerSource, maxConnections, maxHalfOpen: maxConnections })
    const present = new Set(identities)
    for (const identity of this.#limiters.keys()) if (!present.has(identity)) this.#limiters.delete(identity)
    for (const identity of present) if (!this.#limiters.has(identity)) this.#limiters.set(identity, new IdentityLimiter(this))
    const given = [...present].flatMap(({ settings: { reserveUsers } }) => reserveUsers ?? [])
    const left = Math.max(0, maxConnections - given.reduce((sum, count) => sum + count, 0))
    this.#fairReserve = Math.floor(Math.min(left, maxConnections / 2) / Math.max(1, present.size - given.length))
    this.#reserved = 0
    for (const [identity, limiter] of this.#limiters) {
      limiter.reserve = Math.min(identity.settings.reserveUsers ?? this.#fairReserve, identity.settings.maxUsers)
      this.#reserved += limiter.reserve
    }
  }

  /** The limiter for the listeners of its ports. */
  limiterOf (identity: Identity): ConnectionLimiter { return this.#limiters.get(identity) ?? this.all }

  /** Rejected users of one identity. */
  rejectedOf (identity: Identity): Rejected { return { ...this.#limiters.get(identity)?.rejected ?? newRejected() } }

  /** Waiting users of one identity: the bound of all, divided by the identities. */
  get maxHalfOpen (): number { return Math.max(1, Math.floor(this.#settings.userLimiter.maxHalfOpen / Math.max(1, this.#limiters.size))) }

  /** Whether there is room for one more user of an identity, beside the reserves of the others. */
  hasRoom (limiter: IdentityLimiter): boolean {
    const { connections } = this.all.stats
    const { maxConnections } = this.#settings.userLimiter
    if (limiter.users < limiter.reserve || connections + this.#reserved < maxConnections) return true
    let unused = 0
    for (const other of this.#limiters.values()) unused += Math.max(0, other.reserve - other.users)
    return connections + unused < maxConnections
  }
}

type Rejected = ConnectionLimiter['stats']['rejected']

const newRejected = (): Rejected => ({ source: 0, total: 0 })

class IdentityLimiter extends ConnectionLimiter {
  readonly rejected = newRejected()
  users = 0
  reserve = 0
  readonly #limiters: UserLimiters
  /** Oldest first. */
  readonly #waiting = new Set<UserSlot>()

  constructor (limiters: UserLimiters) {
    super()
    this.#limiters = limiters
  }

  override admit (host: string, evict: () => void, isProxy = false): ConnectionSlot | undefined {
    const { all } = this.#limiters
    if (all.hasRoomFor(host, isProxy) && !this.#limiters.hasRoom(this) && !this.#makeRoom()) {
      all.stats.rejected.total++
      this.rejected.total++
      return undefined
    }
    const slot = new UserSlot(evict)
    const { source, total } = all.stats.rejected
    const inner = all.admit(host, () => { slot.evict() }, isProxy)
    if (inner === undefined) {
      this.rejected.source += all.stats.rejected.source - source
      this.rejected.total += all.stats.rejected.total - total
      return undefined
    }
    while (this.#waiting.size >= this.#limiters.maxHalfOpen && this.#makeRoom());
    this.users++
    this.#waiting.add(slot)
    slot.attach(inner, () => { this.#waiting.delete(slot) }, () => { this.users-- })
    return slot
  }

  /** Evicts the oldest waiting user. */
  #makeRoom (): boolean {
    const [oldest] = this.#waiting
    if (oldest === undefined) return false
    this.#limiters.all.stats.evicted++
    oldest.evict()
    oldest.release() // now, as its close event comes later
    return true
  }
}

/** Wraps the slot of the limiter of all, and reports to the limiter of the identity as well. */
class UserSlot implements ConnectionSlot {
  evict: () => void
  onRelease: (() => void) | undefined
  #inner: ConnectionSlot | undefined
  #onEstablish: () => void = () => {}

  constructor (evict: () => void) { this.evict = evict }

  attach (inner: ConnectionSlot, onEstablish: () => void, onLeave: () => void): void {
    this.#inner = inner
    this.#onEstablish = onEstablish
    inner.onRelease = () => {
      onEstablish()
      onLeave()
      this.onRelease?.()
    }
  }

  get source (): string { return this.#inner?.source ?? '' }

  get isLocal (): boolean { return this.#inner?.isLocal === true }

  get isCounted (): boolean { return this.#inner?.isCounted === true }

  setSource (host: string): boolean { return this.#inner?.setSource(host) === true }

  establish (): void {
    this.#onEstablish()
    this.#inner?.establish()
  }

  release (): void { this.#inner?.release() }
}
