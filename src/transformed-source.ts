/** A source that goes through a core, one await per batch. A class and not a generator, which takes several promises and some 2 KB for each connection. */
import { release } from './buffers/buffer-pool.ts'
import { closeIterator, iterate } from './streams/abortable-source.ts'
import type { Batch, Core } from './types.ts'

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined }

export class TransformedSource<A, B> implements AsyncGenerator<Batch<B>, undefined, undefined> {
  readonly #core: Core<A, B>
  readonly #source: AsyncIterable<Batch<A>>
  /** Set by the first pull: a source that is not read is not touched. */
  #iterator: AsyncIterator<Batch<A>> | undefined
  #isOver = false

  constructor (core: Core<A, B>, source: AsyncIterable<Batch<A>>) {
    this.#core = core
    this.#source = source
  }

  /** The next batch with elements. Rejects with what the core throws, and with its `failure` after the elements before it. */
  next (): Promise<IteratorResult<Batch<B>, undefined>> {
    if (this.#isOver) return Promise.resolve(DONE)
    const { failure } = this.#core
    if (failure !== undefined) return Promise.reject(this.#leave(failure))
    this.#iterator ??= iterate(this.#source)
    return this.#iterator.next().then(this.#take, this.#broken)
  }

  readonly #take = ({ done, value: batch }: IteratorResult<Batch<A>>): IteratorResult<Batch<B>, undefined> | Promise<IteratorResult<Batch<B>, undefined>> => {
    if (this.#isOver) return DONE
    const core = this.#core
    if (done === true) {
      this.#isOver = true
      core.end?.()
      return DONE
    }
    try {
      const out = core.push(batch)
      if (core.memory === 'copies') release(batch as Batch)
      return out.length > 0 ? { done: false, value: out } : this.next()
    } catch (err) {
      throw this.#leave(err)
    }
  }

  readonly #broken = (err: unknown): never => {
    this.#isOver = true
    throw err
  }

  /** Reads no more of the source. */
  #leave (err: unknown): unknown {
    this.#close()
    return err
  }

  #close (): void {
    if (this.#isOver) return
    this.#isOver = true
    if (this.#iterator !== undefined) void closeIterator(this.#iterator)
  }

  return (): Promise<IteratorReturnResult<undefined>> {
    this.#close()
    return Promise.resolve(DONE)
  }

  throw (err: unknown): Promise<never> { return Promise.reject(this.#leave(err)) }

  [Symbol.asyncIterator] (): this { return this }

  async [Symbol.asyncDispose] (): Promise<void> { this.#close() }
}
