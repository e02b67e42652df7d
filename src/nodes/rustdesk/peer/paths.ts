/** Ways to another peer. */
import { randomBytes } from 'node:crypto'
import { endpointText } from '../../../net/endpoint.ts'
import type { Endpoint, Link } from '../../../types.ts'

/** `local`: in one network, behind one NAT. `direct`: by the endpoint outside. `relay`: by a relay. */
export type PathKind = 'local' | 'direct' | 'relay'

/** A way that has come about. */
export interface PeerPath {
  readonly kind: PathKind
  /** Of the other peer, or of the relay. */
  readonly endpoint: Endpoint
  /** Why it is this one, for people. */
  readonly why: string
}

/** A connection to another peer, of which nothing was read. */
export interface Reached {
  /** Of frames. */
  readonly link: Link
  readonly path: PeerPath
}

export const pathText = ({ kind, endpoint }: Pick<PeerPath, 'kind' | 'endpoint'>): string => `${kind} ${endpointText(endpoint)}`

/** By which two peers find each other at a relay: no one else can guess it. */
export function newRelayId (): string {
  const hex = randomBytes(16).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), `4${hex.slice(13, 16)}`, hex.slice(16, 20), hex.slice(20)].join('-')
}
