/** One candy network: who is in it, and with which address. */
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { formatAddress } from '../../../net/ipv4.ts'
import { AddressPool } from './address-pool.ts'
import type { LeaseTable } from './leases.ts'
import type { NetworkSettings } from './network-settings.ts'
import type { ForwardingPlane } from './forwarding-plane.ts'
import type { Closing } from '../protocol/closings.ts'
import { encodeRoutes, type Route } from '../protocol/routes.ts'
import { allowedSources, routesFor } from './sdwan.ts'
import type { Session, SessionNetwork, SessionRefusal } from './session.ts'
import { addStats, addTraffic, newNetworkStats, type CandyNetworkStats, type Traffic } from './stats.ts'
import { Switch, type Budget } from './switch.ts'
import { reject } from '../../common/reject.ts'

/** What all networks of a relay have in common. */
export interface NetworkContext extends Budget {
  readonly log: RateLimitedLog
  /** Who passes packets on, when that is somebody else. */
  readonly plane?: ForwardingPlane
}

export class Network extends Switch<Session> implements SessionNetwork {
  declare settings: NetworkSettings
  /** Where dynamic addresses come from. */
  pool: AddressPool | undefined
  readonly #context: NetworkContext
  readonly #leases: LeaseTable
  /** Of connections that have ended. */
  #past = newNetworkStats()
  /** All connections, those that have no address yet included. */
  readonly #sessions = new Set<Session>()

  constructor (settings: NetworkSettings, context: NetworkContext, leases: LeaseTable) {
    super(settings, context)
    this.#context = context
    this.#leases = leases
    this.pool = this.#newPool()
  }

  /** Added up for whoever asks. */
  get stats (): CandyNetworkStats {
    const stats = newNetworkStats()
    addStats(stats, this.#past)
    for (const { traffic } of this.#sessions) addTraffic(stats, traffic)
    stats.peers = this.size
    return stats
  }

  /** Who takes the place of a gateway reaches everybody: where members are kept apart its address belongs to its device. */
  isReserved (address: number): boolean {
    const { isolate, rules } = this.settings
    return isolate && rules.some(({ nexthop }) => nexthop === address)
  }

  /** A connection has come. */
  addSession (session: Session): void { this.#sessions.add(session) }

  /** Gives an address to a connection and pushes its routes. Whoever had it is ended, and the address that the connection had before is free. */
  join (session: Session, address: number): void {
    const former = this.get(address)
    if (session.address !== 0) this.leave(session)
    session.address = address
    this.set(address, session)
    session.original.joined(this.clock.now())
    session.frameLimiter.join()
    this.pool?.claim(address, session)
    former?.end('takeover')
    this.#learn(session)
    this.#push(session, session.routes)
    this.#context.log.log('info', { ...this.#named(), address: formatAddress(address), remote: session.remote, takeover: former !== undefined }, 'peer joined')
  }

  /** The connection has come to its end: nothing of it stays. */
  removeSession (session: Session): void {
    if (!this.#sessions.delete(session)) return
    this.leave(session)
    this.forget(session)
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
    this.#context.plane?.removeMember(session)
    session.address = 0
    if (this.get(address) !== session) return // taken over
    this.delete(address)
    this.pool?.release(address)
    this.#context.log.log('info', { ...this.#named(), address: formatAddress(address), remote: session.remote, client: session.client }, 'peer left')
  }

  /** What was carried by somebody else, for a connection or in general. */
  count (traffic: Traffic, session?: Session): void {
    addTraffic(session !== undefined && this.#sessions.has(session) ? session.traffic : this.#past, traffic)
  }

  /** The network is no more: what it has counted counts there, and so does what is told of it only now. */
  mergeStatsInto (past: CandyNetworkStats): void {
    addStats(past, this.stats)
    this.#past = past
  }

  /** @param detail what was wrong, and what was expected */
  reject (session: Session, reason: SessionRefusal, detail: string): void {
    const { remote, received } = session
    reject({ refused: this.#past.refused, log: this.#context.log }, reason, { ...this.#named(), remote }, { detail, messages: received }, (reason) => { session.end(reason) })
  }

  wrongClock (session: Session, timestamp: number | undefined): void {
    this.#context.log.log('warn', { ...this.#named(), remote: session.remote, timestamp }, 'the clock of a client is wrong')
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
    this.#context.plane?.setNetwork(this)
    let ended = 0
    const end = (session: Session, reason: Closing): void => {
      session.end(reason)
      ended++
    }
    if (isOther) for (const session of [...this.#sessions]) end(session, 'changed')
    if (settings.dhcp !== dhcp) {
      this.pool = this.#newPool()
      for (const session of this.members()) this.pool?.claim(session.address, session)
    }
    for (const session of [...this.members()]) {
      if (!this.#relearn(session)) end(session, 'routes')
    }
    return ended
  }

  /** Ends all connections; returns how many. */
  close (reason: Closing): number {
    const sessions = [...this.#sessions]
    for (const session of sessions) session.end(reason)
    return sessions.length
  }

  /** What the rules say about a member. */
  #learn (session: Session): void {
    const { rules } = this.settings
    session.routes = routesFor(rules, session.address)
    session.gateways = new Set(session.routes.map(({ nexthop }) => nexthop))
    session.behind = allowedSources(rules, session.address)
    session.limit()
    this.#context.plane?.setMember(session)
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
    return dhcp === undefined ? undefined : new AddressPool({ range: dhcp, leases: this.#leases, isReserved: (address) => this.isReserved(address) })
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
      this.updateQueued(session)
    }
  }
}
