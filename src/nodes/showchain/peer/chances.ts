/** What the kinds of two NATs say about a path between them (SHOW CHAIN protocol, section 5.3). */
import type { NatKind } from '../../../nat/index.ts'

/** `T3`, or `unknown`. */
export const kindName = (kind: NatKind | undefined): string => kind === undefined ? 'unknown' : `T${kind}`

/** `doubtful`: there is none if a kind that is not known is T4, as which it counts. */
export type Chance = 'good' | 'doubtful' | 'none'

const SYMMETRIC = 4
const PORT_RESTRICTED = 3

/** The chance of a path that is no proxy's. It is the same in both directions. */
export function chanceOf (own: NatKind | undefined, other: NatKind | undefined): Chance {
  const kinds = [own ?? SYMMETRIC, other ?? SYMMETRIC]
  if (Math.max(...kinds) < SYMMETRIC || Math.min(...kinds) < PORT_RESTRICTED) return 'good'
  return own === undefined || other === undefined ? 'doubtful' : 'none'
}
