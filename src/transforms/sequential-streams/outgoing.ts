/** Encodes the outgoing direction of a connection with sequential streams: headers, data, ends. */
import { acknowledgement, chunkOf, endOf, type Ending, joined } from './chunks.ts'
import { LinkBusyError, LinkClosedError } from '../../errors.ts'
import { iterate, closeIterator } from '../../streams/abortable-source.ts'
import type { Batch } from '../../types.ts'

interface Waiter {
  resolve (): void
  reject (err: Error): void
}

/** A source that is being sent, and the caller that waits for its end. */
interface Sending extends Waiter {
  source: AsyncIterator<Batch>
  isReading: boolean
}

/**
 * Runs after the next turn of the event loop: a stream header is written together with the data that arrives until then, as one write costs
 * less than two. By then everything in the kernel has been read once.
 */
const soon = (then: () => void): void => { setImmediate(() => { setImmediate(then) }) }

/** The source for `sink`. Not a generator, which would cost several promises per read. */
export class Outgoing implements AsyncIterableIterator<Batch> {
  /** Batches that can be written. */
  readonly #ready: Batch[] = []
  /** A stream header, or an acknowledgement, that waits for data to be written with. */
  #held: Uint8Array | undefined
  #sending: Sending | undefined
  /** The caller that waits until everything is written. */
  #ending: Waiter | undefined
  /** The pending read of `sink`. */
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

  /** Sends a stream header with the next data, or soon. */
  sendHeader (header: Uint8Array): void { this.#hold(joined(chunkOf([header]))) }

  /** Acknowledges a stream header with the next data, or soon. */
  acknowledge (): void { this.#hold(acknowledgement()) }

  /** Sends a source in chunks, without an end. Settles when everything was handed to the connection. */
  send (source: AsyncIterable<Batch>): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#isClosed) throw new LinkClosedError('the connection is closed')
      if (this.#sending !== undefined) throw new LinkBusyError('another sink is writing to this link')
      this.#sending = { source: iterate(source), isReading: false, resolve, reject }
      this.#advance()
    })
  }

  /**
   * Ends a direction. A source that is being sent ends with it, and its caller gets the reason. Settles when the connection below has taken
   * everything; rejects when it breaks.
   */
  end (ending: Ending, reason?: Error): Promise<void> {
    this.#closeSource(reason)
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) throw this.#failure
      this.#ending = { resolve, reject }
      this.#enqueue(endOf(ending))
    })
  }

  /** Ends the connection after everything is written. */
  close (): void {
    this.#isClosed = true
    this.#advance()
  }

  /** Ends at once. */
  fail (err: Error): void {
    this.#failure ??= err
    this.#held = undefined
    this.#ready.length = 0
    this.#closeSource(err)
    this.#ending?.reject(err)
    this.close()
  }

  #hold ([bytes]: Batch): void {
    this.#held = bytes
    soon(() => { if (this.#held === bytes) this.#enqueue([]) })
  }

  #enqueue (batch: Batch): void {
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
        this.#enqueue(chunkOf(value))
      }
    }, (err: Error) => {
      if (this.#sending !== sending) return
      this.#sending = undefined
      sending.reject(err)
    })
  }

  /** Closes the source that is being sent, and settles its caller. */
  #closeSource (reason: Error | undefined): void {
    const sending = this.#sending
    if (sending === undefined) return
    this.#sending = undefined
    void closeIterator(sending.source)
    sending.reject(reason ?? new LinkClosedError('the link has ended'))
  }
}
