/** The SHOW CHAIN protocol: TCP between nodes behind NATs that are known by their keys, and the relays that help them. */
export { serveShowchain, type ServeShowchainInit, type ShowchainServer, type ShowchainServerStatus } from './relay/server.ts'
export { ShowchainPeer } from './peer/peer.ts'
export type { ShowchainPeerEvents, ShowchainPeerInit, ShowchainPeerOptions, ShowchainPeerStatus, PeerExplanation } from './peer/settings.ts'
export { detectKind, type DetectKindInit, type DetectedKind } from './peer/detect-kind.ts'
export { Identity } from './protocol/identity.ts'
export { idText, parseId } from './protocol/public-key.ts'
