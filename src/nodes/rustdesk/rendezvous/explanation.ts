/** Why a peer is reached or not, and the peers that are online. Plain data, made on request. */
import type { Peer } from './peer.ts'
import type { PeerStep } from './peer-steps.ts'
import type { RendezvousState } from './state.ts'
import type { RendezvousPeerStatus } from './status.ts'
import { remoteText } from '../../../net/endpoint.ts'
import { keyText } from '../keys/key-text.ts'

/** Peers in one list. */
const MOST_LISTED = 1000

/**
 * `online`; `silent`, it is online and cannot be sent anything; `offline`, it was not heard for 30 seconds, or not since the start;
 * `not_allowed`, it is not on the list of those that may register; `unknown`, nobody has registered the id.
 */
export type PeerState = 'online' | 'silent' | 'offline' | 'not_allowed' | 'unknown'

/** What is known of an id. */
export interface PeerExplanation {
  id: string
  state: PeerState
  /** Where it was heard last; without a port the address that it has registered from. Empty: not known. */
  address: string
  /** The way to it; empty: there is none. */
  way: RendezvousPeerStatus['way'] | ''
  /** Seconds since it was heard, and since it is online. */
  silent?: number
  online?: number
  /** Its public key, in base64; empty: not known. */
  key: string
  /** What happened to it, the oldest first. */
  steps: PeerStep[]
}

const wayOf = ({ connection, port }: Peer): PeerExplanation['way'] => connection?.way ?? (port === 0 ? '' : 'udp')

const addressOf = ({ host, port, ip }: Peer): string => host === '' ? ip : remoteText({ host, port })

const secondsOf = (milliseconds: number): number => Math.trunc(milliseconds / 1000)

/** The peers that are online, within a bound. */
export function listPeers (peers: Iterable<Peer>, now: number): RendezvousPeerStatus[] {
  const listed: RendezvousPeerStatus[] = []
  for (const peer of peers) {
    if (listed.length === MOST_LISTED) break
    if (!peer.isOnline(now)) continue
    listed.push({ id: peer.id, address: addressOf(peer), way: wayOf(peer) || 'none', online: secondsOf(now - peer.onlineSince), silent: secondsOf(now - peer.heardAt) })
  }
  return listed
}

/** Rejects when the store cannot be read. */
export async function explainPeer ({ peers, store, steps, clock }: Pick<RendezvousState, 'peers' | 'store' | 'steps' | 'clock'>, id: string): Promise<PeerExplanation> {
  const peer = await peers.find(id, clock.now())
  const now = clock.now()
  const history = steps.of(id)
  if (peer === undefined) {
    const stored = await store.find(id)
    return { id, state: stored === undefined ? 'unknown' : 'not_allowed', address: stored?.ip ?? '', way: '', key: stored === undefined ? '' : keyText(stored.pk), steps: history }
  }
  const isOnline = peer.isOnline(now)
  return {
    id,
    state: !isOnline ? 'offline' : peer.isReachable ? 'online' : 'silent',
    address: addressOf(peer),
    way: isOnline ? wayOf(peer) : '',
    ...(peer.heardAt === -Infinity ? {} : { silent: secondsOf(now - peer.heardAt) }),
    ...(isOnline ? { online: secondsOf(now - peer.onlineSince) } : {}),
    key: keyText(peer.pk),
    steps: history
  }
}
