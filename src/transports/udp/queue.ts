/** Datagrams that wait for their reader, as batches and within a bound. */
import { AsyncQueue } from '../../streams/async-queue.ts'
import type { Batch } from '../../types.ts'

/** Bytes that a datagram counts for besides its own: those of the objects that it is made of. */
export const DATAGRAM_OVERHEAD = 256

export class DatagramQueue<T> implements AsyncIterable<Batch<T>> {
  /** Datagrams that there was no room for. */
  dropped = 0
  readonly #limit: number
  readonly #weigh: (item: T) => number
  readonly #waiting: AsyncQueue<T>
  /** What has come since the last `flush`. */
  #fresh: Batch<T> = []
  #freshSize = 0

  /**
   * @param limit - in bytes; exceeded by at most one datagram
   * @param sizeOf - bytes of a datagram
   */
  constructor (limit: number, sizeOf: (item: T) => number) {
    this.#limit = limit
    this.#weigh = (item) => sizeOf(item) + DATAGRAM_OVERHEAD
    this.#waiting = new AsyncQueue({ weigh: this.#weigh })
  }

  /** Bytes that wait for the reader. */
  get size (): number { return this.#waiting.size }

  /** The reader waits for the next datagram. */
  get isAwaited (): boolean { return this.#waiting.isAwaited }

  /** The next one would be dropped. */
  get isFull (): boolean { return this.#waiting.size + this.#freshSize >= this.#limit }

  /** Takes a datagram, unless too many wait. `flush` has to follow. */
  add (item: T): void {
    if (this.isFull) {
      this.dropped++
      return
    }
    this.#fresh.push(item)
    this.#freshSize += this.#weigh(item)
  }

  /** Gives the reader what was added. */
  flush (): void {
    if (this.#fresh.length === 0) return
    this.#waiting.pushBatch(this.#fresh)
    this.#fresh = []
    this.#freshSize = 0
  }

  /** What waits can still be read. */
  end (): void {
    this.flush()
    this.#waiting.end()
  }

  /** The reader gets the error at once. */
  fail (err: Error): void {
    this.#waiting.discard()
    this.#waiting.fail(err)
  }

  [Symbol.asyncIterator] (): AsyncIterator<Batch<T>> { return this.#waiting }
}
