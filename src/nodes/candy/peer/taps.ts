/** Whoever looks at the packets of a peer. */
import type { Batch } from '../../../types.ts'
import type { PeerTap } from './settings.ts'

export class PeerTaps {
  readonly #taps = new Set<PeerTap>()

  /** Somebody looks. */
  get isOn (): boolean { return this.#taps.size > 0 }

  /** Until the function that it returns is called. */
  add (tap: PeerTap): () => void {
    this.#taps.add(tap)
    return () => { this.#taps.delete(tap) }
  }

  show (packets: Batch, direction: 'in' | 'out'): void {
    for (const tap of this.#taps) tap(packets, direction)
  }
}
