/** The counterpart of `AsyncQueue` for a reader that is called: no promise unless the reader is busy. */
import type { Batch, Take } from '../types.ts'

export interface FlowInit {
  /** Called when the reader has become busy: the producer has to pause. */
  onBusy?: () => void
  /** Called when the reader takes more. */
  onPull: () => void
  /** Called once when the reader has left before the end: it has thrown, or its signal was aborted. */
  onReturn: () => void
}

/** One reader. The producer pauses by `size`, and resumes at `onPull`. */
export class Flow<T = Uint8Array> {
  /** Settles at the end, after a busy reader; rejects with the error of `fail`. */
  readonly ended: Promise<void>
  closed = false
  #isBusy = false
  /** The end that has come while the reader is busy. */
  #end: (() => void) | undefined
  readonly #take: Take<T>
  readonly #init: FlowInit
  #resolve: () => void = () => {}
  #reject: (err: Error) => void = () => {}

  constructor (take: Take<T>, init: FlowInit) {
    this.#take = take
    this.#init = init
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
  }

  /** Nothing is buffered here; Infinity while the reader is busy. */
  get size (): number { return this.#isBusy ? Infinity : 0 }

  push (item: T): void { this.pushBatch([item]) }

  pushBatch (batch: Batch<T>): void {
    if (this.closed) return
    try {
      const busy = this.#take(batch)
      if (busy === undefined) return
      this.#isBusy = true
      this.#init.onBusy?.()
      busy.then(this.#resume, this.#fail)
    } catch (err) {
      this.#fail(err as Error)
    }
  }

  end (): void { this.#close(this.#resolve) }

  fail (err: Error): void { this.#close(() => { this.#reject(err) }) }

  /** The end that follows does not wait for a busy reader. */
  discard (): void { this.#isBusy = false }

  /** Settles as `ended`, or once the signal is aborted; the reader is not called any more after that. */
  async until (signal: AbortSignal | undefined): Promise<void> {
    if (signal === undefined) {
      await this.ended
      return
    }
    const leave = (): void => {
      if (this.closed) return
      this.end()
      this.#init.onReturn()
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
    try {
      await this.ended
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  #close (end: () => void): void {
    this.closed = true
    if (this.#isBusy) this.#end ??= end // the producer may end while it is paused
    else end()
  }

  readonly #resume = (): void => {
    this.#isBusy = false
    if (this.#end !== undefined) this.#end()
    else if (!this.closed) this.#init.onPull()
  }

  readonly #fail = (err: Error): void => {
    this.#isBusy = false
    this.fail(err)
    this.#init.onReturn()
  }
}
