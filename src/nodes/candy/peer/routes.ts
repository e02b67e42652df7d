/** The routes of a candy peer: checks those pushed by the server, installs them on the interface, and looks up the one for a packet. */
import { lookup } from 'node:dns/promises'
import { isIP } from 'node:net'
import type { Logger } from '../../../log.ts'
import type { OccupiedNetwork, Tun, TunRoute } from '../../../tun/device.ts'
import { cidrOf, formatAddress, formatCidr, inNetwork, parseAddress, type Cidr } from '../../../net/ipv4.ts'
import { IngressFilter } from '../protocol/ingress-filter.ts'
import { FORWARD_PACKET, OUTER_LENGTH } from '../protocol/forward.ts'
import { CandyMessageError, MAX_LENGTH } from '../protocol/messages.ts'
import type { CandyPeerStats } from './stats.ts'
import type { RouteRejection, RoutePolicy } from './route-policy.ts'
import { RouteTable, TABLE_LIMIT } from '../protocol/route-table.ts'
import { decodeRoute, type Route } from '../protocol/routes.ts'
import { InstalledRoutes } from './installed-routes.ts'
import { overlapText, OccupiedNetworkCache } from './occupied-network-cache.ts'
import type { Clock } from '../../../types.ts'

/** Log lines about the routes of one connection, as their number depends on the server. */
const MAX_LOGGED_LINES = 20

/** Bytes of the longest packet that, with the outer header and all encapsulation, fits into one Ethernet packet; candy protocol, section 3. */
const MAX_ROUTED = 1430

/** An address or route of the server that is rejected, as it overlaps a network used by this machine. */
export interface PeerOverlap extends OccupiedNetwork {
  /** `address 192.168.1.9/24` or `route 192.168.1.0/25 via 10.77.0.2`. */
  readonly refused: string
}

/** The server assigns an address whose network this machine uses itself. It recurs with each attempt until one of the two changes. */
export class OverlapError extends Error {
  override readonly name = 'OverlapError'
  readonly code = 'ERR_CANDY_OVERLAP'
}

export interface PeerRoutesInit {
  tun: Tun
  policy: RoutePolicy
  stats: CandyPeerStats
  /** Default: the system clock. */
  clock?: Clock
  log: Logger
}

export class PeerRoutes {
  readonly #init: PeerRoutesInit
  #table = new RouteTable(cidrOf(0, 32))
  /** Networks that routes lead to through this peer. */
  #through: Cidr[] = []
  readonly #ingress: IngressFilter
  #server: number | undefined
  /** Routes have been accepted since the last installation. */
  #changed = false
  readonly #installedRoutes: InstalledRoutes
  /** Events that were logged in this connection. */
  readonly #logged = new Set<string>()
  #isMtuLogged = false
  readonly #occupied: OccupiedNetworkCache
  /** The peer's network on the interface, when assigned by the server; undefined when configured. */
  #given: Cidr | undefined
  #overlaps: PeerOverlap[] = []
  readonly #overlap = (network: Cidr): OccupiedNetwork | undefined => this.#occupied.overlap(network)

  constructor (init: PeerRoutesInit) {
    this.#init = init
    this.#ingress = new IngressFilter(init.tun.name, init.clock)
    this.#occupied = new OccupiedNetworkCache(init.tun, init.clock)
    this.#installedRoutes = new InstalledRoutes({ tun: init.tun, stats: init.stats, logOnce: (what, fields, message) => { this.#logOnce(what, fields, message) } })
  }

  /** Whether routes have been accepted since the last installation. */
  get changed (): boolean { return this.#changed }

  /** Number of routes of this connection. */
  get size (): number { return this.#table.size }

  /** Routes that the system has installed. */
  get installed (): readonly TunRoute[] { return this.#installedRoutes.inForce }

  /** Another program has removed these from the interface; none: all are restored. */
  lost (routes: readonly TunRoute[]): void { this.#installedRoutes.lost(routes) }

  /** The next hop of a packet to this address; 0 when no route applies. */
  nexthopOf (destination: number): number { return this.#table.nexthopOf(destination) }

  /** Whether a packet to this address may arrive behind an outer header: see {@link IngressFilter}. */
  accepts (destination: number): boolean {
    if (this.#ingress.accepts(destination, this.#table.own.address, this.#through)) return true
    this.#logOnce('arrival', { destination: formatAddress(destination), expected: this.#through.length === 0 ? 'its own address' : this.#through.map(formatCidr).slice(0, 5).join() }, 'a packet for a network that no route leads to through this peer')
    return false
  }

  /** Addresses and routes rejected for an overlap; at most as many as are logged. */
  get overlaps (): readonly PeerOverlap[] { return this.#overlaps }

  /**
   * Checks the network of an address assigned by the server.
   *
   * @throws {OverlapError} when this machine uses the network itself
   * @throws {CandyMessageError} when it is not allowed for another reason
   */
  checkNetwork (own: Cidr, server: number | undefined): void {
    this.#occupied.forget()
    const rejection = this.#init.policy.networkRejection(own, server, this.#overlap)
    if (rejection === undefined) return
    const { overlaps } = rejection
    if (overlaps === undefined) throw new CandyMessageError(notTaken(own, rejection))
    throw this.#overlapError(own, { ...rejection, overlaps })
  }

  #overlapError (own: Cidr, rejection: RouteRejection & { overlaps: OccupiedNetwork }): OverlapError {
    this.#overlaps = [{ refused: `address ${formatCidr(own)}`, ...rejection.overlaps }]
    return new OverlapError(notTaken(own, rejection))
  }

  /** The interface has this address now. @param given assigned by the server, so that it is removed when this machine uses the network itself */
  addressed (own: Cidr, given: boolean): void {
    this.#given = given ? own : undefined
  }

  /**
   * Starts a new connection with this address: the server is about to push its routes again. Those of the previous connection
   * stay on the interface until {@link install}, so that packets do not leave by another route meanwhile.
   *
   * @param server the address of the server; undefined when it is not IPv4
   */
  begin (own: Cidr, server: number | undefined): void {
    this.#table = new RouteTable(own)
    this.#through = []
    this.#server = server
    this.#changed = false
    this.#logged.clear()
    this.#overlaps = []
    this.#occupied.forget()
  }

  /** Handles a ROUTE message; counts a malformed one. */
  take (message: Uint8Array): void {
    const { stats } = this.#init
    let routes
    try {
      routes = decodeRoute(message)
    } catch (err) {
      if (!(err instanceof CandyMessageError)) throw err
      stats.drops.route++
      this.#logOnce('malformed', { reason: err.message }, 'malformed ROUTE dropped')
      return
    }
    for (const route of routes) this.#take(route)
  }

  #take (route: Route): void {
    const table = this.#table
    if (route.nexthop === table.own.address) {
      if (this.#through.length < TABLE_LIMIT) this.#through.push(route.destination)
      return
    }
    if (table.has(route.destination)) return
    const rejection = this.#init.policy.rejection(route, { own: table.own, server: this.#server, overlap: this.#overlap })
    if (rejection !== undefined) {
      this.#refused(route, rejection)
    } else if (table.size === TABLE_LIMIT) {
      this.#logOnce('limit', { limit: TABLE_LIMIT }, 'more routes than are taken')
    } else {
      table.add(route)
      this.#changed = true
      this.#checkMtu()
    }
  }

  #refused (route: Route, { overlaps, ...rejection }: RouteRejection): void {
    const name = nameOf(route)
    const isNew = this.#logOnce(name, { route: name, ...rejection }, 'route not taken')
    if (overlaps !== undefined && isNew) this.#overlaps.push({ refused: `route ${name}`, ...overlaps })
  }

  #checkMtu (): void {
    const { tun: { mtu }, log } = this.#init
    if (mtu <= MAX_ROUTED || this.#isMtuLogged) return
    this.#isMtuLogged = true
    const reason = `packets to a route are ${OUTER_LENGTH} bytes longer on their way: beyond ${MAX_ROUTED} they do not fit into one Ethernet packet, beyond ${MAX_LENGTH - FORWARD_PACKET - OUTER_LENGTH} they are dropped`
    log.warn({ mtu, atMost: MAX_ROUTED, reason }, 'the MTU is too large for routes')
  }

  /** Makes the interface match the routes of this connection; synchronously where the interface allows. Never rejects. */
  async install (): Promise<void> {
    this.#changed = false
    await this.#installedRoutes.set([...this.#table.routes])
  }

  /**
   * Removes addresses and routes that overlap networks used by this machine by now, as it has joined another network or got an
   * interface. Called before each dial, as otherwise name servers and the server could become unreachable, and when interfaces
   * change. Never rejects.
   *
   * @returns an error that has to end the connection, when its address was removed
   */
  async retreat (): Promise<OverlapError | undefined> {
    const given = this.#given
    const { policy, log } = this.#init
    this.#occupied.forget()
    try {
      const rejection = given === undefined ? undefined : policy.networkRejection(given, undefined, this.#overlap)
      const overlaps = rejection?.overlaps
      if (given !== undefined && rejection !== undefined && overlaps !== undefined) {
        const error = this.#overlapError(given, { ...rejection, overlaps })
        await this.#removeAddress(given, overlapText(overlaps))
        return error
      }
      const installed = this.#installedRoutes.wanted ?? []
      const others = installed.filter((route) => this.#isFree(route))
      this.#keep(this.#table.routes.filter((route) => this.#isFree(route)))
      if (others.length === installed.length) return undefined
      log.warn({ count: installed.length - others.length }, 'routes removed that this machine uses itself')
      await this.#installedRoutes.set(others)
    } catch (err) {
      log.warn({ reason: (err as Error).message }, 'nobody knows whether this machine uses the network itself')
    }
    return undefined
  }

  /** Whether an accepted route is still free of overlaps; logs one that is not as a rejected route. */
  #isFree (route: Route): boolean {
    const { destination } = route
    const overlaps = destination.prefix === 0 || this.#init.policy.isNamed(destination) ? undefined : this.#overlap(destination)
    if (overlaps !== undefined) this.#refused(route, { reason: `it ${overlapText(overlaps)}`, overlaps })
    return overlaps === undefined
  }

  /** Removes all routes of this connection except these. */
  #keep (routes: readonly Route[]): void {
    if (routes.length === this.#table.size) return
    this.#table = new RouteTable(this.#table.own)
    for (const route of routes) this.#table.add(route)
  }

  /**
   * Removes routes that contain the server, before a dial: its name may resolve to another address now, and a route of the previous
   * connection, or the network of the peer's address, would make it unreachable. Never rejects.
   */
  async makeWay (host: string): Promise<void> {
    const installed = this.#installedRoutes.wanted
    const given = this.#given
    if (((installed ?? []).length === 0 && given === undefined) || isIP(host) !== 0) return
    const found = await lookup(host, { all: true, family: 4 }).catch(() => [])
    if (this.#installedRoutes.wanted !== installed || this.#given !== given) return // changed during the lookup
    const addresses = found.map(({ address }) => parseAddress(address) ?? 0)
    if (given !== undefined && addresses.some((address) => inNetwork(address, given))) {
      await this.#removeAddress(given, `the server ${host} is in it`)
      return
    }
    const others = (installed ?? []).filter(({ destination }) => destination.prefix === 0 || !addresses.some((address) => inNetwork(address, destination)))
    if (installed === undefined || others.length === installed.length) return
    this.#init.log.warn({ host }, 'routes removed that lead to the server')
    await this.#installedRoutes.set(others)
  }

  /** Removes the address from the interface, and the routes with it. */
  async #removeAddress (own: Cidr, reason: string): Promise<void> {
    const { tun, log } = this.#init
    this.#given = undefined
    log.warn({ address: formatCidr(own), reason }, 'address removed from the interface')
    try {
      await tun.clearAddress()
    } catch (err) {
      log.warn({ reason: (err as Error).message }, 'address not removed')
    }
    await this.#installedRoutes.clear()
  }

  /** Removes all routes from the interface. Never rejects. */
  async clear (): Promise<void> { await this.#installedRoutes.clear() }

  /** Logs an event once in each connection; returns true when it was logged. */
  #logOnce (what: string, fields: object, message: string): boolean {
    if (this.#logged.has(what) || this.#logged.size > MAX_LOGGED_LINES) return false
    this.#logged.add(what)
    const isLast = this.#logged.size > MAX_LOGGED_LINES
    if (isLast) this.#init.log.warn({}, 'more about routes is not logged')
    else this.#init.log.warn(fields, message)
    return !isLast
  }
}

const nameOf = ({ destination, nexthop }: Route): string => `${formatCidr(destination)} via ${formatAddress(nexthop)}`

const notTaken = (own: Cidr, { reason, takenBy }: RouteRejection): string =>
  `the server gives the address ${formatCidr(own)}, which is not taken: ${reason}${takenBy === undefined ? '' : ` (taken with ${takenBy})`}`
