/** CONN of a member, as it counts here. */
import { hasSameKey } from './attempt.ts'
import { isSame, type IsUsable, type RemoteEndpoint } from './path.ts'
import { endpointText } from '../../../../net/endpoint.ts'
import type { Introduction } from '../../protocol/introduction.ts'

export interface Offer {
  /** Undefined when nothing can be sent there. */
  readonly endpoint: RemoteEndpoint | undefined
  readonly introduction: Introduction | undefined
  /** Of the introduction. */
  readonly candidates: readonly RemoteEndpoint[]
}

/** Whether the member has begun anew, as by another key; existing clients have none, so that another endpoint shows it. */
export function isOther (one: Offer | undefined, other: Offer): boolean {
  if (one === undefined || !hasSameKey(one.introduction, other.introduction)) return true
  return other.introduction === undefined && other.endpoint !== undefined && !isSame(one.endpoint, other.endpoint)
}

/** The same without endpoints that this does not hold for. */
export function keptOf (offer: Offer | undefined, isUsable: IsUsable): Offer | undefined {
  if (offer === undefined) return undefined
  const { endpoint, introduction, candidates } = offer
  return { endpoint: endpoint !== undefined && isUsable(endpoint) ? endpoint : undefined, introduction, candidates: candidates.filter(isUsable) }
}

/** For people. */
export function offerText ({ endpoint, introduction, candidates }: Offer): string {
  const others = candidates.filter((candidate) => !isSame(endpoint, candidate))
  return `the member is at ${endpoint === undefined ? 'an endpoint that cannot be used' : endpointText(endpoint)}${others.length === 0 ? '' : `, or ${others.map(endpointText).join(', ')}`}${introduction === undefined ? ', as existing clients are' : ''}`
}
