/** One candy network: who is in it, and how a message gets from one member to others. */
import { CloseCode } from '../../transforms/websocket-frames/index.ts'
import type { BoundedLog } from '../../bounded-log.ts'
import { formatAddress } from '../../tun/ipv4.ts'
import { AddressPool } from './address-pool.ts'
import type { LeaseTable } from './leases.ts'
import type { NetworkSettings } from './network-settings.ts'
import { encodeRoutes, type Route } from './routes.ts'
import { allowedSources, routesFor } from './sdwan.ts'
import type { Session } from './session.ts'
import { addStats, addTraffic, newNetworkStats, type CandyNetworkStats, type Refusal } from './stats.ts'

/** What all networks of a relay have in common. */
export interface Shared {
  readonly log: BoundedLog
  /** Bytes that wait for all members of all networks together, as far as was looked, and how many may. */
  queued: number
  queueTotal: number
  /** Messages to all that one member may send in a second. */
  broadcastRate: number
}

export class Network {
  settings: NetworkSettings
  /** Where dynamic addresses come from. */
  pool: AddressPool | undefined
  readonly #shared: Shared
  readonly #leases: LeaseTable
  /** Of connections that have ended. */
  readonly #past = newNetworkStats()
  /** Address -> the connection that holds it. */
  readonly #members = new Map<number, Session>()
  /** All connections, those that have no address yet included. */
  readonly #sessions = new Set<Session>()
  /** Members for whom something of the current read is pending. */
  readonly #dirty: Session[] = []

  constructor (settings: NetworkSettings, shared: Shared, leases: LeaseTable) {
    this.settings = settings
    this.#shared = shared
    this.#leases = leases
    this.pool = this.#newPool()
  }

  get size (): number { return this.#members.size }

  get broadcastRate (): number { return this.#shared.broadcastRate }

  /** Added up for whoever asks. */
  get stats (): CandyNetworkStats {
    const stats = newNetworkStats()
    addStats(stats, this.#past)
    for (const { traffic } of this.#sessions) addTraffic(stats, traffic)
    stats.peers = this.#members.size
    return stats
  }

  holder (address: number): Session | undefined { return this.#members.get(address) }

  members (): IterableIterator<Session> { return this.#members.values() }

  /** A connection has come. */
  enter (session: Session): void { this.#sessions.add(session) }

  /** Gives an address to a connection and pushes its routes. Whoever had it is ended, and the address that the connection had before is free. */
  join (session: Session, address: number): void {
    const former = this.#members.get(address)
    if (session.address !== 0) this.leave(session)
    session.address = address
    this.#members.set(address, session)
    this.pool?.claim(address, session)
    former?.end(CloseCode.POLICY_VIOLATION, 'address taken over by a newer connection')
    this.#learn(session)
    this.#push(session, session.routes)
    this.#shared.log.line('info', { ...this.#named(), address: formatAddress(address), remote: session.remote, takeover: former !== undefined }, 'peer joined')
  }

  /** The connection has come to its end: nothing of it stays. */
  gone (session: Session): void {
    if (!this.#sessions.delete(session)) return
    this.leave(session)
    this.#shared.queued -= session.queued
    session.queued = 0
    this.pool?.abandon(session)
    addTraffic(this.#past, session.traffic)
  }

  /** A member has told only now which device it is. */
  identify (session: Session): void {
    if (session.address !== 0) this.pool?.claim(session.address, session)
  }

  leave (session: Session): void {
    const { address } = session
    if (address === 0) return
    session.address = 0
    if (this.#members.get(address) !== session) return // taken over
    this.#members.delete(address)
    this.pool?.release(address)
    this.#shared.log.line('info', { ...this.#named(), address: formatAddress(address), remote: session.remote, client: session.client }, 'peer left')
  }

  /** Which of two members may send to the other: all, or in an isolated network gateways and those that have a route to them. */
  mayReach (from: Session, to: Session): boolean {
    if (!this.settings.isolate || from === to) return true
    return from.gateways.has(to.address) || to.gateways.has(from.address)
  }

  /** To the holder of an address, the sender itself included; false when there is none. */
  unicast (from: Session, destination: number, message: Uint8Array): boolean {
    const member = this.#members.get(destination)
    if (member === undefined) return false
    if (this.mayReach(from, member)) this.#enqueue(member, message)
    else from.traffic.drops.isolated++
    return true
  }

  /** To all but the sender, which may do so only so many times in a second: each costs as much as the network has members. */
  broadcast (from: Session, message: Uint8Array): void {
    if (from.broadcasts === 0) {
      from.traffic.drops.broadcast++
      return
    }
    from.broadcasts--
    for (const member of this.#members.values()) {
      if (member !== from && this.mayReach(from, member)) this.#enqueue(member, message)
    }
  }

  #enqueue (member: Session, message: Uint8Array): void {
    if (member.pending.length === 0) this.#dirty.push(member)
    member.pending.push(message)
  }

  /** Writes what the messages of one read, all of one sender, have left: one write for each destination. Nothing is kept for a slow one. */
  flush (from: Session): void {
    if (this.#dirty.length === 0) return
    const shared = this.#shared
    const now = performance.now()
    for (const member of this.#dirty) {
      const { pending, traffic, backlog, link: { port } } = member
      member.pending = []
      if (member.ended) continue // since then
      // One that waits for nothing is always served: the slow ones together may cost themselves only.
      if (this.#look(member) > 0 && shared.queued >= shared.queueTotal) {
        traffic.drops.total += pending.length
        continue
      }
      const admitted = backlog.admit(pending, from, now)
      const taken = admitted.length > 0 ? port.send(admitted) : 0
      traffic.drops.queue += pending.length - taken
      if (taken === 0) continue
      this.#look(member)
      let bytes = 0
      for (let i = 0; i < admitted.length; i++) bytes += admitted[i].length
      backlog.joined(bytes, from, now)
      traffic.packetsOut += taken
      traffic.bytesOut += bytes
      member.tapped(admitted, 'out')
    }
    this.#dirty.length = 0
  }

  /** Brings the total up to date with what waits for one member, and returns that. */
  #look (session: Session): number {
    const { queued } = session.link.port
    this.#shared.queued += queued - session.queued
    session.queued = queued
    return queued
  }

  refused (session: Session, why: Refusal): void {
    this.#past.refused[why]++
    this.#shared.log.line('warn', { ...this.#named(), remote: session.remote, why }, 'connection refused')
  }

  wrongClock (session: Session, timestamp: number | undefined): void {
    this.#shared.log.line('warn', { ...this.#named(), remote: session.remote, timestamp }, 'the clock of a client is wrong')
  }

  /**
   * Other settings from now on. Members stay unless what has changed is what they were let in with: the password, the range,
   * or routes that they have, as existing clients keep every route that they were told of. New routes behind those are pushed.
   *
   * @returns how many were ended
   */
  configure (settings: NetworkSettings): number {
    const { secret, range, dhcp } = this.settings
    const isOther = !settings.secret.equals(secret) || settings.range?.network !== range?.network || settings.range?.prefix !== range?.prefix
    this.settings = settings
    let ended = 0
    const end = (session: Session, reason: string): void => {
      session.end(CloseCode.SERVICE_RESTART, reason)
      ended++
    }
    if (isOther) for (const session of [...this.#sessions]) end(session, 'the network has changed')
    if (settings.dhcp !== dhcp) {
      this.pool = this.#newPool()
      for (const session of this.#members.values()) this.pool?.claim(session.address, session)
    }
    for (const session of [...this.#members.values()]) {
      if (!this.#relearn(session)) end(session, 'the routes have changed')
    }
    return ended
  }

  /** Ends all connections; returns how many. */
  close (closeCode: number, reason: string): number {
    const sessions = [...this.#sessions]
    for (const session of sessions) session.end(closeCode, reason)
    return sessions.length
  }

  /** What the rules say about a member. */
  #learn (session: Session): void {
    const { rules } = this.settings
    session.routes = routesFor(rules, session.address)
    session.gateways = new Set(session.routes.map(({ nexthop }) => nexthop))
    session.behind = allowedSources(rules, session.address)
    session.limit()
  }

  /** False when a member has a route that there is no more, or that others have come before; or when it cannot be told. */
  #relearn (session: Session): boolean {
    const before = session.routes
    this.#learn(session)
    const same = before.every(({ destination, nexthop }, i) => {
      const now = session.routes[i]
      return now?.nexthop === nexthop && now.destination.network === destination.network && now.destination.prefix === destination.prefix
    })
    if (!same) return false
    return this.#push(session, session.routes.slice(before.length))
  }

  /** False when the member is too slow to be told. */
  #push (session: Session, routes: readonly Route[]): boolean {
    const messages = encodeRoutes(routes)
    return messages.length === 0 || session.link.port.send(messages) > 0
  }

  #newPool (): AddressPool | undefined {
    const { dhcp } = this.settings
    return dhcp === undefined ? undefined : new AddressPool({ range: dhcp, leases: this.#leases })
  }

  /** In the log a network is called by its path, if it has one. */
  #named (): { network?: string } {
    const { path } = this.settings
    return path === undefined ? {} : { network: path }
  }

  /** Once a second. */
  tick (now: number): void {
    for (const session of this.#sessions) {
      session.tick(now)
      this.#look(session)
      session.backlog.look(performance.now()) // else the sender of the last message would stay with it
    }
  }
}
