/** The paths of a pair, for display. */
import { endpointText } from '../../../net/endpoint.ts'
import type { PathState } from './path-set.ts'
import type { Path } from './paths.ts'
import type { PathStatus } from './settings.ts'

export function pathStatus ({ path: chosen, paths }: { readonly path: Path | undefined, readonly paths: readonly PathState[] }): PathStatus[] {
  return paths.map(({ path, works, rtt }) => ({ kind: path.kind, endpoint: endpointText(path.endpoint), isChosen: path === chosen, works, roundTrip: rtt }))
}
