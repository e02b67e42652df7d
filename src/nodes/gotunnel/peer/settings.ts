/** What can be said about a gotunnel peer, and what it tells. */
import { isPort } from '../protocol/port-ranges.ts'
import { DEFAULT_BUFFER_TOTAL, DEFAULT_STALL_TIMEOUT, DEFAULT_UNANSWERED_TIMEOUT, MODES, type Mode } from '../protocol/options.ts'
import type { BackoffInit } from '../../../limits/backoff.ts'
import { OptionError } from '../../../errors.ts'
import type { Logger } from '../../../log.ts'
import { verifyBytes, verifyMilliseconds } from '../../../options.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock, Endpoint } from '../../../types.ts'
import type { TlsClientInit } from '../../../transports/tls.ts'

/** A port of the server that leads to a service here. */
export interface PortMap {
  remotePort: number
  /** Where the service is. The peer connects to nothing else, whatever the server says. */
  local: Endpoint
}

export interface GotunnelPeerInit {
  server: Endpoint
  token: string
  /** What the server calls it. */
  name: string
  maps: readonly PortMap[]
  /** `auto`: strict with servers that offer it. `strict`: no others. `compatible`: as the original client does. Default: `auto`. */
  mode?: Mode
  /** Speak TLS, and how. The original server does not. Default: plain TCP. */
  tls?: TlsClientInit
  /**
   * Tell the service who its user is by a PROXY header (version 2) in front of the connection. Servers without strict mode do
   * not say who that is; then the header says so. Default: false.
   */
  proxyProtocol?: boolean
  /** Connections of users at one time on one port. Default: 4096. */
  maxConnections?: number
  /**
   * Bytes that the peer keeps for users of all ports, since who reads is slower than who writes. When they are more, users that stand
   * still are ended. Default: 256 MiB.
   */
  bufferTotal?: number
  /** Milliseconds between pings; after three of them without an answer the connection counts as lost. Default: 10 s. */
  pingInterval?: number
  /** Milliseconds between looks at whether the service is there; 0 for none. Default: 30 s. */
  probeInterval?: number
  /** Milliseconds for each connection: to the server, its answer, and to the service. Default: 10 s. */
  dialTimeout?: number
  /** Milliseconds after which a data connection, or one to a service, is ended whose other side acknowledges nothing of what it was sent. Default: 45 s. */
  unansweredTimeout?: number
  /** Milliseconds for which a user has stood still before it may be ended, when too much is kept for all. Default: 10 s. */
  stallTimeout?: number
  backoff?: BackoffInit
  /** The same once the server has said that it will not have a port. Default: 1 to 5 minutes, from the start again after 10 minutes online. */
  refusedBackoff?: BackoffInit
  /** Default: that of the system. */
  clock?: Clock
  log?: Logger
}

export interface PeerSettings extends Required<Omit<GotunnelPeerInit, 'tls' | 'backoff' | 'log' | 'maps'>> {
  tls: TlsClientInit | undefined
}

/** Settings with their defaults. Throws `OptionError` for one that cannot be. */
export function readPeer ({ server, token, name, maps, mode = 'auto', tls, proxyProtocol = false, maxConnections = 4096, bufferTotal = DEFAULT_BUFFER_TOTAL, pingInterval = 10_000, probeInterval = 30_000, dialTimeout = 10_000, unansweredTimeout = DEFAULT_UNANSWERED_TIMEOUT, stallTimeout = DEFAULT_STALL_TIMEOUT, refusedBackoff = { first: 120_000, longest: 300_000, steady: 600_000 }, clock = systemClock }: GotunnelPeerInit): PeerSettings {
  if (!MODES.includes(mode)) throw new OptionError(`mode is one of ${MODES.join(', ')}, not ${String(mode)}`)
  if (maps.length === 0) throw new OptionError('maps: there is none')
  for (const { remotePort, local } of maps) {
    // The original takes any number for a port, and so do its servers, in the hope of better times.
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

/** `degraded`: the server said something that no retry mends, so it is tried again seldom, and as soon as another port has a new connection. */
export type MapState = 'idle' | 'connecting' | 'online' | 'waiting' | 'degraded' | 'stopped'

/** Plain numbers of one port; all but `users` and `bufferedBytes` only grow. */
export interface MapStats {
  /** Users that are served now. */
  users: number
  /** Bytes that are kept for users now, as who reads is slower than who writes. */
  bufferedBytes: number
  /** Users ever. */
  accepted: number
  bytesIn: number
  bytesOut: number
  /** Connections to the server lost or not made. */
  failures: number
  /** Messages of the server that had to wait, as there were too many. */
  heldMessages: number
  /**
   * Users that were not served: `local`, no connection to the service; `data`, none to the server; `not_owner`, the server asked
   * for a port that is not the one of the map; `limit`, too many at once. Or ended while they were served: `stalled`, they stood
   * still, or their service did, and too much was kept for all users; `silent`, nothing they were sent is acknowledged.
   */
  drops: Record<'local' | 'data' | 'not_owner' | 'limit' | 'stalled' | 'silent', number>
}

export const newMapStats = (): MapStats => ({ users: 0, bufferedBytes: 0, accepted: 0, bytesIn: 0, bytesOut: 0, failures: 0, heldMessages: 0, drops: { local: 0, data: 0, not_owner: 0, limit: 0, stalled: 0, silent: 0 } })

export interface MapStatus extends MapStats {
  remotePort: number
  /** `host:port` of the service. */
  local: string
  state: MapState
  /** Of the connection, when there is one. */
  mode: 'strict' | 'compatible' | undefined
  /** Whether the service is there, as far as is known. */
  service: 'up' | 'down'
  /** Why the last connection was lost or not made; undefined while there is one. */
  reason: string | undefined
  /** Seconds since the server has accepted us; undefined while it has not. */
  connected: number | undefined
}

export interface GotunnelPeerStatus {
  /** `host:port`. */
  server: string
  name: string
  maps: MapStatus[]
}

export interface GotunnelPeerEvents {
  /** The server has accepted this port. */
  online: [map: PortMap, mode: 'strict' | 'compatible']
  /** The connection is lost or was not made; the next attempt follows by itself after so many milliseconds. */
  offline: [map: PortMap, err: Error, wait: number]
  /** The server will not have this port. It is tried again after so many milliseconds; undefined when nothing follows. The others go on. */
  refused: [map: PortMap, err: Error, wait: number | undefined]
  /** The service behind a port is gone, or back. */
  service: [map: PortMap, isUp: boolean]
  /** The server will have none of the ports; nothing follows. */
  failed: [err: Error]
}
