/** What can be said about a candy peer, and what it tells: the door of `peer.ts`. */
import type { Logger } from '../../../log.ts'
import { OptionError } from '../../../errors.ts'
import { readUrl } from '../../../net/endpoint.ts'
import { parseCidr } from '../../../net/ipv4.ts'
import { verifyMilliseconds } from '../../../options.ts'
import { verifyInterfaceAddress, type Offload, type Tun, type TunRoute } from '../../../tun/device.ts'
import type { Batch, Clock } from '../../../types.ts'
import type { BackoffInit } from '../../../limits/backoff.ts'
import type { PeerOverlap } from './routes.ts'
import type { CandyPeerStats } from './stats.ts'

export interface CandyPeerInit {
  /** `ws://` or `wss://`; the path selects the network on servers that have several. */
  url: string
  password: string
  /** The interface whose packets are carried. It stays open while the connection comes and goes, and after `close`: whoever made it closes it. */
  tun: Tun
  /** A CIDR such as `10.77.0.2/24`. Default: the server gives one. */
  address?: string
  /** A CIDR to ask for first when the server gives one. */
  remembered?: string
  /**
   * Which of the routes that the server pushes are taken: `private` (those to private networks), `all`, `none`, or those into
   * networks such as `10.1.0.0/16,10.2.0.0/16`, of which one may be `private` or the first `all`. What the machine uses itself is taken
   * only when it is in a network that is named. Never one that contains the address of the
   * server, and none of 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/4. The network of an address that the server gives is looked at in the
   * same way, but a private one is always taken. Default: `private`.
   */
  routes?: string
  /** 16 characters that name this device. Default: random hexadecimal digits. */
  vmac?: string
  /** What the server is told of us. Default: the host name. */
  name?: string
  /** Certificates to trust, for `wss`, in place of the system's. */
  ca?: string | Buffer
  /** Accept any certificate. Default: false. */
  insecure?: boolean
  /** Milliseconds between pings. Default: 15 s, which suits servers that drop a client after 60 s without a frame. */
  pingInterval?: number
  /**
   * Milliseconds of silence after which the server is taken for dead, and from the dial in which it has to accept us; more than
   * `pingInterval`. It is noticed up to a second later, or a tenth of it when that is less. Default: 30 s.
   */
  deadAfter?: number
  backoff?: BackoffInit
  /** Its date is that of the time stamps that servers look at. Default: that of the system. */
  clock?: Clock
  log?: Logger
}

/** The defaults of `pingInterval` and `deadAfter`. */
export const PING_INTERVAL = 15_000
export const DEAD_AFTER = 30_000

/** Throws `OptionError` when an option cannot work. */
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

export type CandyPeerState = 'idle' | 'connecting' | 'online' | 'waiting' | 'stopped'

/** Sees packets; they are only read, and at once. */
export type PeerTap = (packets: Batch, direction: 'in' | 'out') => void

export interface CandyPeerStatus extends CandyPeerStats {
  url: string
  state: CandyPeerState
  /** In use, or asked for next; undefined before there is one. */
  address: string | undefined
  interface: string
  /** Those of the interface that are in force. */
  offloads: readonly Offload[]
  /** Why the last connection was lost or not made; undefined while there is one, and before the first attempt. */
  reason: string | undefined
  /** Seconds since the server has accepted us; undefined while it has not. */
  connected: number | undefined
  /** Milliseconds to the server and back, when that was last measured. */
  roundTrip: number | undefined
  /** Bytes that wait for the server. */
  queued: number
  /** Routes of the server that the interface has. */
  pushed: readonly TunRoute[]
  /** What somebody else has taken from the interface, and that is not put back yet: `address`, `up` (it was set down), and routes. */
  lost: readonly string[]
  /** What the server gives and is not taken, as this machine uses it itself. */
  overlaps: readonly PeerOverlap[]
}

export interface CandyPeerEvents {
  /** The interface has this address; at each connection. */
  address: [cidr: string]
  /** The server has accepted us. */
  online: [cidr: string]
  /** The connection is lost or was not made; the next attempt follows by itself after so many milliseconds. */
  offline: [reason: string, wait: number]
  /** The interface failed; nothing follows. */
  failed: [err: Error]
}
