/** What there is to tell of direct paths. */
import type { DirectState, RemotePeer } from './remote-peer.ts'
import type { DirectStunStatus } from './stun-servers.ts'
import type { Candidate, MappingProtocol, PortMappingStatus } from '../../../../nat/index.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import { formatAddress } from '../../../../net/ipv4.ts'
import type { NatKind } from '../../protocol/nat-code.ts'

/** How packets go to a member: `direct` to its endpoint, which is in a private network for `lan`; `via` another member; by the `relay`. */
export type DirectPathKind = 'direct' | 'lan' | 'via' | 'relay'

/** A member that this peer has heard of. Counters are of its direct path. */
export interface DirectMemberStatus {
  address: string
  path: DirectPathKind
  /** The member that carries packets to this one. */
  via: string | undefined
  /** Of the direct path. */
  endpoint: string | undefined
  /** Milliseconds; undefined: not measured. */
  roundTrip: number | undefined
  /** The part of the datagrams lost in either direction, 0 to 1; undefined: not known. */
  loss: { in: number | undefined, out: number | undefined }
  packetsIn: number
  bytesIn: number
  packetsOut: number
  bytesOut: number
  state: DirectState
  /** The path has keys of its own; else those that all members know, as existing clients use them. */
  isIntroduced: boolean
}

/** What this peer tells of itself. */
export interface DirectStatus {
  /** There is a socket. */
  isOpen: boolean
  /** Why there is none, for people. */
  reason: string | undefined
  /** UDP port of the socket. */
  port: number | undefined
  /** Where members are told to reach it. */
  endpoint: string | undefined
  /** All endpoints, the best first. */
  candidates: Array<{ type: Candidate['type'], endpoint: string }>
  stun: DirectStunStatus[]
  /** The NAT, as far as it is known. */
  nat: NatKind
  /** What a router was asked for. */
  mapping: { state: PortMappingStatus['state'], endpoint: string | undefined, by: MappingProtocol | undefined, reason: string | undefined }
}

/** The way of packets to a member. @param nextHop the member that carries them; 0: none does */
export function pathOf (peer: RemotePeer, nextHop: number): Pick<DirectMemberStatus, 'path' | 'via' | 'endpoint'> {
  const endpoint = peer.path?.endpoint === undefined ? undefined : endpointText(peer.path.endpoint)
  if (nextHop !== 0 && nextHop !== peer.address) return { path: 'via', via: formatAddress(nextHop), endpoint }
  const { usable } = peer
  return { path: usable === undefined ? 'relay' : usable.endpoint.isLocal ? 'lan' : 'direct', via: undefined, endpoint }
}

export function memberStatus (peer: RemotePeer, nextHop: number): DirectMemberStatus {
  return {
    address: formatAddress(peer.address),
    ...pathOf(peer, nextHop),
    roundTrip: peer.path?.roundTrip,
    loss: { in: peer.path?.loss.in, out: peer.path?.loss.out },
    ...peer.traffic,
    state: peer.state,
    isIntroduced: peer.isIntroduced
  }
}

export const mappingStatus = ({ state, external, by, reason }: PortMappingStatus): DirectStatus['mapping'] =>
  ({ state, endpoint: external === undefined ? undefined : endpointText(external), by, reason })
