/** A source, with elements of other code in between. */
import type { Batch } from '../types.ts'

/** Pulls from one source at a time, and hands over what was put in meanwhile first. One reader. */
export class MergedSource<T> implements AsyncIterableIterator<Batch<T>> {
  readonly #main: AsyncIterator<Batch<T>>
  readonly #put = new Map<string, T>()
  #isAsked = false
  #result: IteratorResult<Batch<T>> | undefined
  #failure: { err: unknown } | undefined
  #pull: { resolve: (result: IteratorResult<Batch<T>>) => void, reject: (err: unknown) => void } | undefined

  constructor (main: AsyncIterable<Batch<T>>) { this.#main = main[Symbol.asyncIterator]() }

  /** Takes the place of an element with this key that was not taken. The caller bounds the keys. */
  put (key: string, element: T): void {
    this.#put.set(key, element)
    this.#settle()
  }

  next (): Promise<IteratorResult<Batch<T>>> {
    return new Promise((resolve, reject) => {
      this.#pull = { resolve, reject }
      this.#settle()
    })
  }

  async return (): Promise<IteratorResult<Batch<T>>> {
    await this.#main.return?.()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }

  #settle (): void {
    const pull = this.#pull
    if (pull === undefined) return
    const { done, value, err } = this.#next()
    if (value === undefined && !done && err === undefined) {
      this.#ask()
      return
    }
    this.#pull = undefined
    if (err !== undefined) pull.reject(err)
    else pull.resolve(done ? { done: true, value: undefined } : { done: false, value: value as Batch<T> })
  }

  #next (): { done: boolean, value?: Batch<T>, err?: unknown } {
    if (this.#put.size > 0) {
      const value = [...this.#put.values()]
      this.#put.clear()
      return { done: false, value }
    }
    if (this.#failure !== undefined) return { done: false, err: this.#failure.err }
    const result = this.#result
    if (result === undefined) return { done: false }
    if (result.done !== true) this.#result = undefined
    return result.done === true ? { done: true } : { done: false, value: result.value }
  }

  #ask (): void {
    if (this.#isAsked) return
    this.#isAsked = true
    this.#main.next().then((result) => {
      this.#isAsked = false
      this.#result = result
      this.#settle()
    }, (err: unknown) => {
      this.#failure = { err }
      this.#settle()
    })
  }
}
