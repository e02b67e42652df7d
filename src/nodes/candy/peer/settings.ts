/** Options, status and events of a candy peer. */
import { peerOptions, verifyPeerOptions } from './options.ts'
import type { PeerConnection } from '../../common/status.ts'
import type { DirectMemberStatus, DirectStatus } from './direct/status.ts'
import type { PeerOverlap } from './routes.ts'
import type { CandyPeerStats } from './stats.ts'
import { readOptions, rejectOption, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import type { BackoffInit } from '../../../limits/backoff.ts'
import type { Logger } from '../../../log.ts'
import type { Offload, Tun, TunRoute } from '../../../tun/device.ts'
import type { WireLink } from '../../../transports/tcp.ts'
import type { DialUpgradedInit } from '../../../transports/upgrade.ts'
import type { Batch, Clock, DatagramSocket, Endpoint } from '../../../types.ts'

/** Options of a peer. */
export interface CandyPeerInit extends InitOf<typeof peerOptions> {
  /** The interface whose packets are sent. It stays open across reconnects and after `close`: its owner closes it. */
  tun: Tun
  /** The host name in the greeting. Default: the name of this machine. */
  name?: string | undefined
  /**
   * Makes the link of bytes to the server, past the upgrade to WebSocket. Another one than the default lets a peer run in a simulated
   * network. Default: `dialUpgraded`.
   */
  dial?: (url: string, init: Pick<DialUpgradedInit, 'signal' | 'ca' | 'insecure' | 'clock'>) => Promise<WireLink>
  /**
   * Binds the socket for direct paths. Default: that of the system; without it and with `dial`, a peer looks for none, as it is not in the
   * network of the system.
   */
  bindUdp?: (at: Endpoint) => Promise<DatagramSocket>
  backoff?: BackoffInit
  /** Its date is used for timestamps. Default: the system clock. */
  clock?: Clock
  log?: Logger
}

export type PeerSettings = SettingsOf<typeof peerOptions>

/** Checks the options and fills in defaults. @throws {OptionError} when an option is invalid */
export function readPeer (init: CandyPeerInit): PeerSettings {
  const settings = readOptions(peerOptions, init)
  verifyPeerOptions(settings, rejectOption)
  if (settings.password === '' && !settings.allowEmptyPassword) rejectOption(['password'], 'empty, expected a password (or allowEmptyPassword)')
  return settings
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
  /** Direct paths; undefined when none are looked for. */
  direct: DirectStatus | undefined
  /** Members that this peer has heard of, with direct paths or without; at most 1024. */
  members: readonly DirectMemberStatus[]
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
  /** Packets to a member take another way: to this endpoint of it, or, undefined, through the server. */
  path: [member: string, endpoint: Endpoint | undefined]
  /** The interface has failed; there are no further attempts. */
  failed: [err: Error]
}
