/**
 * The protocols of both programs. A process that runs the first of a table is found by the name of the program alone, and the
 * first start of a relay is for it; others are found by their names as well.
 */
import { candyPeer } from './candy/peer-protocol.ts'
import { candyRelay } from './candy/relay-protocol.ts'
import { gotunnelPeer } from './gotunnel/peer-protocol.ts'
import { gotunnelRelay } from './gotunnel/relay-protocol.ts'
import type { Protocol } from './protocol.ts'

export const RELAY_PROTOCOLS: readonly Protocol[] = [candyRelay, gotunnelRelay]
export const PEER_PROTOCOLS: readonly Protocol[] = [candyPeer, gotunnelPeer]
