/** The reader of a stream: one that pulls, or one that is called. */
import { LinkBusyError } from '../../errors.ts'
import { AsyncQueueBusyError } from '../../streams/async-queue.ts'
import { Flow } from '../../streams/flow.ts'
import type { Batch, Take } from '../../types.ts'

export interface ReaderInit {
  /** Everything that can be read; empty when there is nothing. `isLent`: the memory is given back by `giveBack`, once for all. */
  take: (isLent: boolean) => Batch
  giveBack: () => void
  /** All was taken, and nothing more comes. */
  isEnd: () => boolean
}

interface PendingRead {
  resolve (result: IteratorResult<Batch>): void
  reject (err: Error): void
}

/** What is not read stays where it is: nothing is kept here. */
export class Reader implements AsyncIterableIterator<Batch> {
  readonly #init: ReaderInit
  #reader: PendingRead | Flow | undefined
  #failure: Error | undefined
  /** The reader has got the end, or has left. */
  #isOver = false

  constructor (init: ReaderInit) { this.#init = init }

  get isOver (): boolean { return this.#isOver }

  /** Something has come, or the end. */
  notify (): void {
    const reader = this.#reader
    if (reader === undefined || this.#isOver) return
    if (reader instanceof Flow) {
      if (!reader.closed && reader.size === 0) this.#feed(reader)
      return
    }
    const batch = this.#init.take(false)
    if (batch.length > 0) {
      this.#reader = undefined
      reader.resolve({ done: false, value: batch })
    } else if (this.#init.isEnd()) {
      this.#reader = undefined
      this.#isOver = true
      reader.resolve({ done: true, value: undefined })
    }
  }

  /** Ends at once: the reader gets the error. Harmless once it has read the end. */
  fail (err: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const reader = this.#reader
    if (reader instanceof Flow) {
      if (reader.closed) return
      reader.discard() // a busy reader is told now, not when it is done
      reader.fail(err)
    } else if (reader === undefined) {
      this.#failure = err
    } else {
      this.#reader = undefined
      reader.reject(err)
    }
  }

  next (): Promise<IteratorResult<Batch>> {
    if (this.#reader instanceof Flow) return Promise.reject(new LinkBusyError('this link has a reader already'))
    if (this.#failure !== undefined) return this.#throw()
    if (this.#isOver) return Promise.resolve({ done: true, value: undefined })
    if (this.#reader !== undefined) return Promise.reject(new AsyncQueueBusyError('a link has one reader, and it is waiting already'))
    const value = this.#init.take(false)
    if (value.length > 0) return Promise.resolve({ done: false, value })
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
      this.notify()
    })
  }

  /** The reader leaves early, and has to abort the link. */
  return (): Promise<IteratorResult<Batch>> {
    this.#isOver = true
    this.#failure = undefined
    const reader = this.#reader
    if (reader !== undefined && !(reader instanceof Flow)) {
      this.#reader = undefined
      reader.resolve({ done: true, value: undefined })
    }
    return Promise.resolve({ done: true, value: undefined })
  }

  [Symbol.asyncIterator] (): this { return this }

  /** See `Link.flow`. */
  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    if (this.#reader !== undefined) throw new LinkBusyError('this link has a reader already')
    if (this.#failure !== undefined) await this.#throw()
    if (this.#isOver) return
    const flow: Flow = this.#reader = new Flow(take, {
      onPull: () => {
        this.#init.giveBack()
        this.#feed(flow)
      },
      onReturn: () => { if (signal?.aborted !== true) this.#isOver = true }
    })
    if (signal?.aborted !== true) this.#feed(flow)
    try {
      await flow.until(signal)
    } finally {
      if (this.#reader === flow) this.#reader = undefined
    }
  }

  #feed (flow: Flow): void {
    while (flow.size === 0 && !flow.closed) {
      const batch = this.#init.take(true)
      if (batch.length === 0) break
      flow.pushBatch(batch)
      if (flow.size === 0) this.#init.giveBack()
    }
    if (flow.closed || flow.size > 0 || !this.#init.isEnd()) return
    this.#isOver = true
    flow.end()
  }

  /** An iterator throws once, then is done. */
  #throw (): Promise<never> {
    const err = this.#failure as Error
    this.#failure = undefined
    return Promise.reject(err)
  }
}
