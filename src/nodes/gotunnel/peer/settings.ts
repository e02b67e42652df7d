/** Options, status and events of a gotunnel peer. */
import type { RefusedError } from './errors.ts'
import type { PeerConnection } from '../../common/status.ts'
import { isPort } from '../protocol/port-ranges.ts'
import { DEFAULT_BUFFER_TOTAL, DEFAULT_STALL_TIMEOUT, DEFAULT_UNANSWERED_TIMEOUT, MODES, type Mode } from '../protocol/options.ts'
import type { BackoffInit } from '../../../limits/backoff.ts'
import { OptionError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { verifyBytes, verifyMilliseconds } from '../../../options.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock, Endpoint } from '../../../types.ts'
import type { TlsClientInit } from '../../../transports/tls.ts'

/** A port of the server that is mapped to a service here. */
export interface PortMap {
  remotePort: number
  /** The address of the service. The peer connects to no other, whatever the server asks. */
  local: Endpoint
}

/** Options of a peer. */
export interface GotunnelPeerInit {
  server: Endpoint
  token: string
  /** The name by which the server knows this peer. */
  name: string
  maps: readonly PortMap[]
  /** `auto`: strict mode with servers that offer it. `strict`: no other servers. `compatible`: as the original client. Default: `auto`. */
  mode?: Mode
  /** TLS options; the original server does not support TLS. Default: plain TCP. */
  tls?: TlsClientInit
  /**
   * Send the service a PROXY protocol header (version 2) with the address of its user. Servers without strict mode do not report
   * that address; then the header says that it is unknown. Default: false.
   */
  proxyProtocol?: boolean
  /** Connections of users at one time on one port. Default: 4096. */
  maxConnections?: number
  /**
   * Bytes buffered for users of all ports, while readers are slower than writers. Beyond it stalled users are ended.
   * Default: 256 MiB.
   */
  bufferTotal?: number
  /** Milliseconds between pings; after three without an answer the connection is lost. Default: 10 s. */
  pingInterval?: number
  /** Milliseconds between probes of the service; 0 for none. Default: 30 s. */
  probeInterval?: number
  /** Milliseconds for each connection: to the server, its answer, and to the service. Default: 10 s. */
  dialTimeout?: number
  /** Milliseconds without a TCP acknowledgement after which a data connection, or one to a service, is ended. Default: 45 s. */
  unansweredTimeout?: number
  /** Milliseconds without progress after which a user may be ended while the buffers of all exceed `bufferTotal`. Default: 10 s. */
  stallTimeout?: number
  backoff?: BackoffInit
  /** Back-off after the server has rejected a port. Default: 1 to 5 minutes, reset after 10 minutes online. */
  refusedBackoff?: BackoffInit
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
}

export interface PeerSettings extends Required<Omit<GotunnelPeerInit, 'tls' | 'backoff' | 'log' | 'maps'>> {
  tls: TlsClientInit | undefined
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readPeer ({ server, token, name, maps, mode = 'auto', tls, proxyProtocol = false, maxConnections = 4096, bufferTotal = DEFAULT_BUFFER_TOTAL, pingInterval = 10_000, probeInterval = 30_000, dialTimeout = 10_000, unansweredTimeout = DEFAULT_UNANSWERED_TIMEOUT, stallTimeout = DEFAULT_STALL_TIMEOUT, refusedBackoff = { first: 120_000, longest: 300_000, steady: 600_000 }, clock = systemClock }: GotunnelPeerInit): PeerSettings {
  if (!MODES.includes(mode)) throw new OptionError(`mode is one of ${MODES.join(', ')}, not ${String(mode)}`)
  if (maps.length === 0) throw new OptionError('maps: there is none')
  for (const { remotePort, local } of maps) {
    // The original and its servers accept any number as a port, and retry for ever.
    if (!isPort(remotePort) || !isPort(local.port)) throw new OptionError(`maps: ports are 1 to 65535, not ${remotePort} and ${local.port}`)
  }
  if (new Set(maps.map(({ remotePort }) => remotePort)).size < maps.length) throw new OptionError('maps: two have the same port of the server')
  if (!isPort(server.port)) throw new OptionError(`server: a port is 1 to 65535, not ${server.port}`)
  if (!Number.isSafeInteger(maxConnections) || maxConnections < 1) throw new OptionError(`maxConnections is a whole number of at least 1, not ${String(maxConnections)}`)
  verifyBytes('bufferTotal', bufferTotal)
  verifyMilliseconds('pingInterval', pingInterval)
  verifyMilliseconds('dialTimeout', dialTimeout)
  verifyMilliseconds('unansweredTimeout', unansweredTimeout)
  verifyMilliseconds('stallTimeout', stallTimeout)
  if (probeInterval !== 0) verifyMilliseconds('probeInterval', probeInterval)
  return { server, token, name, mode, tls, proxyProtocol, maxConnections, bufferTotal, pingInterval, probeInterval, dialTimeout, unansweredTimeout, stallTimeout, refusedBackoff, clock }
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
