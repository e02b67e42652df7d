/**
 * The protocols of both programs. The control socket of a process with the default protocol has the name of the program alone, others have
 * the protocol in it; the initial configuration of a relay is for the default one.
 */
import { candyPeer } from './candy/peer.ts'
import { candyRelay } from './candy/relay.ts'
import { gotunnelPeer } from './gotunnel/peer.ts'
import { gotunnelRelay } from './gotunnel/relay.ts'
import { natpassPeer } from './natpass/peer.ts'
import { natpassRelay } from './natpass/relay.ts'
import type { Protocol } from './protocol.ts'
import { rustdeskPeer } from './rustdesk/peer/peer.ts'
import { rustdeskRelay } from './rustdesk/relay.ts'
import { showchainPeer } from './showchain/peer.ts'
import { showchainRelay } from './showchain/relay.ts'

export const RELAY_PROTOCOLS: readonly Protocol[] = [candyRelay, gotunnelRelay, natpassRelay, rustdeskRelay, showchainRelay]
export const PEER_PROTOCOLS: readonly Protocol[] = [candyPeer, gotunnelPeer, natpassPeer, rustdeskPeer, showchainPeer]
