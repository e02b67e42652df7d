/** Taps: copies of the packets of a peer. */
import type { Batch } from '../../../types.ts'
import type { PeerTap } from './settings.ts'

export class PeerTaps {
  readonly #taps = new Set<PeerTap>()

  /** Whether there is any tap. */
  get isOn (): boolean { return this.#taps.size > 0 }

  /** Adds a tap; the function that it returns removes it. */
  add (tap: PeerTap): () => void {
    this.#taps.add(tap)
    return () => { this.#taps.delete(tap) }
  }

  show (packets: Batch, direction: 'in' | 'out'): void {
    for (const tap of this.#taps) tap(packets, direction)
  }
}
