/**
 * Which routes pushed by a server a peer accepts. ROUTE has no hash, so over `ws://` it can be forged on the path, and
 * packets to its networks leave through the tunnel. So only private networks are accepted by default, networks that this machine
 * uses itself only when the user names them, and some never.
 */
import { OptionError } from '../../../errors.ts'
import { cidrOf, formatAddress, formatCidr, inNetwork, isMulticast, LIMITED_BROADCAST, parseCidr, type Cidr } from '../../../net/ipv4.ts'
import type { OccupiedNetwork } from '../../../tun/device.ts'
import type { Route } from '../protocol/routes.ts'
import { overlapText } from './occupied-network-cache.ts'

/** Characters of an invalid word that are repeated in the error. */
const MAX_SHOWN = 60

/**
 * RFC 1918, and RFC 6598 (carrier-grade NAT). Not 169.254.0.0/16: it is not forwarded (RFC 3927 section 7), and cloud
 * machines get credentials from 169.254.169.254.
 */
const PRIVATE = networks('10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10')

/** "This network", loopback, multicast and the limited broadcast: they never lead to another machine. */
const NEVER = networks('0.0.0.0/8,127.0.0.0/8,224.0.0.0/4,255.255.255.255/32')

/** The shortest prefix of the network of an assigned address: that of a relay's largest range. */
const MIN_NETWORK_PREFIX = 8

/** What a route is checked against. */
export interface RouteContext {
  /** The own address, and the virtual network. */
  own: Cidr
  /** The address of the server; undefined when it is not IPv4. */
  server: number | undefined
  /** Finds a network used by this machine that overlaps. Default: none. */
  overlap?: (network: Cidr) => OccupiedNetwork | undefined
}

/** Why a route is rejected, as text. */
export interface RouteRejection {
  reason: string
  /** The option value that would accept it; undefined when none does. */
  takenBy?: string
  /** The network of this machine that it overlaps, when that is the reason. */
  overlaps?: OccupiedNetwork
}

const refused = (detail: string): OptionError => new OptionError(`routes: ${detail}`, { option: 'routes', detail })

/** Parses networks without host bits, joined by commas. @throws {OptionError} for anything else */
function networks (text: string): Cidr[] {
  return text.split(',').map((item) => {
    const cidr = parseCidr(item)
    if (cidr === undefined) throw refused(`no network (${JSON.stringify(item.slice(0, MAX_SHOWN))})`)
    if (cidr.address !== cidr.network) throw refused(`host bits in ${item}`)
    return cidr
  })
}

const contains = (outer: Cidr, inner: Cidr): boolean => outer.prefix <= inner.prefix && inNetwork(inner.network, outer)

/** The networks to which a peer accepts routes. */
export class RoutePolicy {
  /** The option as given. */
  readonly text: string
  readonly #isAll: boolean
  /** Networks named by the user: routes there are accepted even if this machine uses them. */
  readonly #named: readonly Cidr[]
  /** Networks that contain all accepted routes. */
  readonly #allowed: readonly Cidr[]

  /**
   * @param text `private`, `all`, `none`, or networks joined by commas, one of which may be `private`, or the first `all`
   * @throws {OptionError} of the option `routes`, with `detail`, for anything else
   */
  constructor (text: string) {
    this.text = text
    const [first, ...rest] = text.split(',')
    this.#isAll = first === 'all'
    const items = text === 'none' ? [] : this.#isAll ? rest : [first, ...rest]
    this.#named = items.flatMap((item) => item === 'private' && !this.#isAll ? [] : networks(item))
    this.#allowed = [...this.#named, ...(this.#isAll ? [cidrOf(0, 0)] : items.includes('private') ? PRIVATE : [])]
    if (this.#named.some(({ prefix }) => prefix === 0)) throw refused('all networks (0.0.0.0/0) is written all')
  }

  /** Undefined when the route is accepted. @internal */
  rejection ({ destination, nexthop }: Route, { own, server, overlap }: RouteContext): RouteRejection | undefined {
    if (!isHost(nexthop, own)) return { reason: `its next hop ${formatAddress(nexthop)} is no host` }
    if (destination.prefix === 0) {
      // It contains the server, but cuts nothing off: the machine's own default route has a smaller metric.
      return this.#isAll ? undefined : { reason: 'it is a default route', takenBy: 'routes: all' }
    }
    const never = NEVER.find((network) => contains(network, destination) || contains(destination, network))
    if (never !== undefined) return { reason: `${formatCidr(never)} is never routed` }
    if (server !== undefined && inNetwork(server, destination)) return { reason: `the server is in it, ${formatAddress(server)}: the connection would be cut` }
    if (contains(own, destination)) return { reason: `it is in our own network ${formatCidr({ address: own.network, prefix: own.prefix })}` }
    const takenBy = this.#optionWith(destination)
    if (this.text === 'none') return { reason: 'no routes are taken', takenBy }
    if (!this.#allowed.some((network) => contains(network, destination))) {
      return { reason: this.text === 'private' ? 'it is no private network' : 'it is in none of the networks that are allowed', takenBy }
    }
    const overlaps = this.#overlapOf(destination, overlap)
    return overlaps && { reason: `it ${overlapText(overlaps)}`, takenBy, overlaps }
  }

  /** Undefined for a network that the user has named, whatever it overlaps. */
  #overlapOf (network: Cidr, overlap: RouteContext['overlap']): OccupiedNetwork | undefined {
    return this.isNamed(network) ? undefined : overlap?.(network)
  }

  /** Whether the user has named this network, or one that contains it. */
  isNamed (network: Cidr): boolean { return this.#named.some((named) => contains(named, network)) }

  /** The option value that would accept a network as well. */
  #optionWith ({ network, prefix }: Cidr): string {
    return `routes: ${this.text === 'none' ? '' : `${this.text},`}${formatCidr({ address: network, prefix })}`
  }

  /**
   * Undefined when the network of an assigned address is accepted. An offer is unauthenticated like a route, and packets to its
   * network leave through the tunnel too, in preference to the machine's other routes.
   *
   * @param own the assigned address, with its network
   * @internal
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

/** Whether this is the address of one member. A server forwards others to all members, or drops them. */
function isHost (address: number, { prefix, network, broadcast }: Cidr): boolean {
  const first = address >>> 24
  if (first === 0 || first === 127 || isMulticast(address) || address === LIMITED_BROADCAST) return false
  return prefix > 30 || (address !== network && address !== broadcast)
}
