/** Ways to another peer. */
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
