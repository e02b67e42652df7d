/**
 * Which users of all ports go through: bounds by source and in total, and within these a share for each identity, so that those
 * who crowd the ports of one cannot keep out the users of the others.
 *
 * An identity always gets as many users as are reserved for it. What nobody has reserved goes to whoever comes first. When an
 * identity has reached what it may have, its own oldest user that waits makes room, and none of another one.
 */
import type { Identity } from './identities.ts'
import type { RelaySettings } from './settings.ts'
import { ConnectionLimiter, type ConnectionSlot } from '../../../limits/connection-limiter.ts'

export class UserLimiters {
  /** By source and in total. */
  readonly all: ConnectionLimiter
  readonly #limiters = new Map<Identity, IdentityLimiter>()
  #settings: RelaySettings
  /** Of an identity that has none of its own. */
  #fairReserve = 0
  #reserved = 0

  constructor (settings: RelaySettings) {
    this.#settings = settings
    this.all = new ConnectionLimiter()
  }

  /** Other bounds and identities from now on; users that are in stay. */
  configure (settings: RelaySettings, identities: Iterable<Identity>): void {
    const { userLimiter: { perSource, maxConnections } } = this.#settings = settings
    this.all.configure({ perSource, maxConnections, maxHalfOpen: maxConnections })
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

  /** For the listeners of its ports. */
  limiterOf (identity: Identity): ConnectionLimiter { return this.#limiters.get(identity) ?? this.all }

  /** Those of one identity that were not let in. */
  rejectedOf (identity: Identity): Rejected { return { ...this.#limiters.get(identity)?.rejected ?? newRejected() } }

  /** Of one identity: the bound of all is divided among them. */
  get maxHalfOpen (): number { return Math.max(1, Math.floor(this.#settings.userLimiter.maxHalfOpen / Math.max(1, this.#limiters.size))) }

  /** Whether there is room for one more user of an identity, besides what the others have reserved. */
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

  /** Ends the oldest of its users that wait. */
  #makeRoom (): boolean {
    const [oldest] = this.#waiting
    if (oldest === undefined) return false
    this.#limiters.all.stats.evicted++
    oldest.evict()
    oldest.release() // at once: its end takes a while
    return true
  }
}

/** That of the limiter of all, which tells the one of its identity as well. */
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
