/** What stands in the place of a channel when a reader is called with what comes, and has no promise to wait for. */
import type { Batch } from '../types.ts'

export class Flow {
  readonly ended: Promise<void>
  closed = false
  #isBusy = false
  readonly #take: (batch: Batch) => Promise<void> | void
  readonly #onPull: () => void
  readonly #onReturn: () => void
  #resolve: () => void = () => {}
  #reject: (err: Error) => void = () => {}

  /**
   * @param onPull called when a reader that was busy is not any more
   * @param onReturn called once `take` has thrown
   */
  constructor (take: (batch: Batch) => Promise<void> | void, { onPull, onReturn }: { onPull: () => void, onReturn: () => void }) {
    this.#take = take
    this.#onPull = onPull
    this.#onReturn = onReturn
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Nothing waits here, but a busy reader is not to be given more. */
  get size (): number { return this.#isBusy ? Infinity : 0 }

  push (bytes: Uint8Array): void {
    if (this.closed) return
    try {
      const busy = this.#take([bytes])
      if (busy === undefined) return
      this.#isBusy = true
      busy.then(this.#resume, this.#leave)
    } catch (err) {
      this.#leave(err as Error)
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

  discard (): void {}

  readonly #resume = (): void => {
    this.#isBusy = false
    if (!this.closed) this.#onPull()
  }

  readonly #leave = (err: Error): void => {
    this.fail(err)
    this.#onReturn()
  }
}
