/**
 * Routes by delay between members that have direct paths: a distance vector whose metric is the measured round trip; candy protocol,
 * section 2.6. No I/O: the owner measures, receives and sends, and calls `poll` about once a second.
 *
 * Only the route in use is kept for each destination. A network without change is silent except for refreshes, which begin at the
 * neighbours of a destination each time that they measure it (60 s), and are passed on by those that use the route. So what is not
 * refreshed any more ends everywhere at about the same time, also where a withdrawal was lost.
 *
 * A neighbour that lies attracts at most the packets that it claims a path for, in the bounds below, and never those of a destination
 * with a direct path that is about as short as the path to the liar.
 */
import { TokenBucket } from '../../../../limits/token-bucket.ts'
import { inNetwork, isMulticast, LIMITED_BROADCAST, type Cidr } from '../../../../net/ipv4.ts'
import { WITHDRAWN } from '../../protocol/datagrams.ts'
import { isPath, MAX_RTT, type Advertisement, type DelayRoute, type DelayRouteRejection, type Neighbour, type Route } from './delay-route.ts'

/** Maximum number of destinations learned from neighbours, and of those learned from one. */
export const MAX_LEARNED = 1024
export const MAX_LEARNED_OF_ONE = 256
/** With less room than this the neighbour with most destinations loses one with each poll, down to `SMALL_SHARE`. */
const RESERVE = 64
const SMALL_SHARE = 16

/** Milliseconds without a refresh after which a route or a measurement ends: three refreshes of 60 s. */
const LIFETIME = 190_000
/** Milliseconds from an advertisement to the next one of the same value. */
const REFRESH = 30_000
/** Milliseconds after a withdrawal in which no neighbour is believed to have another path: it may not know of the withdrawal yet. */
const HOLD_DOWN = 5000
/** Milliseconds after its first measurement in which a neighbour measures us; until then candy ignores what we advertise. */
const TELL_DELAY = 1000
/** Milliseconds between two polls that do something: less than a second, as timers are not exact. */
const POLL_INTERVAL = 900
/** Destinations that one poll advertises to a neighbour; in addition, as many of the whole table to a new one. */
const MAX_PER_POLL = 128
/** Advertisements a second that are accepted of one neighbour: more than it sends if it is like this one, as those may be withdrawals. */
const RECEIVE = { rate: 320, burst: 512 }

export interface DelayRoutesInit {
  /** The own address. Addresses are unsigned 32-bit numbers. */
  own: number
  /** Milliseconds added to each advertised rtt, 1 to 1000. 0: no routes at all. */
  cost: number
  /** The virtual network: other destinations are rejected. Default: any. */
  network?: Cidr
  /** Sends ROUTE to a neighbour, with the own address as next hop. Called only by `poll`. */
  send (to: number, advertisement: Advertisement): void
}

/** Milliseconds by which a route must be shorter to replace one of this rtt: routes do not alternate, and a small lie has no effect. */
const marginOf = (rtt: number): number => Math.max(10, rtt / 8)

/**
 * ```ts
 * const routes = new DelayRoutes({ own, cost: 5, network, send: (to, route) => sendRoute(to, { ...route, next: own }) })
 * routes.connected(neighbour)
 * routes.measured(neighbour, rtt, now) // an echo of DELAY
 * const rejected = routes.received(neighbour, { destination, next, rtt }, now) // ROUTE
 * routes.lost(neighbour, now) // not CONNECTED any more
 * const nextHop = routes.nextHop(destinationOf(packet)) || destinationOf(packet)
 * ```
 */
export class DelayRoutes {
  readonly #init: DelayRoutesInit
  /** Those with a measured path; the owner bounds the number of neighbours. */
  readonly #neighbours = new Map<number, Neighbour>()
  /** Those that have answered no DELAY, as candy without a cost. */
  readonly #unmeasured = new Set<number>()
  /** By destination, with withdrawn ones for as long as they are held down. */
  readonly #routes = new Map<number, Route>()
  /** Routes to advertise. */
  readonly #pending = new Set<Route>()
  #learned = 0
  #nextPoll = -Infinity

  constructor (init: DelayRoutesInit) {
    this.#init = init
  }

  /** Neighbour for packets to a destination: the destination itself where the direct path is the best one; 0 when there is no route. */
  nextHop (destination: number): number {
    return this.#unmeasured.has(destination) ? destination : this.#routes.get(destination)?.nextHop ?? 0
  }

  /** All routes. */
  entries (): DelayRoute[] {
    return [...this.#routes.values()].filter(({ nextHop }) => nextHop !== 0).map(({ destination, nextHop, rtt }) => ({ destination, nextHop, rtt }))
  }

  /** A neighbour is CONNECTED. Until its path is measured no route replaces it, and nothing is advertised to it. */
  connected (address: number): void {
    if (this.#init.cost !== 0 && !this.#neighbours.has(address)) this.#unmeasured.add(address)
  }

  /** The round trip to a CONNECTED neighbour was measured, in milliseconds. Less than 0 or more than 1000 is none. */
  measured (address: number, rtt: number, now: number): void {
    if (this.#init.cost === 0) return
    const rounded = Math.round(rtt)
    if (!isPath(rounded)) {
      this.lost(address, now)
      return
    }
    this.#unmeasured.delete(address)
    const known = this.#neighbours.get(address)
    const neighbour = known ?? this.#addNeighbour(address, rounded, now)
    const isChanged = neighbour.rtt !== rounded
    neighbour.rtt = rounded
    neighbour.measuredAt = now
    const route = this.#routes.get(address)
    if (route === undefined) this.#add(address, neighbour, 0, now)
    else if (route.nextHop === 0 || route.nextHop === address || rounded - (known === undefined ? marginOf(rounded) : 0) <= route.rtt) this.#use(route, neighbour, 0, now, true)
    if (!isChanged) return
    for (const learned of this.#routes.values()) {
      if (learned.nextHop === address && learned.destination !== address) this.#use(learned, neighbour, learned.advertised, now, false)
    }
  }

  /** A neighbour is not CONNECTED any more: all routes through it end. */
  lost (address: number, now: number): void {
    this.#unmeasured.delete(address)
    if (!this.#neighbours.delete(address)) return
    for (const route of this.#routes.values()) {
      if (route.nextHop === address) this.#leave(route, now)
    }
  }

  /**
   * Takes ROUTE of a neighbour.
   *
   * @param from the neighbour whose path the datagram came by
   * @returns why it was rejected; undefined when it was not
   */
  received (from: number, { destination, next, rtt }: Advertisement & { next: number }, now: number): DelayRouteRejection | undefined {
    if (this.#init.cost === 0) return 'off'
    if (next !== from) return 'next hop'
    const via = this.#neighbours.get(from)
    if (via === undefined) return 'neighbour'
    via.received.refill(now)
    if (!via.received.take(1)) return 'rate'
    if (destination === from || !this.#isHost(destination)) return 'destination' // candy takes `destination = next` for a measurement of this node
    const route = this.#routes.get(destination)
    const total = isPath(rtt) ? via.rtt + rtt : WITHDRAWN
    if (route?.nextHop === from) {
      route.heardAt = now
      if (isPath(total)) this.#use(route, via, rtt, now, true)
      else this.#leave(route, now)
      return undefined
    }
    if (!isPath(total)) return undefined
    if (route?.nextHop === 0 && now < route.heldUntil) return 'held down'
    if (route !== undefined && route.nextHop !== 0 && total > route.rtt - marginOf(route.rtt)) return undefined
    // At most as much as is free, so that little room is for those that have little.
    if (via.learned >= Math.min(MAX_LEARNED_OF_ONE, MAX_LEARNED - this.#learned)) return 'full'
    if (route === undefined) {
      this.#add(destination, via, rtt, now)
    } else {
      route.heardAt = now
      this.#use(route, via, rtt, now, true)
    }
    return undefined
  }

  /** Sends what has changed, and ends what has expired. To be called about once a second. */
  poll (now: number): void {
    if (now < this.#nextPoll) return
    this.#nextPoll = now + POLL_INTERVAL
    for (const { address, measuredAt } of this.#neighbours.values()) {
      if (now - measuredAt <= LIFETIME) continue
      this.lost(address, now)
      this.#unmeasured.add(address)
    }
    for (const route of this.#routes.values()) {
      if (route.nextHop === 0) this.#endHoldDown(route, now)
      else if (route.nextHop !== route.destination && now - route.heardAt > LIFETIME) this.#leave(route, now)
    }
    if (MAX_LEARNED - this.#learned < RESERVE) this.#makeRoom(now)
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.untold !== undefined && now >= neighbour.tellAt) this.#tell(neighbour, neighbour.untold)
    }
    this.#advertiseChanges(now)
  }

  #isHost (address: number): boolean {
    const { own, network } = this.#init
    if (address === 0 || address === own || isMulticast(address) || address === LIMITED_BROADCAST) return false
    if (network === undefined) return true
    return inNetwork(address, network) && (network.prefix > 30 || (address !== network.network && address !== network.broadcast))
  }

  #addNeighbour (address: number, rtt: number, now: number): Neighbour {
    const neighbour: Neighbour = {
      address,
      rtt,
      measuredAt: now,
      learned: 0,
      received: new TokenBucket(RECEIVE, now),
      untold: this.#routes.values(),
      tellAt: now + TELL_DELAY
    }
    this.#neighbours.set(address, neighbour)
    return neighbour
  }

  #add (destination: number, via: Neighbour, advertised: number, now: number): void {
    const route: Route = { destination, via, nextHop: 0, advertised, rtt: 0, heardAt: now, sentAt: now, heldUntil: 0, isRepeated: false }
    this.#routes.set(destination, route)
    this.#count(route, 1)
    this.#use(route, via, advertised, now, true)
  }

  /** Counts a route, or a withdrawn one, for the neighbour that it was learned from. */
  #count ({ destination, via }: Route, change: 1 | -1): void {
    if (via.address === destination) return
    via.learned += change
    this.#learned += change
  }

  /** Leads a route through a neighbour, or takes the direct path where that is no longer. @param isRefresh the neighbour told so now */
  #use (route: Route, via: Neighbour, advertised: number, now: number, isRefresh: boolean): void {
    const direct = this.#neighbours.get(route.destination)
    const rtt = via.rtt + advertised
    if (direct !== undefined && direct !== via && direct.rtt <= rtt) {
      this.#use(route, direct, 0, now, isRefresh)
      return
    }
    if (!isPath(rtt)) {
      this.#withdraw(route, now)
      return
    }
    const isChanged = route.nextHop !== via.address || route.rtt !== rtt
    this.#count(route, -1)
    Object.assign(route, { via, advertised, rtt, nextHop: via.address })
    this.#count(route, 1)
    if (isChanged || (isRefresh && now - route.sentAt >= REFRESH)) this.#pending.add(route)
  }

  /** The path of a route has ended: falls back to the direct one. */
  #leave (route: Route, now: number): void {
    const direct = this.#neighbours.get(route.destination)
    if (direct === undefined) this.#withdraw(route, now)
    else this.#use(route, direct, 0, now, false)
  }

  #withdraw (route: Route, now: number): void {
    Object.assign(route, { nextHop: 0, heldUntil: now + HOLD_DOWN, isRepeated: false })
    this.#pending.add(route)
  }

  /** Repeats the withdrawal at the end of the hold-down, as the first may have been lost, and then forgets the route. */
  #endHoldDown (route: Route, now: number): void {
    if (now < route.heldUntil || this.#pending.has(route)) return
    if (!route.isRepeated) {
      route.isRepeated = true
      this.#pending.add(route)
      return
    }
    this.#routes.delete(route.destination)
    this.#count(route, -1)
  }

  #makeRoom (now: number): void {
    let largest: Neighbour | undefined
    for (const neighbour of this.#neighbours.values()) {
      if (neighbour.learned > (largest?.learned ?? SMALL_SHARE)) largest = neighbour
    }
    for (const route of this.#routes.values()) {
      if (route.via !== largest || route.nextHop === 0 || route.nextHop === route.destination) continue
      this.#leave(route, now)
      return
    }
  }

  #advertiseChanges (now: number): void {
    let left = MAX_PER_POLL
    for (const route of this.#pending) {
      if (left-- === 0) return
      this.#pending.delete(route)
      route.sentAt = now
      for (const neighbour of this.#neighbours.values()) {
        if (now >= neighbour.tellAt) this.#advertise(neighbour, route)
      }
    }
  }

  #tell (neighbour: Neighbour, untold: Iterator<Route>): void {
    for (let i = 0; i < MAX_PER_POLL; i++) {
      const { done, value } = untold.next()
      if (done === true) {
        neighbour.untold = undefined
        return
      }
      if (value.nextHop !== 0 && !this.#pending.has(value)) this.#advertise(neighbour, value)
    }
  }

  /** Split horizon with poisoned reverse: to the next hop itself the route is withdrawn, each time, as one may be lost. */
  #advertise ({ address }: Neighbour, { destination, nextHop, rtt }: Route): void {
    if (address === destination) return
    const advertised = rtt + this.#init.cost
    const isUsable = nextHop !== 0 && nextHop !== address && advertised <= MAX_RTT
    this.#init.send(address, { destination, rtt: isUsable ? advertised : WITHDRAWN })
  }
}
