/**
 * Who may connect: bounds connections by their source and in total, and those that have not proven anything yet.
 *
 * A connection *enters* when the system has accepted it, is *established* once it has proven who it is, and *leaves* when it
 * has ended. Until it is established it is half-open: when there are too many of those, the oldest makes room, so that a flood
 * of strangers keeps nobody out.
 *
 * ```ts
 * const gate = new Gate({ perSource: 256 })
 * const pass = gate.enter(socket.remoteAddress, () => { socket.destroy() })
 * if (pass === undefined) return socket.destroy()
 * socket.once('close', () => { pass.leave() })
 * ```
 *
 * Listeners with the option `gate` do that by themselves, and their links carry the pass.
 */
import { OptionError } from '../errors.ts'
import { isLoopback, sourceOf } from '../net/source.ts'

export interface GateInit {
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
export interface GateStats {
  connections: number
  halfOpen: number
  /** Connections ever let in. */
  entered: number
  /** Not let in: `source`, too many from one source; `total`, too many, and none of them half-open. */
  turnedAway: { source: number, total: number }
  /** Half-open ones that made room for newer ones. */
  evicted: number
}

/** One connection that was let in. */
export interface Pass {
  /** See {@link sourceOf}. */
  readonly source: string
  /** It comes from this machine itself, which has no bound. */
  readonly isLocal: boolean
  /** Its source has a bound. */
  readonly isCounted: boolean
  /** Ends the connection, when it makes room. Whoever takes the connection over puts a way of its own here. */
  evict: () => void
  /** Called when it has ended, whoever has ended it. */
  onLeave: (() => void) | undefined
  /** A proxy has told where the connection really comes from; that is never this machine, whatever it says. False when too many come from there: then it is to be ended. */
  moveTo (host: string): boolean
  /** It has proven who it is. */
  establish (): void
  /** It has ended. Harmless when repeated. */
  leave (): void
}

/** The bounds, with those that were left out. Throws `OptionError` for one that cannot be. */
export function verifyGate ({ perSource = DEFAULT_PER_SOURCE, maxHalfOpen = DEFAULT_MAX_HALF_OPEN, maxConnections = DEFAULT_MAX_CONNECTIONS }: GateInit): Required<GateInit> {
  const bounds = { perSource, maxHalfOpen, maxConnections }
  for (const [name, count] of Object.entries(bounds)) {
    if (!Number.isSafeInteger(count) || count < 1) throw new OptionError(`${name} is a whole number of at least 1, not ${String(count)}`)
  }
  return bounds
}

class Entry implements Pass {
  source: string
  isLocal: boolean
  evict: () => void
  onLeave: (() => void) | undefined
  isCounted: boolean
  isGone = false
  readonly #gate: Gate

  constructor (gate: Gate, host: string, isProxy: boolean, evict: () => void) {
    this.#gate = gate
    this.source = sourceOf(host)
    this.isLocal = isLoopback(host)
    this.isCounted = !isProxy && !this.isLocal
    this.evict = evict
  }

  moveTo (host: string): boolean { return this.#gate.move(this, host) }

  establish (): void { this.#gate.establish(this) }

  leave (): void { this.#gate.leave(this) }
}

export class Gate {
  readonly stats: GateStats = { connections: 0, halfOpen: 0, entered: 0, turnedAway: { source: 0, total: 0 }, evicted: 0 }
  #perSource = DEFAULT_PER_SOURCE
  #maxHalfOpen = DEFAULT_MAX_HALF_OPEN
  #maxConnections = DEFAULT_MAX_CONNECTIONS
  /** Source to how many connections it has, of those that are counted. */
  readonly #counts = new Map<string, number>()
  /** Oldest first. */
  readonly #halfOpen = new Set<Entry>()

  /** Throws `OptionError` for a bound that cannot be. */
  constructor (init: GateInit = {}) {
    this.configure(init)
  }

  /** Other bounds from now on; connections that are in stay. Throws `OptionError` for one that cannot be. */
  configure (init: GateInit): void {
    const { perSource, maxHalfOpen, maxConnections } = verifyGate(init)
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
  enter (host: string, evict: () => void, isProxy = false): Pass | undefined {
    const { stats } = this
    const entry = new Entry(this, host, isProxy, evict)
    if (!this.#hasRoom(entry)) {
      stats.turnedAway.source++
      return undefined
    }
    if (stats.connections >= this.#maxConnections && !this.#makeRoom()) {
      stats.turnedAway.total++
      return undefined
    }
    while (this.#halfOpen.size >= this.#maxHalfOpen) this.#makeRoom()
    this.#count(entry, 1)
    this.#halfOpen.add(entry)
    stats.halfOpen = this.#halfOpen.size
    stats.connections++
    stats.entered++
    return entry
  }

  /** Whether there is room for one more from there, as far as its source goes. */
  admits (host: string, isProxy = false): boolean { return this.#hasRoom(new Entry(this, host, isProxy, () => {})) }

  /** For {@link Pass.moveTo}. */
  move (entry: Entry, host: string): boolean {
    if (entry.isGone) return false
    this.#count(entry, -1)
    entry.source = sourceOf(host)
    entry.isCounted = true
    entry.isLocal = false
    const hasRoom = this.#hasRoom(entry)
    this.#count(entry, 1) // also one too many: it is about to leave
    if (!hasRoom) this.stats.turnedAway.source++
    return hasRoom
  }

  /** For {@link Pass.establish}. */
  establish (entry: Entry): void {
    this.#halfOpen.delete(entry)
    this.stats.halfOpen = this.#halfOpen.size
  }

  /** For {@link Pass.leave}. */
  leave (entry: Entry): void {
    if (entry.isGone) return
    entry.isGone = true
    this.establish(entry)
    this.#count(entry, -1)
    this.stats.connections--
    entry.onLeave?.()
  }

  #hasRoom ({ isCounted, source }: Entry): boolean {
    return !isCounted || (this.#counts.get(source) ?? 0) < this.#perSource
  }

  #count ({ isCounted, source }: Entry, change: 1 | -1): void {
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
    this.leave(oldest) // at once: its end takes a while
    return true
  }
}
