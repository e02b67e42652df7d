/** A source that can be ended from outside while its reader waits for more. */

export interface InterruptibleInit {
  /** Leave the source open when interrupted; the next one that is made of it misses nothing. Default: false. */
  keep?: boolean
}

/** By iterator: the read that was under way when a reader that keeps its source was interrupted. */
const unread = new WeakMap<object, Promise<IteratorResult<any>>>()

export class Interruptible<T> implements AsyncIterableIterator<T> {
  readonly #inner: AsyncIterator<T>
  readonly #keep: boolean
  /** The read that is under way. */
  #read: Promise<IteratorResult<T>> | undefined
  #settle: ((result: IteratorResult<T>) => void) | undefined
  #interrupted = false

  constructor (source: AsyncIterable<T>, { keep = false }: InterruptibleInit = {}) {
    this.#inner = source[Symbol.asyncIterator]()
    this.#keep = keep
  }

  get interrupted (): boolean { return this.#interrupted }

  interrupt (): void {
    if (this.#interrupted) return
    this.#interrupted = true
    this.#settle?.({ done: true, value: undefined })
    if (!this.#keep) {
      // Not awaited: a generator that waits answers only when its wait is over.
      void this.#inner.return?.()?.then(undefined, () => {})
    } else if (this.#read !== undefined) {
      unread.set(this.#inner, this.#read)
    }
  }

  next (): Promise<IteratorResult<T>> {
    if (this.#interrupted) return Promise.resolve({ done: true, value: undefined })
    // A promise of its own a pull: racing against one long-lived promise would pile up on that.
    return new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#read = unread.get(this.#inner) ?? this.#inner.next()
      unread.delete(this.#inner)
      this.#read.then((result) => {
        this.#read = undefined
        resolve(result)
      }, (err: Error) => {
        this.#read = undefined
        reject(err)
      })
    })
  }

  async return (): Promise<IteratorResult<T>> {
    this.interrupt()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }
}
