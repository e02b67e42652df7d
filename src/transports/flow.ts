/** What stands in the place of a channel when a reader is called with what comes, and has no promise to wait for unless it is busy. */
import type { Batch } from '../types.ts'

export class Flow {
  readonly ended: Promise<void>
  closed = false
  #isBusy = false
  /** How it has ended, which a busy reader learns when it is done. */
  #end: (() => void) | undefined
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

  end (): void { this.#close(() => { this.#resolve() }) }

  fail (err: Error): void { this.#close(() => { this.#reject(err) }) }

  /** The end that comes next is that of a busy reader as well. */
  discard (): void { this.#isBusy = false }

  #close (end: () => void): void {
    this.closed = true
    if (this.#isBusy) this.#end ??= end // the stream may tell of its end while it stands still
    else end()
  }

  readonly #resume = (): void => {
    this.#isBusy = false
    if (this.#end !== undefined) this.#end()
    else if (!this.closed) this.#onPull()
  }

  readonly #leave = (err: Error): void => {
    this.#isBusy = false
    this.fail(err)
    this.#onReturn()
  }
}
