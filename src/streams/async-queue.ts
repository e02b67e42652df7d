/**
 * A queue between code that is called (socket events, a packet port) and code that pulls (`for await`).
 *
 * Producers append; one wake-up hands over everything since the last one, so a reader has one promise per batch.
 */
import type { Batch } from '../types.ts'

/** Bounds of an {@link AsyncQueue}. */
export interface AsyncQueueInit<T> {
  /** The weight of an element in `size`, mostly its bytes. Default: 1. */
  weigh?: (item: T) => number
  /** Called when the reader pulls; the place to resume a paused producer. */
  onPull?: () => void
  /** Called once when the reader has left its loop early. */
  onReturn?: () => void
}

/** A second reader pulls while the first one is waiting. */
export class AsyncQueueBusyError extends Error {
  override readonly name = 'AsyncQueueBusyError'
  readonly code = 'ERR_CHANNEL_BUSY'
}

interface PendingRead<T> {
  resolve (result: IteratorResult<Batch<T>>): void
  reject (err: Error): void
}

/** One reader, any number of writers. Elements pushed before `end` or `fail` are still delivered. */
export class AsyncQueue<T = Uint8Array> implements AsyncIterableIterator<Batch<T>> {
  #batch: Batch<T> = []
  #size = 0
  #pendingRead: PendingRead<T> | undefined
  #over: { err?: Error } | undefined
  readonly #weigh
  readonly #onPull
  readonly #onReturn

  constructor ({ weigh = () => 1, onPull, onReturn }: AsyncQueueInit<T> = {}) {
    this.#weigh = weigh
    this.#onPull = onPull
    this.#onReturn = onReturn
  }

  /** The weight of what waits for the reader. The producer has to keep it bounded. */
  get size (): number { return this.#size }

  /** The reader waits for the next element. */
  get isAwaited (): boolean { return this.#pendingRead !== undefined }

  /** True after `end`, `fail` or an early return of the reader. */
  get closed (): boolean { return this.#over !== undefined }

  /** Adds one element. Ignored once closed. */
  push (item: T): void {
    if (this.#over !== undefined) return
    const pending = this.#pendingRead
    if (pending !== undefined) {
      this.#pendingRead = undefined
      pending.resolve({ done: false, value: [item] })
      return
    }
    this.#batch.push(item)
    this.#size += this.#weigh(item)
  }

  /** Adds a batch, in one piece when the reader is waiting. The reader owns the array from then on. */
  pushBatch (batch: Batch<T>): void {
    if (this.#over !== undefined || batch.length === 0) return
    const pending = this.#pendingRead
    if (pending !== undefined) {
      this.#pendingRead = undefined
      pending.resolve({ done: false, value: batch })
      return
    }
    for (const item of batch) this.push(item)
  }

  /** Drops what waits for the reader. */
  discard (): void {
    this.#batch = []
    this.#size = 0
  }

  end (): void { this.#finish({}) }

  fail (err: Error): void { this.#finish({ err }) }

  /**
   * Everything pushed since the last call, else the next element. Rejects with the error of `fail`, and with `ERR_CHANNEL_BUSY` while
   * another call is pending.
   */
  next (): Promise<IteratorResult<Batch<T>>> {
    if (this.#batch.length > 0) {
      const value = this.#batch
      this.#batch = []
      this.#size = 0
      this.#onPull?.()
      return Promise.resolve({ done: false, value })
    }
    const over = this.#over
    if (over?.err !== undefined) {
      const err = over.err
      this.#over = {} // an iterator throws once, then is done
      return Promise.reject(err)
    }
    if (over !== undefined) return Promise.resolve({ done: true, value: undefined })
    if (this.#pendingRead !== undefined) return Promise.reject(new AsyncQueueBusyError('a queue has one reader, and it is waiting already'))
    return new Promise((resolve, reject) => {
      this.#pendingRead = { resolve, reject }
      this.#onPull?.()
    })
  }

  return (): Promise<IteratorResult<Batch<T>>> {
    if (this.#over === undefined || this.#batch.length > 0) this.#onReturn?.()
    this.#batch = []
    this.#size = 0
    this.#finish({})
    this.#over = {} // an error that was not read is dropped
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator] (): this { return this }

  #finish (over: { err?: Error }): void {
    if (this.#over !== undefined) return
    this.#over = over
    const pending = this.#pendingRead
    if (pending === undefined) return
    this.#pendingRead = undefined
    if (over.err === undefined) {
      pending.resolve({ done: true, value: undefined })
    } else {
      this.#over = {}
      pending.reject(over.err)
    }
  }
}
