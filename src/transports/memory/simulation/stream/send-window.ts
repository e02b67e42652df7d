/** What the other side has room for (RFC 9293, section 3.10.7.4). */
import type { Segment } from './segment.ts'
import { distance } from './sequence.ts'

export class SendWindow {
  /** Bytes from the first one that is not acknowledged (SND.WND), and the most that they ever were. */
  size = 0
  largest = 0
  /** Sequence number and acknowledgement of the segment that has said so (SND.WL1, SND.WL2): an older one says nothing. */
  #sequence = 0
  #acknowledgement = 0

  /** Returns whether it has grown. */
  update ({ window, sequence, acknowledgement }: Segment): boolean {
    const order = distance(this.#sequence, sequence)
    if (this.largest > 0 && (order < 0 || (order === 0 && distance(this.#acknowledgement, acknowledgement) < 0))) return false
    const hasGrown = window > this.size
    this.size = window
    this.largest = Math.max(this.largest, window)
    this.#sequence = sequence
    this.#acknowledgement = acknowledgement
    return hasGrown
  }
}
