/** The RustDesk protocol: a rendezvous server that finds peers by id, and a relay for those that cannot reach each other. */
export { endpointKey } from './protocol/addresses.ts'
export { mangleAddress, unmangleAddress } from './protocol/mangled-address.ts'
export { frames } from './protocol/messages.ts'
export { RustdeskRelay } from './relay/relay.ts'
export { serveRustdeskRelay, type RustdeskRelayListenOptions, type RustdeskRelayServer, type RustdeskRelayServerOptions, type ServeRustdeskRelayInit } from './relay/server.ts'
export type { RustdeskRelayInit, RustdeskRelayOptions } from './relay/settings.ts'
export type { PairEnding, RustdeskRejectReason, RustdeskRelayStats } from './relay/stats.ts'
export type { RustdeskPairStatus, RustdeskRelayServerStatus, RustdeskRelayStatus } from './relay/status.ts'
