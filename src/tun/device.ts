/** The interface that all TUN implementations share. */
import { CodedError, OptionError } from '../errors.ts'
import type { Link } from '../types.ts'
import { type Cidr, isMulticast, LIMITED_BROADCAST, parseAddress, parseCidr } from '../net/ipv4.ts'

/** Leaves room for the headers of a tunnel in an Ethernet packet of 1500 bytes. */
export const DEFAULT_MTU = 1400

/** The minimum MTU of IPv4 (RFC 791, section 3.2). */
export const MIN_MTU = 68

/** The largest MTU of an interface, in bytes. */
export const MAX_MTU = 65_535

/** Bytes of free memory before each packet that an interface yields: for the headers of a route and of a direct datagram, 49 of them. */
export const HEADROOM = 64

/** Counters. "In" is what `source` yields, "out" what goes to `port` or `sink`. */
export interface TunCounters {
  packetsIn: number
  bytesIn: number
  /** Shorter than a header, longer than the MTU, or dropped because the queue of the interface was full. */
  droppedIn: number
  packetsOut: number
  bytesOut: number
  /** Rejected by the interface: it is down, its queue is full, or the packet is malformed or for another destination. */
  droppedOut: number
}

/**
 * What an interface leaves to this side: computing `checksum`s, and segmenting and merging large packets of `tcp` and `udp`,
 * in both directions.
 */
export type Offload = 'checksum' | 'tcp' | 'udp'

/** A network behind an interface. */
export interface TunRoute {
  /** Such as `172.16.0.0/16`, without host bits. */
  readonly destination: string
  /** The next hop behind the interface; it need not be in the network of the interface. */
  readonly gateway: string
}

/** A route that the system has rejected. */
export interface RefusedRoute {
  readonly route: TunRoute
  readonly reason: TunError
}

/** A route in numbers, and as given. */
export interface VerifiedRoute {
  readonly network: number
  readonly prefix: number
  readonly gateway: number
  readonly route: TunRoute
}

/** A network that the machine uses by another interface: a server must not route it into the tunnel. */
export interface OccupiedNetwork {
  /** Such as `192.168.1.0/24`; an address or a next hop is a /32. */
  readonly network: string
  /** The interface, or `/etc/resolv.conf` for a name server. */
  readonly owner: string
}

/** What other programs have removed from an interface; nothing when it is complete. */
export interface TunLoss {
  /** Its address, or the routes to its network and to itself. */
  readonly address: boolean
  /** It is set down. */
  readonly down: boolean
  /** Missing routes, of those of `setRoutes` that the system had accepted. */
  readonly routes: readonly TunRoute[]
}

/** Is told of changes that others make to an interface and to the machine. */
export interface TunWatcher {
  /** What is missing has changed; some of it may be restored, or nothing is missing any more. */
  onLoss (loss: TunLoss): void
  /** Everything was restored. */
  onRestored (): void
  /** Restoring, or finding out what is missing, has failed; it is tried again. */
  onFailure (err: Error): void
  /** Another interface has a new address or route, or may have: {@link Tun.occupied} may return more. */
  onOthers? (): void
}

/**
 * A network interface: a link of whole IP packets.
 *
 * `source` yields the packets of one burst of reads. Before each packet its memory has {@link HEADROOM} bytes that the receiver may
 * overwrite, so that a header costs no copy. All packets of 20 bytes and more are passed on, also IPv6 ones, which a kernel sends by
 * itself; see `isIpv4`.
 *
 * `port.send` writes at once and keeps nothing, so `port.queued` is 0. Packets that the interface rejects are counted in
 * `counters.droppedOut`, not in the result of `send`, which is 0 only on a closed interface.
 *
 * A `sink` ends with the interface, with the error of `abort` or `ERR_TUN_CLOSED`. Several may run at a time.
 *
 * `abort` closes, and makes `source` throw its error. A reader that leaves the loop over `source` early has to call `close` or `abort`.
 */
export interface Tun extends Link {
  /** The name in the system. */
  readonly name: string
  /** Maximum bytes of a packet. */
  readonly mtu: number
  readonly counters: Readonly<TunCounters>
  /** The offloads in force; packets of `source` and `port` are the same with any of them. */
  readonly offloads: readonly Offload[]
  /**
   * Sets the address, such as `10.77.0.2/24`, in place of the former one, and brings the interface up; its network is then reachable
   * through it. May be called more than once. Routes that were set stay.
   *
   * Rejects with `OptionError` for an address that an interface cannot have, with `TunError` when the system rejects it.
   */
  setAddress (cidr: string): Promise<void>
  /** Removes the address, and with it all routes into the interface. May be called more than once. */
  clearAddress (): Promise<void>
  /**
   * Routes these networks into the interface, in place of those of the call before: only the difference is added or removed. Of several
   * routes to one network the first one counts. The interface needs an address first. Calls take effect in their order; `close` removes all
   * routes.
   *
   * Resolves with the routes that the system has rejected, and the reasons. Rejects with `OptionError` for an invalid route, and with
   * `TunError` when all routes are affected: the interface is closed or gone, or permission is missing.
   */
  setRoutes (routes: readonly TunRoute[]): Promise<RefusedRoute[]>
  /**
   * The networks that the machine uses by other interfaces, read from the system now. Missing where the interface is not one of the system,
   * and so cannot redirect its traffic.
   *
   * @throws {TunError} when they cannot be read
   */
  occupied? (): OccupiedNetwork[]
  /**
   * Restores address, routes and state of the interface when other programs remove them, and calls the watcher. One watcher at a time,
   * until the returned function is called. Missing where other programs cannot do that.
   */
  watch? (watcher: TunWatcher): () => void
  /** Ends `source`, and removes what was created: a kernel interface disappears. May be called more than once. */
  close (): Promise<void>
}

/** The codes of {@link TunError}. */
export type TunErrorCode =
  | 'ERR_TUN_ADDRESS' // it has no address yet
  | 'ERR_TUN_CLOSED' // used after `close`
  | 'ERR_TUN_GONE' // another program has removed the interface
  | 'ERR_TUN_KOFFI' // the optional package `koffi` is not installed, or has no polling on the event loop, as was requested
  | 'ERR_TUN_MISSING' // the kernel offers no TUN device
  | 'ERR_TUN_NAME_TAKEN'
  | 'ERR_TUN_PERMISSION'
  | 'ERR_TUN_PLATFORM' // not Linux
  | 'ERR_TUN_SYSTEM' // another system call has failed; the text names the call and the error

/** An interface could not be created, configured or used. */
export class TunError extends CodedError<TunErrorCode> {
  override readonly name = 'TunError'
}

/** Zeroed memory for a packet, with headroom. */
export const newPacket = (length: number): Uint8Array => new Uint8Array(HEADROOM + length).subarray(HEADROOM)

export const newCounters = (): TunCounters => ({ packetsIn: 0, bytesIn: 0, droppedIn: 0, packetsOut: 0, bytesOut: 0, droppedOut: 0 })

/**
 * The MTU itself.
 *
 * @throws {OptionError} when it is not an integer of 68 to 65535
 */
export function verifyMtu (mtu: number): number {
  if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > MAX_MTU) throw new OptionError(`mtu is a whole number of ${MIN_MTU} to ${MAX_MTU}, not ${mtu}`)
  return mtu
}

/**
 * Parses the address of an interface.
 *
 * @throws {OptionError} when it is malformed, a multicast address, 0.0.0.0, 255.255.255.255, the first or last address of its network
 *   (unless a /31 or /32), or has a prefix of 0, which would route all traffic of the machine into the interface
 */
export function verifyInterfaceAddress (text: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new OptionError(`an interface address has the form 10.77.0.2/24, not ${JSON.stringify(text)}`)
  if (cidr.prefix === 0) throw new OptionError(`an interface address has a prefix of 1 to 32: ${text}`)
  if (cidr.address === 0 || cidr.address === LIMITED_BROADCAST || isMulticast(cidr.address)) throw new OptionError(`no interface can have the address ${text}`)
  if (cidr.prefix < 31 && (cidr.address === cidr.network || cidr.address === cidr.broadcast)) throw new OptionError(`the ${cidr.address === cidr.network ? 'network' : 'broadcast'} address is no host's: ${text}`)
  return cidr
}

/**
 * Parses routes; the first one to each network counts.
 *
 * @throws {OptionError} for a destination that is not a network, or a gateway that is not a host
 */
export function verifyRoutes (routes: readonly TunRoute[]): VerifiedRoute[] {
  const verified = new Map<string, VerifiedRoute>()
  for (const route of routes) {
    const cidr = parseCidr(route.destination)
    if (cidr === undefined || cidr.address !== cidr.network) throw new OptionError(`the destination of a route has the form 172.16.0.0/16, without host bits, not ${JSON.stringify(route.destination)}`)
    const gateway = parseAddress(route.gateway)
    if (gateway === undefined || gateway === 0 || gateway === LIMITED_BROADCAST || isMulticast(gateway)) throw new OptionError(`the gateway of a route is the address of a host, not ${JSON.stringify(route.gateway)}`)
    if (!verified.has(route.destination)) verified.set(route.destination, { network: cidr.network, prefix: cidr.prefix, gateway, route })
  }
  return [...verified.values()]
}
