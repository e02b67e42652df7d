/** Options, status and events of a gotunnel peer. */
import type { RefusedError } from './errors.ts'
import { ownName, peerOptions, type PortMap } from './options.ts'
import { verifyClientTls } from '../../common/options/groups.ts'
import { readOptions, rejectOption, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import type { PeerConnection } from '../../common/status.ts'
import type { BackoffInit } from '../../../limits/backoff.ts'
import type { Logger } from '../../../log.ts'
import { systemClock } from '../../../streams/clock.ts'
import { dialTcp, type SocketInit } from '../../../transports/tcp.ts'
import type { TlsClientInit } from '../../../transports/tls.ts'
import type { Address, Clock, Link } from '../../../types.ts'

/** Options of a peer. */
export interface GotunnelPeerInit extends InitOf<typeof peerOptions> {
  backoff?: BackoffInit
  /** Back-off after the server has rejected a port. Default: 1 to 5 minutes, reset after 10 minutes online. */
  refusedBackoff?: BackoffInit
  /**
   * Connects to services, and without TLS to the server. Another one than the default lets a peer run in a simulated network. Default:
   * `dialTcp`.
   */
  dial?: DialPlain
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

/** Makes a TCP connection. */
export type DialPlain = (to: Address & SocketInit & { timeout?: number }) => Promise<Link>

export interface PeerSettings extends Omit<SettingsOf<typeof peerOptions>, 'token' | 'name' | 'tls' | 'ca' | 'insecure'> {
  token: string
  name: string
  /** Undefined: plain TCP. */
  tls: TlsClientInit | undefined
  refusedBackoff: BackoffInit
  dial: DialPlain
  clock: Clock
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readPeer (init: GotunnelPeerInit): PeerSettings {
  const options = readOptions(peerOptions, init)
  verifyClientTls(options, rejectOption)
  const { token, name = ownName(), tls, ca, insecure, ...settings } = options
  if (token === undefined || token === '') return rejectOption(['token'], `${token === undefined ? 'missing' : 'empty'}, expected a token`)
  const { refusedBackoff = { first: 120_000, longest: 300_000, steady: 600_000 }, dial = dialTcp, clock = systemClock } = init
  const maps = settings.maps.map(({ remotePort, local: { host, port } }) => ({ remotePort, local: { host, port } })) // what the caller changes later has no effect
  return { ...settings, maps, token, name, tls: tls || settings.server.scheme === 'tls' ? { ca, insecure } : undefined, refusedBackoff, dial, clock }
}

/** `degraded`: rejected for a reason that a retry does not change, so it is retried rarely, and when another port gets a new connection. */
export type MapState = 'idle' | 'connecting' | 'online' | 'waiting' | 'degraded' | 'stopped'

/** Counters of one port; `users` and `bufferedBytes` are gauges. */
export interface MapStats {
  /** Users that are served now. */
  users: number
  /** Bytes buffered for users now. */
  bufferedBytes: number
  /** Users since the start. */
  accepted: number
  bytesIn: number
  bytesOut: number
  /** Connections to the server that were lost or could not be made. */
  failures: number
  /** Messages of the server that had to wait for the rate limit. */
  heldMessages: number
  /**
   * Users that were not served: `local`, no connection to the service; `data`, none to the server; `not_owner`, the server asked
   * for another port than that of the map; `limit`, too many at once. Or ended while served: `stalled`, they or their service
   * stalled while the buffers of all users were full; `silent`, what they are sent is not acknowledged.
   */
  drops: Record<'local' | 'data' | 'not_owner' | 'limit' | 'stalled' | 'silent', number>
}

export const newMapStats = (): MapStats => ({ users: 0, bufferedBytes: 0, accepted: 0, bytesIn: 0, bytesOut: 0, failures: 0, heldMessages: 0, drops: { local: 0, data: 0, not_owner: 0, limit: 0, stalled: 0, silent: 0 } })

/** One mapped port, and its connection to the server. */
export interface MapStatus extends MapStats, PeerConnection {
  remotePort: number
  /** `host:port` of the service. */
  local: string
  state: MapState
  /** The mode of the current connection. */
  mode: 'strict' | 'compatible' | undefined
  /** The last known state of the service. */
  service: 'up' | 'down'
}

/** A peer, with its ports. */
export interface GotunnelPeerStatus {
  /** `host:port`. */
  server: string
  name: string
  maps: MapStatus[]
}

/** Events of a peer, with their arguments. */
export interface GotunnelPeerEvents {
  /** The server has accepted this port. */
  online: [map: PortMap, mode: 'strict' | 'compatible']
  /** The connection was lost or could not be made; the next attempt follows after `wait` milliseconds. */
  offline: [map: PortMap, err: Error, wait: number]
  /** The server rejects this port. The next attempt follows after `wait` milliseconds; undefined: there is none. Other ports are not affected. */
  refused: [map: PortMap, err: RefusedError, wait: number | undefined]
  /** The service behind a port is down, or up again. */
  service: [map: PortMap, isUp: boolean]
  /** The server rejects all ports; there are no further attempts. */
  failed: [err: RefusedError]
}
