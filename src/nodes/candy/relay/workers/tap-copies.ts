import type { Batch } from '../../../../types.ts'
import type { WorkerEvent } from './messages.ts'

/** Bytes of copies that the main thread has not processed; beyond it messages are counted, not copied. */
const TAP_LIMIT = 1 << 20

/** Copies the traffic of a worker's connections for the taps in the main thread. */
export class TapCopies {
  readonly #emit: (event: WorkerEvent) => void
  #room = TAP_LIMIT
  #missed = 0

  constructor (emit: (event: WorkerEvent) => void) { this.#emit = emit }

  /** That many bytes have been processed. */
  seen (bytes: number): void { this.#room += bytes }

  copy (id: number, messages: Batch, direction: 'in' | 'out'): void {
    const size = messages.reduce((sum, { length }) => sum + length, 0)
    if (size > this.#room) {
      this.#missed += messages.length
      return
    }
    this.#room -= size
    this.#emit({ type: 'tapped', id, direction, messages: messages.map((message) => message.slice()), missed: this.#missed })
    this.#missed = 0
  }
}
