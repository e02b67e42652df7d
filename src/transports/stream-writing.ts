/** Writes to a stream: batches, what a source brings, and the end. */
import type { Duplex } from 'node:stream'
import { release } from '../buffers/buffer-pool.ts'
import { LinkClosedError } from '../errors.ts'
import { iterate, closeIterator } from '../streams/abortable-source.ts'
import type { Batch } from '../types.ts'

/** One write below for the whole batch. `onWritten` is called for each element. */
export function writeBatch (stream: Duplex, batch: Batch, onWritten?: (err?: Error | null) => void): void {
  if (batch.length === 1) {
    stream.write(batch[0], onWritten)
    return
  }
  stream.cork()
  for (const bytes of batch) stream.write(bytes, onWritten)
  stream.uncork()
}

/** Writes what a source brings. By hand, since a loop of `for await` costs several promises a read. */
export class Writing {
  /** Settles when all of it was written; rejects with what the source throws, and with the reason when the stream has closed. */
  readonly ended: Promise<void>
  readonly #stream: Duplex
  readonly #source: AsyncIterator<Batch>
  readonly #reason: () => Error
  #resolve: () => void = () => {}
  #reject: (err: Error) => void = () => {}
  #isOver = false
  /** What was written and waits for the kernel. */
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
      if (stream.writableLength === 0) release(batch) // else nobody knows how much of it was written
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

/** Ends the writing side; settles when the last byte is with the kernel. */
export function end (stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.end((err?: Error | null) => {
      if (err == null) resolve()
      else reject(stream.errored ?? new LinkClosedError('the link closed before everything was written'))
    })
  })
}
