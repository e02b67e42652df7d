/** Who is shown what the connections of a relay carry. */
import type { Member, Tap } from './member.ts'
import type { Session } from './session.ts'

/** Which traffic a tap is told of: that of one network, or of one of its members. */
export interface TapFilter {
  /** Path; empty for a network without one. */
  network: string
  /** Virtual address of a member. Default: all of them, and only what they send, so that nothing is told twice. */
  address?: number
}

export class Taps {
  readonly #taps = new Map<Tap, TapFilter>()

  add (filter: TapFilter, tap: Tap): void { this.#taps.set(tap, filter) }

  remove (tap: Tap): void { this.#taps.delete(tap) }

  /** Those that want to be told of a connection, which may change with its address; undefined for none. */
  of ({ network: { settings: { path = '' } }, address }: Pick<Session, 'network' | 'address'>): Member['taps'] {
    const taps = [...this.#taps].flatMap(([tap, filter]): Tap[] => {
      if (filter.network !== path || address === 0) return []
      if (filter.address === undefined) return [(messages, direction, from) => { if (direction === 'in') tap(messages, direction, from) }]
      return filter.address === address ? [tap] : []
    })
    return taps.length === 0 ? undefined : taps
  }
}
