/** What leaves on a connection of links that follow one another: openings, what a source brings, ends. */
import { acknowledgement, chunkOf, endOf, type Ending, joined } from './chunks.ts'
import { LinkBusyError, LinkClosedError } from '../../errors.ts'
import { iterate, closeIterator } from '../../streams/abortable-source.ts'
import type { Batch } from '../../types.ts'

interface Waiter {
  resolve (): void
  reject (err: Error): void
}

/** A source that is being sent, and whoever waits for its end. */
interface Sending extends Waiter {
  source: AsyncIterator<Batch>
  isReading: boolean
}

/**
 * Whatever has come by the end of the next turn of the event loop goes together with the opening of a link, since one write costs
 * less than two. By then all that waits in the kernel has been read once.
 */
const soon = (then: () => void): void => { setImmediate(() => { setImmediate(then) }) }

/** An iterator for `sink`. Not a generator, which would cost several promises a read. */
export class Outgoing implements AsyncIterableIterator<Batch> {
  /** What can go at once. */
  readonly #ready: Batch[] = []
  /** An opening, or its acknowledgement, that waits for something to go with it. */
  #held: Uint8Array | undefined
  #sending: Sending | undefined
  /** Waits until all is with the system. */
  #ending: Waiter | undefined
  /** The reader, while it waits. */
  #waiting: ((result: IteratorResult<Batch>) => void) | undefined
  #isClosed = false
  #failure: Error | undefined

  get isClosed (): boolean { return this.#isClosed }

  next (): Promise<IteratorResult<Batch>> {
    return new Promise((resolve) => {
      this.#waiting = resolve
      this.#advance()
    })
  }

  async return (): Promise<IteratorResult<Batch>> {
    this.fail(new LinkClosedError('the connection has ended'))
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }

  /** An opening goes with what is sent next, or in a moment. */
  sendHeader (header: Uint8Array): void { this.#hold(joined(chunkOf([header]))) }

  /** So does the word that one has arrived. */
  acknowledge (): void { this.#hold(acknowledgement()) }

  /** Sends what a source brings, chunk by chunk, without its end. Settles when all of it is on its way. */
  send (source: AsyncIterable<Batch>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new LinkClosedError('the connection is closed')
      if (this.#sending !== undefined) throw new LinkBusyError('another sink is writing to this link')
      this.#sending = { source: iterate(source), isReading: false, resolve, reject }
      this.#advance()
    })
  }

  /**
   * The end of a direction. What is being sent ends with it, and its sender is told. Settles when the connection below has taken
   * all of it and asks for more; rejects when it breaks.
   */
  end (ending: Ending, reason?: Error): Promise<void> {
    this.#leave(reason)
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure
      this.#ending = { resolve, reject }
      this.#give(endOf(ending))
    })
  }

  /** Nothing more will be sent; ends once all is gone. */
  close (): void {
    this.#isClosed = true
    this.#advance()
  }

  /** Ends at once. */
  fail (err: Error): void {
    this.#failure ??= err
    this.#held = undefined
    this.#ready.length = 0
    this.#leave(err)
    this.#ending?.reject(err)
    this.close()
  }

  #hold ([bytes]: Batch): void {
    this.#held = bytes
    soon(() => { if (this.#held === bytes) this.#give([]) })
  }

  #give (batch: Batch): void {
    if (this.#held !== undefined) batch.unshift(this.#held)
    this.#held = undefined
    if (batch.length > 0) this.#ready.push(joined(batch))
    this.#advance()
  }

  #advance (): void {
    const waiting = this.#waiting
    if (waiting === undefined) return
    const value = this.#ready.shift()
    if (value !== undefined) {
      this.#waiting = undefined
      waiting({ done: false, value })
      return
    }
    const ending = this.#ending
    this.#ending = undefined
    ending?.resolve()
    if (this.#sending !== undefined) {
      this.#read(this.#sending)
    } else if (this.#isClosed && this.#held === undefined) {
      this.#waiting = undefined
      waiting({ done: true, value: undefined })
    }
  }

  #read (sending: Sending): void {
    if (sending.isReading) return
    sending.isReading = true
    sending.source.next().then(({ done, value }) => {
      if (this.#sending !== sending) return
      sending.isReading = false
      if (done === true) {
        this.#sending = undefined
        sending.resolve()
      } else {
        this.#give(chunkOf(value))
      }
    }, (err: Error) => {
      if (this.#sending !== sending) return
      this.#sending = undefined
      sending.reject(err)
    })
  }

  /** Tells the source that nobody reads it any more, and its sender why. */
  #leave (reason: Error | undefined): void {
    const sending = this.#sending
    if (sending === undefined) return
    this.#sending = undefined
    void closeIterator(sending.source)
    sending.reject(reason ?? new LinkClosedError('the link has ended'))
  }
}
