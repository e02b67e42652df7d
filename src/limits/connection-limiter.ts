/**
 * Bounds connections: by source, half-open, and in total.
 *
 * A connection is *admitted* when the system has accepted it, *established* once it has authenticated, and *released* when it has
 * ended. Until it is established it is half-open. When there are too many half-open connections the oldest of them is evicted, so
 * that a flood of unauthenticated connections does not keep others out.
 *
 * ```ts
 * const limiter = new ConnectionLimiter({ maxPerSource: 256 })
 * const slot = limiter.admit(socket.remoteAddress, () => { socket.destroy() })
 * if (slot === undefined) return socket.destroy()
 * socket.once('close', () => { slot.release() })
 * ```
 *
 * Listeners with the option `limiter` do that by themselves, and their links carry the slot.
 */
import { OptionError } from '../errors.ts'
import { isLoopback, clientKey } from '../net/client-address.ts'

/** The bounds of a {@link ConnectionLimiter}. */
export interface ConnectionLimiterInit {
  /** Connections at one time from one source: an IPv4 address or an IPv6 /64. The loopback is exempt. Default: 256. */
  maxPerSource?: number
  /** Connections at one time that are not established. Default: 16384. */
  maxHalfOpen?: number
  /** Connections at one time, established or not. Default: 65536. */
  maxConnections?: number
}

const DEFAULT_PER_SOURCE = 256
export const DEFAULT_MAX_HALF_OPEN = 16_384
export const DEFAULT_MAX_CONNECTIONS = 65_536

/** The first two are gauges, the others counters. */
export interface ConnectionLimiterStats {
  connections: number
  halfOpen: number
  /** Connections admitted since the start. */
  admitted: number
  /** Connections that were not admitted: `source`, too many from one source; `total`, too many in all, and none of them half-open. */
  rejected: { source: number, total: number }
  /** Half-open connections that were ended to make room for newer ones. */
  evicted: number
}

/** The slot of one admitted connection. */
export interface ConnectionSlot {
  /** See {@link clientKey}. */
  readonly source: string
  /** The connection comes from the loopback, which has no bound by source. */
  readonly isLocal: boolean
  /** The connection counts against the bound of its source. */
  readonly isCounted: boolean
  /** Ends the connection on eviction. Code that takes the connection over sets its own function. */
  evict: () => void
  /** Called once when the slot is released. */
  onRelease: (() => void) | undefined
  /** Sets the client address that a proxy has reported; it never counts as loopback. Returns false when that source has too many connections: the caller has to end this one. */
  setSource (host: string): boolean
  /** The connection has authenticated. */
  establish (): void
  /** The connection has ended. May be called more than once. */
  release (): void
}

/**
 * The bounds, with defaults filled in.
 *
 * @throws {OptionError} when a bound is not a whole number of at least 1
 */
function verifyConnectionLimits ({ maxPerSource = DEFAULT_PER_SOURCE, maxHalfOpen = DEFAULT_MAX_HALF_OPEN, maxConnections = DEFAULT_MAX_CONNECTIONS }: ConnectionLimiterInit): Required<ConnectionLimiterInit> {
  const bounds = { maxPerSource, maxHalfOpen, maxConnections }
  for (const [name, count] of Object.entries(bounds)) {
    if (!Number.isSafeInteger(count) || count < 1) throw new OptionError(`${name} is a whole number of at least 1, not ${String(count)}`)
  }
  return bounds
}

class Slot implements ConnectionSlot {
  source: string
  isLocal: boolean
  evict: () => void
  onRelease: (() => void) | undefined
  isCounted: boolean
  isReleased = false
  readonly #limiter: ConnectionLimiter

  constructor (limiter: ConnectionLimiter, host: string, isProxy: boolean, evict: () => void) {
    this.#limiter = limiter
    this.source = clientKey(host)
    this.isLocal = isLoopback(host)
    this.isCounted = !isProxy && !this.isLocal
    this.evict = evict
  }

  setSource (host: string): boolean { return this.#limiter.setSource(this, host) }

  establish (): void { this.#limiter.establish(this) }

  release (): void { this.#limiter.release(this) }
}

/** Bounds the connections of listeners: by source, half-open, and in total. */
export class ConnectionLimiter {
  readonly stats: ConnectionLimiterStats = { connections: 0, halfOpen: 0, admitted: 0, rejected: { source: 0, total: 0 }, evicted: 0 }
  #maxPerSource = DEFAULT_PER_SOURCE
  #maxHalfOpen = DEFAULT_MAX_HALF_OPEN
  #maxConnections = DEFAULT_MAX_CONNECTIONS
  /** Source to how many connections it has, of those that are counted. */
  readonly #counts = new Map<string, number>()
  /** Oldest first. */
  readonly #halfOpen = new Set<Slot>()

  /** @throws {OptionError} see `verifyConnectionLimits` */
  constructor (init: ConnectionLimiterInit = {}) {
    this.configure(init)
  }

  /**
   * Changes the bounds. Admitted connections stay.
   *
   * @throws {OptionError} see `verifyConnectionLimits`
   */
  configure (init: ConnectionLimiterInit): void {
    const { maxPerSource, maxHalfOpen, maxConnections } = verifyConnectionLimits(init)
    this.#maxPerSource = maxPerSource
    this.#maxHalfOpen = maxHalfOpen
    this.#maxConnections = maxConnections
  }

  /**
   * Admits a new connection.
   *
   * @param host the remote address; an empty string, or the name of a link in memory, is a source as well
   * @param evict ends the connection on eviction
   * @param isProxy the connection is that of a trusted proxy: its source has no bound until `setSource` is called
   * @returns undefined when the connection is rejected
   */
  admit (host: string, evict: () => void, isProxy = false): ConnectionSlot | undefined {
    const { stats } = this
    const slot = new Slot(this, host, isProxy, evict)
    if (!this.#hasRoom(slot)) {
      stats.rejected.source++
      return undefined
    }
    if (stats.connections >= this.#maxConnections && !this.#makeRoom()) {
      stats.rejected.total++
      return undefined
    }
    while (this.#halfOpen.size >= this.#maxHalfOpen) this.#makeRoom()
    this.#count(slot, 1)
    this.#halfOpen.add(slot)
    stats.halfOpen = this.#halfOpen.size
    stats.connections++
    stats.admitted++
    return slot
  }

  /** Whether the bound by source admits one more connection from this host. */
  hasRoomFor (host: string, isProxy = false): boolean { return this.#hasRoom(new Slot(this, host, isProxy, () => {})) }

  /** For {@link ConnectionSlot.setSource}. @internal */
  setSource (slot: Slot, host: string): boolean {
    if (slot.isReleased) return false
    this.#count(slot, -1)
    slot.source = clientKey(host)
    slot.isCounted = true
    slot.isLocal = false
    const hasRoom = this.#hasRoom(slot)
    this.#count(slot, 1) // also beyond the bound: the caller is about to end it
    if (!hasRoom) this.stats.rejected.source++
    return hasRoom
  }

  /** For {@link ConnectionSlot.establish}. @internal */
  establish (slot: Slot): void {
    this.#halfOpen.delete(slot)
    this.stats.halfOpen = this.#halfOpen.size
  }

  /** For {@link ConnectionSlot.release}. @internal */
  release (slot: Slot): void {
    if (slot.isReleased) return
    slot.isReleased = true
    this.establish(slot)
    this.#count(slot, -1)
    this.stats.connections--
    slot.onRelease?.()
  }

  #hasRoom ({ isCounted, source }: Slot): boolean {
    return !isCounted || (this.#counts.get(source) ?? 0) < this.#maxPerSource
  }

  #count ({ isCounted, source }: Slot, change: 1 | -1): void {
    if (!isCounted) return
    const count = (this.#counts.get(source) ?? 0) + change
    if (count === 0) this.#counts.delete(source)
    else this.#counts.set(source, count)
  }

  /** Evicts the oldest half-open connection. */
  #makeRoom (): boolean {
    const [oldest] = this.#halfOpen
    if (oldest === undefined) return false
    this.stats.evicted++
    oldest.evict()
    this.release(oldest) // now, as its close event comes later
    return true
  }
}
