/** Writes to a stream: a batch, a source, and the end. */
import type { Duplex } from 'node:stream'
import { release } from '../buffers/buffer-pool.ts'
import { LinkClosedError } from '../errors.ts'
import { iterate, closeIterator } from '../streams/abortable-source.ts'
import type { Batch } from '../types.ts'

/** Writes a batch with one write below. `onWritten` is called for each element. */
export function writeBatch (stream: Duplex, batch: Batch, onWritten?: (err?: Error | null) => void): void {
  if (batch.length === 1) {
    stream.write(batch[0], onWritten)
    return
  }
  stream.cork()
  for (const bytes of batch) stream.write(bytes, onWritten)
  stream.uncork()
}

/** Writes a source. Without `for await`, which costs several promises per read. */
export class Writing {
  /** Settles when everything is written; rejects with an error of the source, and with the reason when the stream has closed. */
  readonly ended: Promise<void>
  readonly #stream: Duplex
  readonly #source: AsyncIterator<Batch>
  readonly #reason: () => Error
  #resolve: () => void = () => {}
  #reject: (err: Error) => void = () => {}
  #isOver = false
  /** The batch that was written and that the kernel has not taken yet. */
  #written: Batch | undefined

  constructor (stream: Duplex, source: AsyncIterable<Batch>, reason: () => Error) {
    this.#stream = stream
    this.#source = iterate(source)
    this.#reason = reason
    this.ended = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    if (stream.writable) this.#pull()
    else this.stop()
  }

  /** The kernel has taken everything. */
  resume (): void {
    const written = this.#written
    if (written === undefined) return
    this.#written = undefined
    release(written)
    this.#pull()
  }

  /** The stream has closed. */
  stop (): void { this.#finish(this.#reason()) }

  #pull (): void { this.#source.next().then(this.#take, this.#fail) }

  readonly #take = ({ done, value: batch }: IteratorResult<Batch>): void => {
    if (this.#isOver) return
    const stream = this.#stream
    if (done === true) {
      this.#finish()
    } else if (!stream.writable) {
      this.stop()
    } else {
      writeBatch(stream, batch)
      if (stream.writableNeedDrain && stream.writableLength > 0) {
        this.#written = batch
        return
      }
      if (stream.writableLength === 0) release(batch) // otherwise part of it may still be in use
      this.#pull()
    }
  }

  readonly #fail = (err: Error): void => { this.#finish(err) }

  #finish (err?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    void closeIterator(this.#source)
    if (err === undefined) this.#resolve()
    else this.#reject(err)
  }
}

/** Ends the writing side; settles when the kernel has the last byte. */
export function end (stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.end((err?: Error | null) => {
      if (err == null) resolve()
      else reject(stream.errored ?? new LinkClosedError('the link closed before everything was written'))
    })
  })
}
