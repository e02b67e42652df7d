/** The candy protocol: a VPN over WebSocket. */
export { CandyRelay, type CandyRelayInit } from './relay.ts'
export { RELAY_FRAMES, serveCandy, type CandyServer, type CandyServerInit } from './server.ts'
export { CandyPeer, joinCandy, PEER_FRAMES, type CandyPeerEvents, type CandyPeerInit, type CandyPeerState } from './peer.ts'
export type { CandyPeerStats } from './peer-stats.ts'
export type { CandyRelayStats } from './stats.ts'
export type { SourceCheck } from './traffic.ts'
export type { Takeover } from './admission.ts'
