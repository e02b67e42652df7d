/**
 * Who may connect: bounds connections by their source and in total, and those that have not proven anything yet.
 *
 * A connection *enters* when the system has accepted it, is *established* once it has proven who it is, and *leaves* when it
 * has ended. Until it is established it is half-open: when there are too many of those, the oldest makes room, so that a flood
 * of strangers keeps nobody out.
 *
 * ```ts
 * const limiter = new ConnectionLimiter({ perSource: 256 })
 * const pass = limiter.enter(socket.remoteAddress, () => { socket.destroy() })
 * if (pass === undefined) return socket.destroy()
 * socket.once('close', () => { pass.leave() })
 * ```
 *
 * Listeners with the option `limiter` do that by themselves, and their links carry the slot.
 */
import { OptionError } from '../errors.ts'
import { isLoopback, clientKey } from '../net/client-address.ts'

export interface ConnectionLimiterInit {
  /** Connections at one time from one source: an IPv4 address or an IPv6 /64. The loopback is exempt. Default: 256. */
  perSource?: number
  /** Connections at one time that are not established. Default: 16384. */
  maxHalfOpen?: number
  /** Connections at one time, established or not. Default: 65536. */
  maxConnections?: number
}

export const DEFAULT_PER_SOURCE = 256
export const DEFAULT_MAX_HALF_OPEN = 16_384
export const DEFAULT_MAX_CONNECTIONS = 65_536

/** Plain numbers; the first two are of now, the others only grow. */
export interface ConnectionLimiterStats {
  connections: number
  halfOpen: number
  /** Connections ever let in. */
  admitted: number
  /** Not let in: `source`, too many from one source; `total`, too many, and none of them half-open. */
  rejected: { source: number, total: number }
  /** Half-open ones that made room for newer ones. */
  evicted: number
}

/** One connection that was let in. */
export interface ConnectionSlot {
  /** See {@link clientKey}. */
  readonly source: string
  /** It comes from this machine itself, which has no bound. */
  readonly isLocal: boolean
  /** Its source has a bound. */
  readonly isCounted: boolean
  /** Ends the connection, when it makes room. Whoever takes the connection over puts a way of its own here. */
  evict: () => void
  /** Called when it has ended, whoever has ended it. */
  onRelease: (() => void) | undefined
  /** A proxy has told where the connection really comes from; that is never this machine, whatever it says. False when too many come from there: then it is to be ended. */
  setSource (host: string): boolean
  /** It has proven who it is. */
  establish (): void
  /** It has ended. Harmless when repeated. */
  release (): void
}

/** The bounds, with those that were left out. Throws `OptionError` for one that cannot be. */
export function verifyConnectionLimits ({ perSource = DEFAULT_PER_SOURCE, maxHalfOpen = DEFAULT_MAX_HALF_OPEN, maxConnections = DEFAULT_MAX_CONNECTIONS }: ConnectionLimiterInit): Required<ConnectionLimiterInit> {
  const bounds = { perSource, maxHalfOpen, maxConnections }
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

export class ConnectionLimiter {
  readonly stats: ConnectionLimiterStats = { connections: 0, halfOpen: 0, admitted: 0, rejected: { source: 0, total: 0 }, evicted: 0 }
  #perSource = DEFAULT_PER_SOURCE
  #maxHalfOpen = DEFAULT_MAX_HALF_OPEN
  #maxConnections = DEFAULT_MAX_CONNECTIONS
  /** Source to how many connections it has, of those that are counted. */
  readonly #counts = new Map<string, number>()
  /** Oldest first. */
  readonly #halfOpen = new Set<Slot>()

  /** Throws `OptionError` for a bound that cannot be. */
  constructor (init: ConnectionLimiterInit = {}) {
    this.configure(init)
  }

  /** Other bounds from now on; connections that are in stay. Throws `OptionError` for one that cannot be. */
  configure (init: ConnectionLimiterInit): void {
    const { perSource, maxHalfOpen, maxConnections } = verifyConnectionLimits(init)
    this.#perSource = perSource
    this.#maxHalfOpen = maxHalfOpen
    this.#maxConnections = maxConnections
  }

  /**
   * A connection has come.
   *
   * @param host its address; an empty one, or the name of a link in memory, is a source as well
   * @param evict ends it when it has to make room
   * @param isProxy it stands for others: its own source has no bound. See `moveTo`
   * @returns undefined when it is not let in
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

  /** Whether there is room for one more from there, as far as its source goes. */
  hasRoomFor (host: string, isProxy = false): boolean { return this.#hasRoom(new Slot(this, host, isProxy, () => {})) }

  /** For {@link ConnectionSlot.setSource}. */
  setSource (slot: Slot, host: string): boolean {
    if (slot.isReleased) return false
    this.#count(slot, -1)
    slot.source = clientKey(host)
    slot.isCounted = true
    slot.isLocal = false
    const hasRoom = this.#hasRoom(slot)
    this.#count(slot, 1) // also one too many: it is about to leave
    if (!hasRoom) this.stats.rejected.source++
    return hasRoom
  }

  /** For {@link ConnectionSlot.establish}. */
  establish (slot: Slot): void {
    this.#halfOpen.delete(slot)
    this.stats.halfOpen = this.#halfOpen.size
  }

  /** For {@link ConnectionSlot.release}. */
  release (slot: Slot): void {
    if (slot.isReleased) return
    slot.isReleased = true
    this.establish(slot)
    this.#count(slot, -1)
    this.stats.connections--
    slot.onRelease?.()
  }

  #hasRoom ({ isCounted, source }: Slot): boolean {
    return !isCounted || (this.#counts.get(source) ?? 0) < this.#perSource
  }

  #count ({ isCounted, source }: Slot, change: 1 | -1): void {
    if (!isCounted) return
    const count = (this.#counts.get(source) ?? 0) + change
    if (count === 0) this.#counts.delete(source)
    else this.#counts.set(source, count)
  }

  /** Ends the oldest connection that is half-open. */
  #makeRoom (): boolean {
    const [oldest] = this.#halfOpen
    if (oldest === undefined) return false
    this.stats.evicted++
    oldest.evict()
    this.release(oldest) // at once: its end takes a while
    return true
  }
}
