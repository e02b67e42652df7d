/** A source that can be ended from outside while its reader waits for more. */

export class Interruptible<T> implements AsyncIterableIterator<T> {
  readonly #inner: AsyncIterator<T>
  #settle: ((result: IteratorResult<T>) => void) | undefined
  #interrupted = false

  constructor (source: AsyncIterable<T>) { this.#inner = source[Symbol.asyncIterator]() }

  get interrupted (): boolean { return this.#interrupted }

  interrupt (): void {
    if (this.#interrupted) return
    this.#interrupted = true
    this.#settle?.({ done: true, value: undefined })
    // Not awaited: a generator that waits answers only when its wait is over.
    void this.#inner.return?.()?.then(undefined, () => {})
  }

  next (): Promise<IteratorResult<T>> {
    if (this.#interrupted) return Promise.resolve({ done: true, value: undefined })
    // A promise of its own a pull: racing against one long-lived promise would pile up on that.
    return new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#inner.next().then(resolve, reject)
    })
  }

  async return (): Promise<IteratorResult<T>> {
    this.interrupt()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }
}
