/** What a connection sends before it is paired: read up to a bound, so that its end is noticed, and kept in order for its later reader. */
import type { Batch } from '../../../types.ts'

/** Bytes that an element counts for besides its own: many small ones, also without content, are bounded as well. */
const OVERHEAD = 256

export class EarlySource implements AsyncIterableIterator<Batch> {
  readonly #inner: AsyncIterator<Batch>
  #kept: Batch = []
  #size = 0
  /** A read that has begun and that nobody has the result of. */
  #read: Promise<IteratorResult<Batch>> | undefined
  #isTaken = false

  /** @param kept what came together with the first message */
  constructor (inner: AsyncIterator<Batch>, kept: Batch = []) {
    this.#inner = inner
    this.#keep(kept)
  }

  /** Bytes that wait for the reader, with those of their objects. */
  get size (): number { return this.#size }

  /**
   * Reads until `limit` bytes are kept, the connection has ended, or `take` is called.
   *
   * @param onRead called after each read with the bytes that are kept
   * @returns whether the connection has ended
   */
  async watch (limit: number, onRead: (size: number) => void = () => {}): Promise<boolean> {
    while (this.#size < limit && !this.#isTaken) {
      const read = this.#read = this.#inner.next()
      const result = await read.catch(() => ENDED)
      if (this.#isTaken) return false
      this.#read = undefined
      if (result.done === true) return true
      this.#keep(result.value)
      onRead(this.#size)
    }
    return false
  }

  /** Ends `watch`: from now on there is another reader. */
  take (): void { this.#isTaken = true }

  next (): Promise<IteratorResult<Batch>> {
    if (this.#size > 0) {
      const value = this.#kept
      this.#kept = []
      this.#size = 0
      return Promise.resolve({ done: false, value })
    }
    const read = this.#read
    if (read === undefined) return this.#inner.next()
    this.#read = undefined
    return read
  }

  async return (): Promise<IteratorResult<Batch>> {
    await this.#inner.return?.()
    return ENDED
  }

  [Symbol.asyncIterator] (): this { return this }

  /** Copies, as a small view would keep a whole read alive. */
  #keep (batch: Batch): void {
    for (const bytes of batch) {
      this.#kept.push(Uint8Array.from(bytes))
      this.#size += bytes.length + OVERHEAD
    }
  }
}

const ENDED: IteratorResult<Batch> = { done: true, value: undefined }
