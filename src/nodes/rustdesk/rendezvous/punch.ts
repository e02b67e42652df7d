/** What the server decides about a client that wants to connect to a peer (RustDesk protocol, section 4.6), without a socket, a store or a clock. */
import type { LanMask } from './lan-mask.ts'
import type { Peer } from './peer.ts'
import { NatType } from '../protocol/enums.ts'

/** A client that wants to connect. */
export interface PunchRequest {
  /** Its address, folded. */
  readonly host: string
  readonly isWebSocket: boolean
  readonly natType: number
}

/** How peers find each other: the settings of the server that count here. */
export interface PunchRules {
  readonly alwaysUseRelay: boolean
  readonly mask: LanMask
  /** The address of the relay for peers inside of the mask. */
  readonly localIp: string
}

/** What the peer is asked for: its private address, or a hole in its NAT. */
export interface PunchDecision {
  readonly ask: 'local_address' | 'hole'
  /** Of the client, as the peer is told; `symmetric` makes it use a relay. */
  readonly natType: number
  /** Empty: peers use the one beside the server. */
  readonly relayServer: string
}

/**
 * Decides about a peer that is online.
 *
 * @param nextRelay takes the next relay in turn
 */
export function decidePunch ({ host, isWebSocket, natType }: PunchRequest, peer: Pick<Peer, 'host'>, { alwaysUseRelay, mask, localIp }: PunchRules, nextRelay: () => string): PunchDecision {
  const isInside = mask.includes(host)
  const isPeerInside = mask.includes(peer.host)
  const isAcross = isInside !== isPeerInside
  const next = nextRelay()
  return {
    ask: !isWebSocket && ((isInside && isPeerInside) || host === peer.host) ? 'local_address' : 'hole',
    natType: alwaysUseRelay || isAcross ? NatType.symmetric : natType,
    relayServer: isPeerInside && (alwaysUseRelay || isAcross) ? localIp : next
  }
}

/** The relay that a client is told: the peer has chosen one, which may be out of reach for the client. */
export function relayFor (clientHost: string, chosen: string, { mask, localIp }: Pick<PunchRules, 'mask' | 'localIp'>, nextRelay: () => string): string {
  if (chosen === '') return ''
  if (mask.includes(clientHost)) return localIp
  return chosen === localIp ? nextRelay() : chosen
}
