/** One candy network: its connections, members and addresses. */
import type { RateLimitedLog } from '../../../limits/rate-limited-log.ts'
import { formatAddress } from '../../../net/ipv4.ts'
import { AddressPool } from './address-pool.ts'
import type { LeaseTable } from './leases.ts'
import type { NetworkSettings } from './settings.ts'
import type { ForwardingPlane } from './forwarding-plane.ts'
import type { Closing } from '../protocol/closings.ts'
import { encodeRoutes, type Route } from '../protocol/routes.ts'
import { allowedSources, routesFor } from './sdwan.ts'
import type { Session, SessionNetwork, SessionRefusal } from './session.ts'
import { addStats, addTraffic, newNetworkStats, type CandyNetworkStats, type Traffic } from './stats.ts'
import { Switch, type Budget } from './switch.ts'
import { reject } from '../../common/reject.ts'

/** Shared by all networks of a relay. */
export interface NetworkContext extends Budget {
  readonly log: RateLimitedLog
  /** Forwards packets in place of the networks, if there is one. */
  readonly forwardingPlane?: ForwardingPlane
}

export class Network extends Switch<Session> implements SessionNetwork {
  declare settings: NetworkSettings
  /** The source of dynamic addresses. */
  pool: AddressPool | undefined
  readonly #context: NetworkContext
  readonly #leases: LeaseTable
  /** Counters of ended connections. */
  #past = newNetworkStats()
  /** All connections, including those without an address. */
  readonly #sessions = new Set<Session>()

  constructor (settings: NetworkSettings, context: NetworkContext, leases: LeaseTable) {
    super(settings, context)
    this.#context = context
    this.#leases = leases
    this.pool = this.#newPool()
  }

  /** The sum over all connections. */
  get stats (): CandyNetworkStats {
    const stats = newNetworkStats()
    addStats(stats, this.#past)
    for (const { traffic } of this.#sessions) addTraffic(stats, traffic)
    stats.peers = this.size
    return stats
  }

  /** In an isolated network the address of a gateway is reserved for its device, as a gateway reaches every member. */
  isReserved (address: number): boolean {
    const { isolate, rules } = this.settings
    return isolate && rules.some(({ nexthop }) => nexthop === address)
  }

  addSession (session: Session): void { this.#sessions.add(session) }

  /** Gives an address to a connection and pushes its routes. The connection that had it is ended, and the previous address becomes free. */
  join (session: Session, address: number): void {
    const former = this.get(address)
    if (session.address !== 0) this.leave(session)
    session.address = address
    this.set(address, session)
    session.original.joined(this.clock.now())
    session.frameLimiter.join()
    this.pool?.claim(address, session)
    former?.end('takeover')
    this.#applyRules(session)
    this.#push(session, session.routes)
    this.#context.log.log('info', { ...this.#named(), address: formatAddress(address), remote: session.remote, takeover: former !== undefined }, 'peer joined')
  }

  /** Removes a connection that has ended. */
  removeSession (session: Session): void {
    if (!this.#sessions.delete(session)) return
    this.leave(session)
    this.forget(session)
    this.pool?.abandon(session)
    addTraffic(this.#past, session.traffic)
  }

  /** A member has sent its VMAC after AUTH. */
  identify (session: Session): void {
    if (session.address !== 0) this.pool?.claim(session.address, session)
  }

  leave (session: Session): void {
    const { address } = session
    if (address === 0) return
    this.#context.forwardingPlane?.removeMember(session)
    session.address = 0
    if (this.get(address) !== session) return // taken over
    this.delete(address)
    this.pool?.release(address)
    this.#context.log.log('info', { ...this.#named(), address: formatAddress(address), remote: session.remote, client: session.client }, 'peer left')
  }

  /** Adds traffic that another thread has forwarded, for a connection or in general. */
  count (traffic: Traffic, session?: Session): void {
    addTraffic(session !== undefined && this.#sessions.has(session) ? session.traffic : this.#past, traffic)
  }

  /** The network has been removed: its counters, and later reports about it, are added to `past`. */
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
   * Changes the settings. Members stay unless the settings of their admission have changed: the password, the range,
   * or routes that they have, as existing clients keep every route. Routes added after those are pushed.
   *
   * @returns how many were ended
   */
  configure (settings: NetworkSettings): number {
    const { secret, range } = this.settings
    const isOther = !settings.secret.equals(secret) || settings.range?.network !== range?.network || settings.range?.prefix !== range?.prefix
    this.settings = settings
    this.#context.forwardingPlane?.setNetwork(this)
    let ended = 0
    const end = (session: Session, reason: Closing): void => {
      session.end(reason)
      ended++
    }
    if (isOther) for (const session of [...this.#sessions]) end(session, 'changed')
    if (settings.range?.address !== range?.address || settings.range?.prefix !== range?.prefix) {
      this.pool = this.#newPool()
      for (const session of this.members()) this.pool?.claim(session.address, session)
    }
    for (const session of [...this.members()]) {
      if (!this.#updateRoutes(session)) end(session, 'routes')
    }
    return ended
  }

  /** Ends all connections; returns their number. */
  close (reason: Closing): number {
    const sessions = [...this.#sessions]
    for (const session of sessions) session.end(reason)
    return sessions.length
  }

  /** Applies the rules to a member. */
  #applyRules (session: Session): void {
    const { rules } = this.settings
    session.routes = routesFor(rules, session.address)
    session.gateways = new Set(session.routes.map(({ nexthop }) => nexthop))
    session.behind = allowedSources(rules, session.address)
    session.limit()
    this.#context.forwardingPlane?.setMember(session)
  }

  /** False when a route of the member is gone, when others precede it now, or when the member is too slow to be sent the new ones. */
  #updateRoutes (session: Session): boolean {
    const before = session.routes
    this.#applyRules(session)
    const same = before.every(({ destination, nexthop }, i) => {
      const now = session.routes[i]
      return now?.nexthop === nexthop && now.destination.network === destination.network && now.destination.prefix === destination.prefix
    })
    if (!same) return false
    return this.#push(session, session.routes.slice(before.length))
  }

  /** Sends routes; false when the member is too slow. */
  #push (session: Session, routes: readonly Route[]): boolean {
    const messages = encodeRoutes(routes)
    return messages.length === 0 || session.link.port.send(messages) > 0
  }

  #newPool (): AddressPool | undefined {
    const { range } = this.settings
    return range === undefined ? undefined : new AddressPool({ range, leases: this.#leases, isReserved: (address) => this.isReserved(address) })
  }

  /** The path of the network, for the log. */
  #named (): { network?: string } {
    const { path } = this.settings
    return path === undefined ? {} : { network: path }
  }

  /** Called once a second. */
  tick (now: number): void {
    for (const session of this.#sessions) {
      session.tick(now)
      this.updateQueued(session)
    }
  }
}
