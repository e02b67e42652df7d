/** How a NAT behaves, in the terms of RFC 4787, and what of it follows from endpoints that were seen. */
import { isSame } from './stun/transaction.ts'
import { normalizeAddress } from '../net/client-address.ts'
import type { Endpoint } from '../types.ts'

/** What a mapping, or a filter, depends on (RFC 4787, sections 4.1 and 5). */
export type EndpointDependence = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

/** What is known of a NAT. */
export interface NatBehaviour {
  /** The endpoint outside, as the first server has seen it. */
  reflexive: Endpoint | undefined
  /** Whether there is a NAT: the endpoint outside is none of the local ones. Undefined when those were not given, or no server has answered. */
  isTranslated: boolean | undefined
  mapping: EndpointDependence | 'unknown'
  /** Whether the mapping is endpoint-independent: may be known when `mapping` is not. */
  isMappingIndependent: boolean | undefined
  filtering: EndpointDependence | 'unknown'
  /** Whether datagrams from another port of a known address get in: may be known when `filtering` is not. */
  isFilteringByPort: boolean | undefined
  /** Whether datagrams to the endpoint outside get in from inside. Undefined when it cannot be told, also without a NAT. */
  hairpin: boolean | undefined
}

/** The name that RFC 3489 has for a NAT, for people. */
export type NatName = 'none' | 'full cone' | 'address-restricted cone' | 'port-restricted cone' | 'symmetric' | 'unknown'

const CONES = {
  'endpoint-independent': 'full cone',
  'address-dependent': 'address-restricted cone',
  'address-and-port-dependent': 'port-restricted cone',
  unknown: 'unknown'
} as const

/** The name of RFC 3489 for it. A firewall that translates nothing is `none`. */
export function describeNat ({ isTranslated, isMappingIndependent, filtering }: Pick<NatBehaviour, 'isTranslated' | 'isMappingIndependent' | 'filtering'>): NatName {
  if (isTranslated === false) return 'none'
  if (isMappingIndependent === undefined) return 'unknown'
  return isMappingIndependent ? CONES[filtering] : 'symmetric'
}

/** An endpoint outside, and the server that has seen it. */
export interface Observation {
  readonly server: Endpoint
  readonly reflexive: Endpoint
}

/** What a mapping depends on. A difference counts more than an equality, which may be by chance. */
export function mappingOf (seen: readonly Observation[]): Pick<NatBehaviour, 'mapping' | 'isMappingIndependent'> {
  const of = { sameHost: { equal: false, different: false }, otherHost: { equal: false, different: false } }
  for (const [i, a] of seen.entries()) {
    for (const b of seen.slice(i + 1)) {
      if (isSame(a.server, b.server) || a.reflexive.host.includes(':') !== b.reflexive.host.includes(':')) continue
      const pair = normalizeAddress(a.server.host) === normalizeAddress(b.server.host) ? of.sameHost : of.otherHost
      pair[isSame(a.reflexive, b.reflexive) ? 'equal' : 'different'] = true
    }
  }
  if (of.sameHost.different) return { mapping: 'address-and-port-dependent', isMappingIndependent: false }
  if (of.otherHost.different) return { mapping: of.sameHost.equal ? 'address-dependent' : 'unknown', isMappingIndependent: false }
  if (of.otherHost.equal) return { mapping: 'endpoint-independent', isMappingIndependent: true }
  return { mapping: 'unknown', isMappingIndependent: undefined }
}
