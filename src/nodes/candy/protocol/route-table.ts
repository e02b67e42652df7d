/** Looks up the member that leads to a network behind it, once for each packet; candy protocol, sections 1.9 and 1.10. */
import { formatCidr, inNetwork, isMulticast, LIMITED_BROADCAST, type Cidr } from '../../../net/ipv4.ts'
import type { Route } from './routes.ts'

/** Maximum number of routes in one table. */
export const TABLE_LIMIT = 1024

/**
 * ```ts
 * const table = new RouteTable(cidrOf(own, 24))
 * for (const route of decodeRoute(message)) table.add(route)
 * const nexthop = table.nexthopOf(destinationOf(packet))
 * ```
 */
export class RouteTable {
  /** The own address, and the virtual network: packets to a member go to that member, whatever a route says. */
  readonly own: Cidr
  readonly #routes: Route[] = []
  readonly #reached = new Set<string>()
  // The same as `#routes`, in typed arrays for the packet path.
  readonly #networks = new Int32Array(TABLE_LIMIT)
  readonly #masks = new Int32Array(TABLE_LIMIT)
  // Cache for flows: the result for the last destination. Initially 0.0.0.0, which is not a destination.
  #lastDestination = 0
  #lastNexthop = 0

  constructor (own: Cidr) {
    this.own = own
  }

  /** In order of arrival. */
  get routes (): readonly Route[] { return this.#routes }

  get size (): number { return this.#routes.length }

  /** Whether there is a route to exactly this network. */
  has (destination: Cidr): boolean { return this.#reached.has(formatCidr(destination)) }

  /** Appends a route. The first match applies, not the longest prefix. @throws {RangeError} when the table is full */
  add (route: Route): void {
    if (this.size === TABLE_LIMIT) throw new RangeError(`more than ${TABLE_LIMIT} routes`)
    const { destination } = route
    this.#networks[this.size] = destination.network
    this.#masks[this.size] = destination.mask
    this.#routes.push(route)
    this.#reached.add(formatCidr(destination))
    this.#lastDestination = this.#lastNexthop = 0
  }

  /** The next hop of a packet to this address; 0 when no route applies. */
  nexthopOf (destination: number): number {
    if (destination !== this.#lastDestination) {
      this.#lastDestination = destination
      this.#lastNexthop = this.#find(destination)
    }
    return this.#lastNexthop
  }

  #find (destination: number): number {
    if (destination === 0 || destination === LIMITED_BROADCAST || isMulticast(destination) || inNetwork(destination, this.own)) return 0
    for (let i = 0; i < this.size; i++) {
      if ((destination & this.#masks[i]) === this.#networks[i]) return this.#routes[i].nexthop
    }
    return 0
  }
}
