/** Taps: copies of the traffic of a relay's connections. */
import type { Member, Tap } from './member.ts'
import type { Session } from './session.ts'

/** The traffic of a tap: that of one network, or of one of its members. */
export interface TapFilter {
  /** Path; empty for a network without one. */
  network: string
  /** Virtual address of a member. Default: all, and only what they send, so that each message is shown once. */
  address?: number
}

export class Taps {
  readonly #taps = new Map<Tap, TapFilter>()

  add (filter: TapFilter, tap: Tap): void { this.#taps.set(tap, filter) }

  remove (tap: Tap): void { this.#taps.delete(tap) }

  /** The taps for a connection; undefined for none. They may change with its address. */
  of ({ network: { settings: { path = '' } }, address }: Pick<Session, 'network' | 'address'>): Member['taps'] {
    const taps = [...this.#taps].flatMap(([tap, filter]): Tap[] => {
      if (filter.network !== path || address === 0) return []
      if (filter.address === undefined) return [(messages, direction) => { if (direction === 'in') tap(messages, direction) }]
      return filter.address === address ? [tap] : []
    })
    return taps.length === 0 ? undefined : taps
  }
}
