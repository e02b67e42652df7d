/**
 * Which of the routes that a server pushes a peer takes. A ROUTE has no hash, so over `ws://` everybody on the way can write
 * one, and whatever it names leaves by the tunnel. So only private networks are taken unless the user says more, what this machine
 * uses itself only when the user names it, and some are never taken.
 */
import { OptionError } from '../../../errors.ts'
import { cidrOf, formatAddress, formatCidr, inNetwork, isMulticast, LIMITED_BROADCAST, parseCidr, type Cidr } from '../../../net/ipv4.ts'
import type { OccupiedNetwork } from '../../../tun/device.ts'
import type { Route } from '../protocol/routes.ts'
import { overlapText } from './occupied-network-cache.ts'

/** Characters of a wrong word that are repeated. */
const MAX_SHOWN = 60

/**
 * RFC 1918, and RFC 6598 for what providers use. Not 169.254.0.0/16: no router forwards that (RFC 3927 section 7), and a
 * machine in a cloud asks 169.254.169.254 for its credentials.
 */
const PRIVATE = networks('10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10')

/** "This network", loopback, multicast and the limited broadcast: they never lead to another machine. */
const NEVER = networks('0.0.0.0/8,127.0.0.0/8,224.0.0.0/4,255.255.255.255/32')

/** The shortest prefix of a network that a server may put us in: that of a relay's largest range. */
const MIN_NETWORK_PREFIX = 8

/** What a route is looked at against. */
export interface RouteContext {
  /** Our own address, and the virtual network. */
  own: Cidr
  /** The address by which the server is reached; undefined when that is no IPv4. */
  server: number | undefined
  /** What this machine uses itself of a network. Default: nothing. */
  overlap?: (network: Cidr) => OccupiedNetwork | undefined
}

/** Why a route is not taken, in words. */
export interface RouteRejection {
  reason: string
  /** The option that would take it; undefined when none does. */
  takenBy?: string
  /** What of this machine is in the way, when that is why. */
  overlaps?: OccupiedNetwork
}

/** Throws `OptionError` for anything but networks without host bits, joined by commas. */
function networks (text: string): Cidr[] {
  return text.split(',').map((item) => {
    const cidr = parseCidr(item)
    if (cidr === undefined) throw new OptionError(`routes: no network (${JSON.stringify(item.slice(0, MAX_SHOWN))})`)
    if (cidr.address !== cidr.network) throw new OptionError(`routes: host bits in ${item}`)
    return cidr
  })
}

const contains = (outer: Cidr, inner: Cidr): boolean => outer.prefix <= inner.prefix && inNetwork(inner.network, outer)

export class RoutePolicy {
  /** As given. */
  readonly #text: string
  readonly #isAll: boolean
  /** Networks that the user has named one by one: a route may lead there whatever else is in the way on this machine. */
  readonly #named: readonly Cidr[]
  /** Networks that a route may lead to, or be in. */
  readonly #allowed: readonly Cidr[]

  /**
   * @param text `private`, `all`, `none`, or networks joined by commas, of which one may be `private` and the first may be `all`
   * @throws {OptionError} for anything else
   */
  constructor (text: string) {
    this.#text = text
    const [first, ...rest] = text.split(',')
    this.#isAll = first === 'all'
    const items = text === 'none' ? [] : this.#isAll ? rest : [first, ...rest]
    this.#named = items.flatMap((item) => item === 'private' && !this.#isAll ? [] : networks(item))
    this.#allowed = [...this.#named, ...(this.#isAll ? [cidrOf(0, 0)] : items.includes('private') ? PRIVATE : [])]
    if (this.#named.some(({ prefix }) => prefix === 0)) throw new OptionError('routes: all networks (0.0.0.0/0) is written all')
  }

  /** Undefined for a route that is taken. */
  rejection ({ destination, nexthop }: Route, { own, server, overlap }: RouteContext): RouteRejection | undefined {
    if (!isHost(nexthop, own)) return { reason: `its next hop ${formatAddress(nexthop)} is no host` }
    if (destination.prefix === 0) {
      // It contains the server too, and cuts nothing all the same: the default route of the machine itself has a smaller metric.
      return this.#isAll ? undefined : { reason: 'it is a default route', takenBy: 'routes: all' }
    }
    const never = NEVER.find((network) => contains(network, destination) || contains(destination, network))
    if (never !== undefined) return { reason: `${formatCidr(never)} is never routed` }
    if (server !== undefined && inNetwork(server, destination)) return { reason: `the server is in it, ${formatAddress(server)}: the connection would be cut` }
    if (contains(own, destination)) return { reason: `it is in our own network ${formatCidr({ address: own.network, prefix: own.prefix })}` }
    const takenBy = this.#optionWith(destination)
    if (this.#text === 'none') return { reason: 'no routes are taken', takenBy }
    if (!this.#allowed.some((network) => contains(network, destination))) {
      return { reason: this.#text === 'private' ? 'it is no private network' : 'it is in none of the networks that are allowed', takenBy }
    }
    const overlaps = this.#overlapOf(destination, overlap)
    return overlaps && { reason: `it ${overlapText(overlaps)}`, takenBy, overlaps }
  }

  /** Undefined for a network that the user has named, whatever is there. */
  #overlapOf (network: Cidr, overlap: RouteContext['overlap']): OccupiedNetwork | undefined {
    return this.isNamed(network) ? undefined : overlap?.(network)
  }

  /** Whether the user has named this network, or one that it is in. */
  isNamed (network: Cidr): boolean { return this.#named.some((named) => contains(named, network)) }

  /** The option that would take a network as well. */
  #optionWith ({ network, prefix }: Cidr): string {
    return `routes: ${this.#text === 'none' ? '' : `${this.#text},`}${formatCidr({ address: network, prefix })}`
  }

  /**
   * Undefined for a network that the server may put us in. The answer with our address is as unsigned as a route, and what is for
   * that network leaves by the tunnel as well, before all routes of the machine itself.
   *
   * @param own the address that was given, and its network
   */
  networkRejection (own: Cidr, server: number | undefined, overlap?: RouteContext['overlap']): RouteRejection | undefined {
    if (own.prefix < MIN_NETWORK_PREFIX) return { reason: `its network is larger than a /${MIN_NETWORK_PREFIX}` }
    const never = NEVER.find((network) => contains(network, own) || contains(own, network))
    if (never !== undefined) return { reason: `it is in ${formatCidr(never)}` }
    const takenBy = this.#optionWith(own)
    const overlaps = this.#overlapOf(own, overlap)
    if (overlaps !== undefined) return { reason: `its network ${overlapText(overlaps)}`, takenBy, overlaps }
    if (server !== undefined && inNetwork(server, own)) return { reason: `the server is in its network, ${formatAddress(server)}: the connection would be cut` }
    if ([...PRIVATE, ...this.#allowed].some((network) => contains(network, own))) return undefined
    return { reason: 'it is in no private network', takenBy }
  }
}

/** What goes to one member. To any other address the server would send it to all, or to nobody. */
function isHost (address: number, { prefix, network, broadcast }: Cidr): boolean {
  const first = address >>> 24
  if (first === 0 || first === 127 || isMulticast(address) || address === LIMITED_BROADCAST) return false
  return prefix > 30 || (address !== network && address !== broadcast)
}
