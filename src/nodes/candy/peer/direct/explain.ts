/** Why packets to a member take the way that they take, and what would help. */
import type { DirectEvent } from './history.ts'
import type { RemotePeer } from './remote-peer.ts'
import { pathOf, type DirectMemberStatus, type DirectStatus } from './status.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import { formatAddress, parseAddress } from '../../../../net/ipv4.ts'
import { isLocalAddress } from '../../../../nat/index.ts'
import { decodeNat, type NatKind } from '../../protocol/nat-code.ts'

/** Why packets to a member go through the server, or another member. */
export type RelayedReason =
  | 'closed' // no socket here
  | 'not wanted' // no packet has come through the server yet
  | 'searching'
  | 'late' // the path does not answer at the moment
  | 'narrow' // no datagram of a useful size is known to arrive
  | 'used up' // its key has sealed as many datagrams as it may
  | 'lost' // it has ended
  | 'no endpoint' // this peer knows none of its own
  | 'not told' // the member has told no endpoint
  | 'no STUN' // this peer knows only endpoints in its own network
  | 'symmetric' // NATs of both that cannot be passed together
  | 'blocked' // no heartbeat arrives
  | 'shorter' // the path by another member is

/** The way of packets to a member, and why it is not a better one. */
export interface PathExplanation extends Pick<DirectMemberStatus, 'address' | 'path' | 'via' | 'endpoint' | 'state' | 'isIntroduced'> {
  /** Undefined for a direct path. */
  reason: RelayedReason | undefined
  /** The same for people, one sentence. */
  text: string
  /** What would help, for people. */
  hints: string[]
  /** Milliseconds until another attempt may begin; undefined: with the next packet that comes through the server, or one is on. */
  retry: number | undefined
  own: DirectStatus
  /** What the member has told last. `introduced` is undefined while it has told nothing. */
  member: { isIntroduced: boolean | undefined, endpoint: string | undefined, candidates: string[], nat: NatKind }
  /** What was tried, oldest first. */
  history: readonly DirectEvent[]
}

const UNKNOWN = decodeNat(0)

/** @param peer undefined: nothing has been heard of it */
export function explainPath ({ address, peer, nextHop, own, now }: { address: number, peer: RemotePeer | undefined, nextHop: number, own: DirectStatus, now: number }): PathExplanation {
  const offer = peer?.lastOffer
  const member = {
    isIntroduced: offer === undefined ? undefined : offer.introduction !== undefined,
    endpoint: offer?.endpoint === undefined ? undefined : endpointText(offer.endpoint),
    candidates: (offer?.candidates ?? []).map(endpointText),
    nat: offer?.introduction === undefined ? UNKNOWN : decodeNat(offer.introduction.nat)
  }
  const path = peer === undefined ? { path: 'relay' as const, via: undefined, endpoint: undefined } : pathOf(peer, nextHop)
  const reason = path.path === 'direct' || path.path === 'lan' ? undefined : path.path === 'via' && peer?.usable !== undefined ? 'shorter' : reasonOf(peer, own, member)
  return {
    address: formatAddress(address),
    ...path,
    state: peer?.state ?? 'init',
    isIntroduced: peer?.isIntroduced ?? false,
    reason,
    text: textOf(reason, path, own, member),
    hints: hintsOf(reason, formatAddress(address), own),
    retry: peer?.retryAt === undefined ? undefined : Math.max(0, Math.round(peer.retryAt - now)),
    own,
    member,
    history: peer?.history.events ?? []
  }
}

type Told = PathExplanation['member']

function reasonOf (peer: RemotePeer | undefined, own: DirectStatus, member: Told): RelayedReason {
  if (!own.isOpen) return 'closed'
  if (peer === undefined) return 'not wanted'
  if (peer.state === 'connected') return peer.hindrance
  if (peer.failure === undefined) return peer.state === 'init' ? 'not wanted' : 'searching'
  switch (peer.failure) {
    case 'unprepared': return 'no endpoint'
    case 'untold': return 'not told'
    case 'lost': return 'lost'
    case 'unheard':
      if (isImpassable(own.nat, member.nat)) return 'symmetric'
      return isPrivate(own.endpoint) && !isPrivate(member.endpoint) ? 'no STUN' : 'blocked'
  }
}

/** Whether no endpoint that one has told is the one that the other one sees: each waits for the other one to come first. */
export function isImpassable (a: NatKind, b: NatKind): boolean {
  const isSymmetric = ({ isMappingIndependent }: NatKind): boolean => isMappingIndependent === false
  const isRestricted = (nat: NatKind): boolean => isSymmetric(nat) || nat.filtering === 'address-and-port-dependent'
  return (isSymmetric(a) && isRestricted(b)) || (isSymmetric(b) && isRestricted(a))
}

function isPrivate (endpoint: string | undefined): boolean {
  const address = endpoint === undefined ? undefined : parseAddress(endpoint.replace(/:\d+$/, ''))
  return address !== undefined && isLocalAddress(address)
}

const isAnswered = ({ stun }: DirectStatus): boolean => stun.some(({ status }) => status === 'answered')

const stunText = ({ stun }: DirectStatus): string => stun.length === 0 ? 'no STUN server is asked' : 'no STUN server has answered'

function textOf (reason: RelayedReason | undefined, { via, endpoint }: Pick<DirectMemberStatus, 'via' | 'endpoint'>, own: DirectStatus, member: Told): string {
  switch (reason) {
    case undefined: return `packets go to ${endpoint ?? 'the member'}`
    case 'shorter': return `packets go via ${via ?? 'another member'}, which is faster than the direct path`
    case 'closed': return `there is no UDP socket: ${own.reason ?? 'the peer has no address yet'}`
    case 'not wanted': return 'no packet of it has come through the server yet, so no path was looked for'
    case 'searching': return 'a path is being looked for'
    case 'late': return 'the direct path does not answer at the moment'
    case 'narrow': return 'no datagram of 1200 bytes has arrived by the direct path so far'
    case 'used up': return 'as many datagrams were sealed for this member as are safe with the key that an original client has'
    case 'lost': return 'the direct path has ended: nothing came from the member any more'
    case 'no endpoint': return `this peer knows no endpoint of its own: ${stunText(own)}, and it has no address that others could reach`
    case 'not told': return 'the member has not told an endpoint: its direct paths are off, or no STUN server answers it'
    case 'no STUN': return `${stunText(own)}, so this peer could tell the member only endpoints of its own network`
    case 'symmetric': return `the NATs do not let them meet: ${own.nat.name} here, ${member.nat.name} there`
    case 'blocked': return 'both have told endpoints, but no heartbeat has arrived: UDP is blocked in between'
  }
}

function hintsOf (reason: RelayedReason | undefined, address: string, own: DirectStatus): string[] {
  const stun = isAnswered(own) ? [] : ['--stun HOST names a STUN server; relay candy --stun-listen 3478 makes the relay one']
  const forward = 'a UDP port that a router forwards to one of the two, with --port there; UPnP or NAT-PMP in a router does the same'
  switch (reason) {
    case 'not wanted': return [`ping ${address}, whose answer begins the search; or --discovery SECONDS`]
    case 'not told': return ['on the member: --direct on, and --stun HOST; an original client needs stun in its candy.cfg']
    case 'no endpoint':
    case 'no STUN': return stun
    case 'symmetric': return [forward]
    case 'blocked': return [...stun, own.nat.filtering === 'unknown' && own.nat.mapping === 'unknown' ? `firewalls that let UDP pass; or ${forward}` : 'firewalls that let UDP pass, with --port for a fixed one'].slice(0, 2)
    case 'used up': return [`another address for ${address}, or another password for the network, which make other keys; or this program there, which makes its own`]
    case 'lost': return [`ping ${address}, whose answer begins another search`]
    default: return []
  }
}
