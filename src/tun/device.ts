/** What a network interface is to the rest of the library, whatever is behind it. */
import { CodedError, OptionError } from '../errors.ts'
import type { Link } from '../types.ts'
import { type Cidr, isMulticast, LIMITED_BROADCAST, parseAddress, parseCidr } from '../net/ipv4.ts'

/** Room for the headers of a tunnel inside an Ethernet packet of 1500 bytes. */
export const DEFAULT_MTU = 1400

/** The least that every IPv4 link carries in one piece, RFC 791 section 3.2. */
export const MIN_MTU = 68

export const MAX_MTU = 65_535

/** Bytes of free memory in front of each packet that an interface yields. */
export const HEADROOM = 32

/** Plain numbers that only grow. "In" is what comes out of `source`, "out" what goes in through `port` or `sink`. */
export interface TunCounters {
  packetsIn: number
  bytesIn: number
  /** Shorter than a header, longer than the MTU, or (for an interface with a queue) come while the queue was full. */
  droppedIn: number
  packetsOut: number
  bytesOut: number
  /** Refused by the interface: it is down or its queue is full, the packet is no packet, or it is not for it. */
  droppedOut: number
}

/**
 * What an interface leaves to this end: to make `checksum`s, and to cut and join large packets of `tcp` (in and out) and `udp` (only
 * what comes out of `source`).
 */
export type Offload = 'checksum' | 'tcp' | 'udp'

/** A network that lies behind an interface. */
export interface TunRoute {
  /** Such as `172.16.0.0/16`, without host bits. */
  readonly destination: string
  /** The address behind the interface that leads there; it need not be in the network of the interface. */
  readonly gateway: string
}

/** A route that the system did not take. */
export interface RefusedRoute {
  readonly route: TunRoute
  readonly reason: TunError
}

/** A route as numbers, and as it was given. */
export interface VerifiedRoute {
  readonly network: number
  readonly prefix: number
  readonly gateway: number
  readonly route: TunRoute
}

/** What the machine uses itself, by another interface than this one: no stranger may lead it elsewhere. */
export interface OccupiedNetwork {
  /** Such as `192.168.1.0/24`; an address or a next hop is a /32. */
  readonly network: string
  /** The interface, or `/etc/resolv.conf` for a name server. */
  readonly owner: string
}

/** What somebody else has taken from an interface, or its state now: nothing lost when all of it is there. */
export interface TunLoss {
  /** Its address, or what leads to its network and to itself. */
  readonly address: boolean
  /** It was set down. */
  readonly down: boolean
  /** Routes of `setRoutes` that the system had taken. */
  readonly routes: readonly TunRoute[]
}

export interface TunWatcher {
  /** What is lost now has changed: something of it is put back by and by; or nothing is lost any more. */
  onLoss (loss: TunLoss): void
  /** It was put back. */
  onRestored (): void
  /** It could not be put back, or nobody can tell what is lost; this goes on trying. */
  onFailure (err: Error): void
  /** Another interface has got an address or a route, or may have: what {@link Tun.occupied} tells has perhaps grown. */
  onOthers? (): void
}

/**
 * A network interface: a link whose elements are whole IP packets, one an element.
 *
 * `source` yields what one burst of reads brought. In front of each packet its memory has {@link HEADROOM} bytes that the
 * receiver may overwrite, so that a header costs no copy. Packets of 20 bytes and more are passed as they come, so also IPv6
 * ones, which a kernel sends by itself; see `isIpv4`.
 *
 * `port.send` writes at once, waits never and keeps nothing, so `port.queued` stays 0. Packets that the interface refuses
 * are counted in `counters.droppedOut` and not in what `send` returns; it returns 0 only on a closed interface.
 *
 * A `sink` ends when the interface does, with the error of `abort` or `ERR_TUN_CLOSED`. Several may run at a time.
 *
 * `abort` closes, and makes `source` throw its error. Whoever leaves the loop over `source` early calls `close` or `abort`.
 */
export interface Tun extends Link {
  /** As the system knows it. */
  readonly name: string
  /** The longest packet, in bytes. */
  readonly mtu: number
  readonly counters: Readonly<TunCounters>
  /** Those in force; packets in `source` and `port` are the same with any of them. */
  readonly offloads: readonly Offload[]
  /**
   * Gives the interface an address such as `10.77.0.2/24`, in place of the former one, and brings it up; the rest of that
   * network becomes reachable through it. Harmless when repeated. Routes that were set stay.
   *
   * Rejects with `OptionError` for anything that an interface cannot have, with `TunError` when the system refuses.
   */
  setAddress (cidr: string): Promise<void>
  /** Takes the address away again, and with it all that leads into the interface. Harmless when repeated, or when there is none. */
  clearAddress (): Promise<void>
  /**
   * Lets the system send what is for these networks into the interface, and nothing else that was set by this before: only the
   * difference is added or removed, and what stays is not touched. Of several routes to one network the first one counts.
   * The interface needs an address first. Calls take effect in their order; `close` takes all routes along.
   *
   * Resolves with those that the system refused, and why. Rejects with `OptionError` for a route that cannot be, and with
   * `TunError` when that is no matter of one route: the interface is closed or gone, or there is no permission.
   */
  setRoutes (routes: readonly TunRoute[]): Promise<RefusedRoute[]>
  /**
   * What the machine uses itself, read from the system now. Not there where the interface is none of the system: nothing can be
   * led elsewhere by it. Throws `TunError` when the system does not tell.
   */
  occupied? (): OccupiedNetwork[]
  /**
   * Has address, routes and state of the interface put back when somebody else takes them away; each of the functions is told.
   * One at a time, until the function that it returns is called. Not there where nobody else can do that.
   */
  watch? (watcher: TunWatcher): () => void
  /** Ends `source` and gives back everything that was made: a kernel interface disappears. Harmless when repeated. */
  close (): Promise<void>
}

export type TunErrorCode =
  | 'ERR_TUN_ADDRESS' // it has no address yet
  | 'ERR_TUN_CLOSED' // used after `close`
  | 'ERR_TUN_GONE' // someone else removed the interface
  | 'ERR_TUN_KOFFI' // the optional package `koffi` is not installed, or cannot wait on the event loop as was asked
  | 'ERR_TUN_MISSING' // the kernel offers no TUN device
  | 'ERR_TUN_NAME_TAKEN'
  | 'ERR_TUN_PERMISSION'
  | 'ERR_TUN_PLATFORM' // not Linux
  | 'ERR_TUN_SYSTEM' // anything else that a system call refused; the text names the call and the error

/** An interface could not be made, set up or used. */
export class TunError extends CodedError<TunErrorCode> {
  override readonly name = 'TunError'
}

/** Zeroed memory for a packet, with its headroom. */
export const newPacket = (length: number): Uint8Array => new Uint8Array(HEADROOM + length).subarray(HEADROOM)

export const newCounters = (): TunCounters => ({ packetsIn: 0, bytesIn: 0, droppedIn: 0, packetsOut: 0, bytesOut: 0, droppedOut: 0 })

/** The given MTU; throws `OptionError` when it is not a whole number of 68 to 65535. */
export function verifyMtu (mtu: number): number {
  if (!Number.isInteger(mtu) || mtu < MIN_MTU || mtu > MAX_MTU) throw new OptionError(`mtu is a whole number of ${MIN_MTU} to ${MAX_MTU}, not ${mtu}`)
  return mtu
}

/**
 * Reads the address that an interface is to have. Throws `OptionError` when it is none: not of the form, a multicast
 * address, 0.0.0.0, 255.255.255.255, the first or last address of its network (a /31 or /32 has only plain ones), or a
 * prefix of 0, which would draw all traffic of the machine into the interface.
 */
export function verifyInterfaceAddress (text: string): Cidr {
  const cidr = parseCidr(text)
  if (cidr === undefined) throw new OptionError(`an interface address has the form 10.77.0.2/24, not ${JSON.stringify(text)}`)
  if (cidr.prefix === 0) throw new OptionError(`an interface address has a prefix of 1 to 32: ${text}`)
  if (cidr.address === 0 || cidr.address === LIMITED_BROADCAST || isMulticast(cidr.address)) throw new OptionError(`no interface can have the address ${text}`)
  if (cidr.prefix < 31 && (cidr.address === cidr.network || cidr.address === cidr.broadcast)) throw new OptionError(`the ${cidr.address === cidr.network ? 'network' : 'broadcast'} address is no host's: ${text}`)
  return cidr
}

/** Reads routes, the first one to each network. Throws `OptionError` for a destination that is no network, or a gateway that is no host. */
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
