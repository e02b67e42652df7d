/** The gotunnel protocol: TCP ports of a public machine that lead to services behind NAT. */
export { GotunnelRelay, type Arrival, type Reconfigured } from './relay.ts'
export type { GotunnelRelayInit, GotunnelRelayOptions, Mode } from './relay-settings.ts'
export type { IdentityInit } from './identities.ts'
export { serveGotunnel, type GotunnelServer, type ListenInit } from './server.ts'
export type { GotunnelRelayStats, Refusal, UserDrop, UserTraffic } from './stats.ts'
export { GotunnelPeer, mapPorts } from './peer.ts'
export type { GotunnelPeerEvents, GotunnelPeerInit, GotunnelPeerStatus, MapState, MapStats, MapStatus, PortMap } from './peer-settings.ts'
export { AUTHENTICATION_FAILED, CONNECT_FAILED, ConnectError, RefusedError } from './peer-errors.ts'
