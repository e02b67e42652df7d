/** What stands in the place of a channel where a reader is called with what comes: no promise to wait for unless it is busy. */
import type { Batch, Take } from '../types.ts'

export interface FlowInit {
  /** Called when the reader is busy: what comes next has to wait. */
  onBusy?: () => void
  /** Called when a reader that was busy takes more. */
  onPull: () => void
  /** Called once, when the reader has left before the end: it has thrown, or its signal has asked for it. */
  onReturn: () => void
}

/** One reader. Whatever pushes stops when `size` says so, and goes on with `onPull`. */
export class Flow<T = Uint8Array> {
  /** Settles with the end, `fail` rejects it. A reader that is busy is done first. */
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

  /** Nothing is kept here, but a busy reader is not to be given more. */
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

  /** The end that comes next does not wait for a busy reader. */
  discard (): void { this.#isBusy = false }

  /** Settles as `ended`, and once the signal has asked for it; nothing is pushed to the reader after that. */
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
    if (this.#isBusy) this.#end ??= end // the producer may tell of its end while it stands still
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
