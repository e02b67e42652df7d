/**
 * Which users of all ports go through: bounds by source and in total, and within these a share for each identity, so that those
 * who crowd the ports of one cannot keep out the users of the others.
 *
 * An identity always gets as many users as are reserved for it. What nobody has reserved goes to whoever comes first. When an
 * identity has reached what it may have, its own oldest user that waits makes room, and none of another one.
 */
import type { Identity } from './identities.ts'
import type { RelaySettings } from './settings.ts'
import { Gate, type Pass } from '../../../limits/gate.ts'

export class UserGates {
  /** By source and in total. */
  readonly all: Gate
  readonly #gates = new Map<Identity, IdentityGate>()
  #settings: RelaySettings
  /** Of an identity that has none of its own. */
  #fairReserve = 0
  #reserved = 0

  constructor (settings: RelaySettings) {
    this.#settings = settings
    this.all = new Gate()
  }

  /** Other bounds and identities from now on; users that are in stay. */
  configure (settings: RelaySettings, identities: Iterable<Identity>): void {
    const { usersGate: { perSource, maxConnections } } = this.#settings = settings
    this.all.configure({ perSource, maxConnections, maxHalfOpen: maxConnections })
    const present = new Set(identities)
    for (const identity of this.#gates.keys()) if (!present.has(identity)) this.#gates.delete(identity)
    for (const identity of present) if (!this.#gates.has(identity)) this.#gates.set(identity, new IdentityGate(this))
    const given = [...present].flatMap(({ settings: { reserveUsers } }) => reserveUsers ?? [])
    const left = Math.max(0, maxConnections - given.reduce((sum, count) => sum + count, 0))
    this.#fairReserve = Math.floor(Math.min(left, maxConnections / 2) / Math.max(1, present.size - given.length))
    this.#reserved = 0
    for (const [identity, gate] of this.#gates) {
      gate.reserve = Math.min(identity.settings.reserveUsers ?? this.#fairReserve, identity.settings.maxUsers)
      this.#reserved += gate.reserve
    }
  }

  /** For the listeners of its ports. */
  of (identity: Identity): Gate { return this.#gates.get(identity) ?? this.all }

  /** Those of one identity that were not let in. */
  turnedAwayOf (identity: Identity): TurnedAway { return { ...this.#gates.get(identity)?.turnedAway ?? newTurnedAway() } }

  /** Of one identity: the bound of all is divided among them. */
  get maxHalfOpen (): number { return Math.max(1, Math.floor(this.#settings.usersGate.maxHalfOpen / Math.max(1, this.#gates.size))) }

  /** Whether there is room for one more user of an identity, besides what the others have reserved. */
  hasRoom (gate: IdentityGate): boolean {
    const { connections } = this.all.stats
    const { maxConnections } = this.#settings.usersGate
    if (gate.users < gate.reserve || connections + this.#reserved < maxConnections) return true
    let unused = 0
    for (const other of this.#gates.values()) unused += Math.max(0, other.reserve - other.users)
    return connections + unused < maxConnections
  }
}

type TurnedAway = Gate['stats']['turnedAway']

const newTurnedAway = (): TurnedAway => ({ source: 0, total: 0 })

class IdentityGate extends Gate {
  readonly turnedAway = newTurnedAway()
  users = 0
  reserve = 0
  readonly #gates: UserGates
  /** Oldest first. */
  readonly #waiting = new Set<UserPass>()

  constructor (gates: UserGates) {
    super()
    this.#gates = gates
  }

  override enter (host: string, evict: () => void, isProxy = false): Pass | undefined {
    const { all } = this.#gates
    if (all.admits(host, isProxy) && !this.#gates.hasRoom(this) && !this.#makeRoom()) {
      all.stats.turnedAway.total++
      this.turnedAway.total++
      return undefined
    }
    const pass = new UserPass(evict)
    const { source, total } = all.stats.turnedAway
    const inner = all.enter(host, () => { pass.evict() }, isProxy)
    if (inner === undefined) {
      this.turnedAway.source += all.stats.turnedAway.source - source
      this.turnedAway.total += all.stats.turnedAway.total - total
      return undefined
    }
    while (this.#waiting.size >= this.#gates.maxHalfOpen && this.#makeRoom());
    this.users++
    this.#waiting.add(pass)
    pass.enter(inner, () => { this.#waiting.delete(pass) }, () => { this.users-- })
    return pass
  }

  /** Ends the oldest of its users that wait. */
  #makeRoom (): boolean {
    const [oldest] = this.#waiting
    if (oldest === undefined) return false
    this.#gates.all.stats.evicted++
    oldest.evict()
    oldest.leave() // at once: its end takes a while
    return true
  }
}

/** That of the gate of all, which tells the one of its identity as well. */
class UserPass implements Pass {
  evict: () => void
  onLeave: (() => void) | undefined
  #inner: Pass | undefined
  #onEstablish: () => void = () => {}

  constructor (evict: () => void) { this.evict = evict }

  enter (inner: Pass, onEstablish: () => void, onLeave: () => void): void {
    this.#inner = inner
    this.#onEstablish = onEstablish
    inner.onLeave = () => {
      onEstablish()
      onLeave()
      this.onLeave?.()
    }
  }

  get source (): string { return this.#inner?.source ?? '' }

  get isLocal (): boolean { return this.#inner?.isLocal === true }

  get isCounted (): boolean { return this.#inner?.isCounted === true }

  moveTo (host: string): boolean { return this.#inner?.moveTo(host) === true }

  establish (): void {
    this.#onEstablish()
    this.#inner?.establish()
  }

  leave (): void { this.#inner?.leave() }
}
