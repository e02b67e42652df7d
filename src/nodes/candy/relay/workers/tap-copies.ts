import type { Batch } from '../../../../types.ts'
import type { WorkerEvent } from './messages.ts'

/** Bytes of copies of what connections carry that nobody has looked at yet; beyond it there are none. */
const TAP_LIMIT = 1 << 20

/** Copies of what the connections of a worker carry, for the thread that shows them. */
export class TapCopies {
  readonly #emit: (event: WorkerEvent) => void
  #room = TAP_LIMIT
  #missed = 0

  constructor (emit: (event: WorkerEvent) => void) { this.#emit = emit }

  /** So many bytes were looked at. */
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
