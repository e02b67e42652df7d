/** Options, status and events of a candy peer. */
import type { Logger } from '../../../log.ts'
import { OptionError } from '../../../errors.ts'
import { readUrl } from '../../../net/endpoint.ts'
import { parseCidr } from '../../../net/ipv4.ts'
import { verifyMilliseconds } from '../../../options.ts'
import { verifyInterfaceAddress, type Offload, type Tun, type TunRoute } from '../../../tun/device.ts'
import type { Batch, Clock } from '../../../types.ts'
import type { BackoffInit } from '../../../limits/backoff.ts'
import type { PeerConnection } from '../../common/status.ts'
import type { PeerOverlap } from './routes.ts'
import type { CandyPeerStats } from './stats.ts'

/** Options of a peer. */
export interface CandyPeerInit {
  /** `ws://` or `wss://`; the path selects the network on servers that have several. */
  url: string
  password: string
  /** The interface whose packets are sent. It stays open across reconnects and after `close`: its owner closes it. */
  tun: Tun
  /** A CIDR such as `10.77.0.2/24`. Default: assigned by the server. */
  address?: string
  /** A CIDR to request first when the server assigns the address. */
  remembered?: string
  /**
   * Which routes pushed by the server are installed: `private` (to private networks), `all`, `none`, or those within
   * networks such as `10.1.0.0/16,10.2.0.0/16`, one of which may be `private`, or the first `all`. A route that overlaps a network used by
   * this machine is installed only within a network that is named here. Never installed: a route that contains the address of the
   * server, and any of 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/4. The network of an address assigned by the server is checked in the
   * same way, but a private one is always accepted. Default: `private`.
   */
  routes?: string
  /** 16 characters that identify this device. Default: random hexadecimal digits. */
  vmac?: string
  /** The host name in the greeting. Default: the name of this machine. */
  name?: string
  /** Certificates to trust for `wss`, in place of the system's. */
  ca?: string | Buffer
  /** Accept any certificate. Default: false. */
  insecure?: boolean
  /** Milliseconds between pings. Default: 15 s, which suits servers that drop a client after 60 s without a frame. */
  pingInterval?: number
  /**
   * Milliseconds of silence after which the connection is lost, and from the start of the dial for the server to accept the peer; more than
   * `pingInterval`. Checked once a second, or ten times in this period when that is shorter. Default: 30 s.
   */
  deadAfter?: number
  backoff?: BackoffInit
  /** Its date is used for timestamps. Default: the system clock. */
  clock?: Clock
  log?: Logger
}

/** The defaults of `pingInterval` and `deadAfter`. */
export const PING_INTERVAL = 15_000
export const DEAD_AFTER = 30_000

/** @throws {OptionError} when an option is invalid */
export function verifyPeer ({ url: text, vmac = '', pingInterval = PING_INTERVAL, deadAfter = DEAD_AFTER, address, remembered }: CandyPeerInit): void {
  if (!/^[\x21-\x7e]{16}$/.test(vmac)) throw new OptionError('vmac is 16 printable characters')
  const url = readUrl(text)?.url
  if (url === undefined || !/^wss?:$/.test(url.protocol) || url.hash !== '') throw new OptionError(`url has the form ws://host:port/path or wss://host:port/path, not ${text}`)
  verifyMilliseconds('pingInterval', pingInterval)
  verifyMilliseconds('deadAfter', deadAfter)
  if (deadAfter <= pingInterval) throw new OptionError(`deadAfter is more than pingInterval, ${pingInterval} milliseconds, not ${deadAfter}`)
  if (address !== undefined) verifyInterfaceAddress(address)
  if (remembered !== undefined && parseCidr(remembered) === undefined) throw new OptionError(`remembered is an address with a prefix: ${remembered}`)
}

/** `waiting`: for the next attempt to connect. */
export type CandyPeerState = 'idle' | 'connecting' | 'online' | 'waiting' | 'stopped'

/** Gets packets of the peer. It may only read them, and only during the call. */
export type PeerTap = (packets: Batch, direction: 'in' | 'out') => void

/** A peer, its connection and its interface. */
export interface CandyPeerStatus extends CandyPeerStats, PeerConnection {
  url: string
  state: CandyPeerState
  /** In use, or to be requested next; undefined while there is none. */
  address: string | undefined
  interface: string
  /** Offloads of the interface that are enabled. */
  offloads: readonly Offload[]
  /** Round-trip time to the server in milliseconds, as last measured. */
  roundTrip: number | undefined
  /** Bytes queued for the server. */
  queued: number
  /** Routes of the server that are installed on the interface. */
  pushed: readonly TunRoute[]
  /** What another program has removed from the interface and is not restored yet: `address`, `up` (it was set down), and routes. */
  lost: readonly string[]
  /** Addresses and routes of the server that are rejected, as they overlap networks used by this machine. */
  overlaps: readonly PeerOverlap[]
}

/** Events of a peer, with their arguments. */
export interface CandyPeerEvents {
  /** The interface has this address; for each connection. */
  address: [cidr: string]
  /** The server has accepted the peer. */
  online: [cidr: string]
  /** The connection was lost or could not be made; the next attempt follows after `wait` milliseconds. */
  offline: [err: Error, wait: number]
  /** The interface has failed; there are no further attempts. */
  failed: [err: Error]
}
