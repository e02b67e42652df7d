/** Counts the bytes of a stream, and may delay them. */
import type { Batch } from '../types.ts'

/** Called with the bytes of each batch. Its promise is awaited before they go on. */
export type Meter = (bytes: number) => Promise<void> | undefined | void

/** Called with the bytes that are being written; with 0 once the writer pulls again. */
export type InFlight = (bytes: number) => void

/**
 * A stage for one direction of a byte stream.
 *
 * ```ts
 * await other.sink(meter((bytes) => { stats.bytesIn += bytes })(link.source))
 * ```
 */
export const meter = (pass: Meter, inFlight?: InFlight) =>
  (source: AsyncIterable<Batch>): AsyncIterable<Batch> => ({ [Symbol.asyncIterator]: () => new Metered(source, pass, inFlight) })

/** Not a generator, which would cost three promises per read instead of one. */
class Metered implements AsyncIterator<Batch> {
  readonly #inner: AsyncIterator<Batch>
  readonly #pass: Meter
  readonly #inFlight: InFlight | undefined

  constructor (source: AsyncIterable<Batch>, pass: Meter, inFlight?: InFlight) {
    this.#inner = source[Symbol.asyncIterator]()
    this.#pass = pass
    this.#inFlight = inFlight
  }

  next (): Promise<IteratorResult<Batch>> {
    this.#inFlight?.(0)
    return this.#inner.next().then(this.#count)
  }

  readonly #count = (result: IteratorResult<Batch>): IteratorResult<Batch> | Promise<IteratorResult<Batch>> => {
    if (result.done === true) return result
    let bytes = 0
    for (const { length } of result.value) bytes += length
    this.#inFlight?.(bytes)
    const held = this.#pass(bytes)
    return held instanceof Promise ? held.then(() => result) : result
  }

  async return (): Promise<IteratorResult<Batch>> {
    await this.#inner.return?.()
    return { done: true, value: undefined }
  }
}
