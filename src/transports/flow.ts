/** What stands in the place of a channel when a reader is called with what comes, and has no promise to wait for. */
import type { Batch } from '../types.ts'

export class Flow {
  readonly ended: Promise<void>
  readonly size = 0
  closed = false
  readonly #take: (batch: Batch) => void
  readonly #onReturn: () => void
  #resolve: () => void = () => {}
  #reject: (err: Error) => void = () => {}

  /** @param onReturn called once `take` has thrown */
  constructor (take: (batch: Batch) => void, onReturn: () => void) {
    this.#take = take
    this.#onReturn = onReturn
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  push (bytes: Uint8Array): void {
    if (this.closed) return
    try {
      this.#take([bytes])
    } catch (err) {
      this.fail(err as Error)
      this.#onReturn()
    }
  }

  end (): void {
    this.closed = true
    this.#resolve()
  }

  fail (err: Error): void {
    this.closed = true
    this.#reject(err)
  }

  /** Nothing waits here. */
  discard (): void {}
}
