/** A source that can be ended from outside while its reader waits. */

import { LinkBusyError } from '../errors.ts'

export interface AbortableSourceInit {
  /** Leave the source open on abort; the next reader of the source misses nothing. Default: false. */
  keep?: boolean
}

/** By iterator: the pending read of a reader that was aborted and has kept its source. */
const unread = new WeakMap<object, Promise<IteratorResult<any>>>()

/** That read, for a reader that is not abortable. */
export function takeUnread<T> (iterator: AsyncIterator<T>): Promise<IteratorResult<T>> | undefined {
  const read = unread.get(iterator)
  unread.delete(iterator)
  return read
}

export class AbortableSource<T> implements AsyncIterableIterator<T> {
  readonly #inner: AsyncIterator<T>
  readonly #keep: boolean
  /** The pending read. */
  #read: Promise<IteratorResult<T>> | undefined
  #settle: ((result: IteratorResult<T>) => void) | undefined
  #aborted = false

  constructor (source: AsyncIterable<T> | Iterable<T>, { keep = false }: AbortableSourceInit = {}) {
    this.#inner = iterate(source)
    this.#keep = keep
  }

  get aborted (): boolean { return this.#aborted }

  abort (): void {
    if (this.#aborted) return
    this.#aborted = true
    this.#settle?.({ done: true, value: undefined })
    if (!this.#keep) {
      void closeIterator(this.#inner)
    } else if (this.#read !== undefined) {
      unread.set(this.#inner, this.#read)
    }
  }

  next (): Promise<IteratorResult<T>> {
    if (this.#aborted) return Promise.resolve({ done: true, value: undefined })
    if (this.#read !== undefined) return Promise.reject(new LinkBusyError('a source has one reader, and it is waiting already'))
    // One promise per pull; racing one long-lived promise would leak reactions.
    return new Promise((resolve, reject) => {
      this.#settle = resolve
      this.#read = takeUnread(this.#inner) ?? this.#inner.next()
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
    this.abort()
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }
}

/** Arrays and other iterables too, as `it-pipe` passes them on as they are. */
async function * wrap<T> (source: Iterable<T>): AsyncGenerator<T> { yield * source }

/** The iterator of a source of either kind. */
export function iterate<T> (source: AsyncIterable<T> | Iterable<T>): AsyncIterator<T> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : wrap(source)
}

/** Closes an iterator that is not read any more. Must not be awaited: a generator that is waiting settles only when its wait is over. */
export async function closeIterator (iterator: AsyncIterator<unknown>): Promise<void> {
  try {
    await iterator.return?.()
  } catch {
    // The source is not used any more.
  }
}
