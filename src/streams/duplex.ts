/** A link as a stream of Node, for `stream.pipeline` and for libraries that take streams. */
import { Duplex, type DuplexOptions } from 'node:stream'
import { consumeSource } from './consume.ts'
import { LinkClosedError } from '../errors.ts'
import { verifyBytes } from '../options.ts'
import type { Batch, Link } from '../types.ts'

export interface DuplexOfInit {
  /** Each element of the link is one chunk, empty ones too, for a link of messages. Default: false, chunks are any bytes of a stream. */
  objectMode?: boolean
  /** Bytes, or chunks in object mode, that wait on either side before the sender has to. Default: that of Node. */
  highWaterMark?: number
}

type Done = (err?: Error | null) => void

/** A write that `sink` has not asked for yet, or is busy with. */
interface Write {
  batch: Batch
  done: Done
}

class LinkDuplex extends Duplex {
  readonly #link: Link
  /** Settles with `sink`, once that has begun. */
  #sinking: Promise<void> | undefined
  #pending: Write | undefined
  #isEnding = false
  /** Of the write that `sink` is busy with. */
  #written: Done | undefined
  /** `sink` waits for the next write. */
  #wanted: ((result: IteratorResult<Batch>) => void) | undefined
  #isReading = false
  /** The reader takes more. */
  #onPull: (() => void) | undefined

  constructor (link: Link, options: DuplexOptions) {
    super({ ...options, allowHalfOpen: true })
    this.#link = link
  }

  override _read (): void {
    const onPull = this.#onPull
    this.#onPull = undefined
    onPull?.()
    if (this.#isReading) return
    this.#isReading = true
    consumeSource(this.#link.source, (batch) => this.#push(batch)).then(() => { this.push(null) }, (err: Error) => { this.destroy(err) })
  }

  override _write (chunk: Uint8Array, _encoding: BufferEncoding, done: Done): void { this.#write({ batch: [chunk], done }) }

  override _writev (chunks: Array<{ chunk: Uint8Array }>, done: Done): void { this.#write({ batch: chunks.map(({ chunk }) => chunk), done }) }

  override _final (done: Done): void {
    this.#isEnding = true
    this.#sink().then(() => { done() }, done)
    this.#offer()
  }

  override _destroy (err: Error | null, done: Done): void {
    if (err !== null || !this.readableEnded || !this.writableFinished) this.#link.abort(err ?? new LinkClosedError('the stream was destroyed'))
    this.#wanted?.({ done: true, value: undefined })
    this.#onPull?.()
    done(err)
  }

  #push (batch: Batch): Promise<void> | void {
    let wantsMore = true
    for (const bytes of batch) wantsMore = this.push(bytes)
    if (!wantsMore && !this.destroyed) return new Promise((resolve) => { this.#onPull = resolve })
  }

  #write (write: Write): void {
    this.#pending = write
    this.#sink().catch((err: Error) => { this.destroy(err) })
    this.#offer()
  }

  #sink (): Promise<void> {
    this.#sinking ??= this.#link.sink({ [Symbol.asyncIterator]: () => ({ next: () => this.#next(), return: () => this.#leave() }) })
    return this.#sinking
  }

  /** The write before was handed over. */
  #next (): Promise<IteratorResult<Batch>> {
    const written = this.#written
    this.#written = undefined
    return new Promise((resolve) => {
      this.#wanted = resolve
      written?.()
      this.#offer()
    })
  }

  #offer (): void {
    const wanted = this.#wanted
    const write = this.#pending
    if (wanted === undefined || (write === undefined && !this.#isEnding)) return
    this.#wanted = this.#pending = undefined
    this.#written = write?.done
    wanted(write === undefined ? { done: true, value: undefined } : { done: false, value: write.batch })
  }

  async #leave (): Promise<IteratorResult<Batch>> { return { done: true, value: undefined } }
}

/**
 * A Node stream of any link of bytes, as `streamLink` makes a link of a stream.
 *
 * Both ends are kept: `end()` ends one direction of the link, and the end of its source is `end` here. Back-pressure passes through in
 * both directions. `destroy`, and so a signal of `addAbortSignal`, aborts the link; what breaks the link destroys the stream. The link
 * belongs to the stream from now on. Of a WebSocket somebody has to read, if only by `resume()`: its end is told there.
 *
 * @throws {OptionError} when `highWaterMark` is no number of bytes
 */
export function duplexOf (link: Link, { objectMode = false, highWaterMark }: DuplexOfInit = {}): Duplex {
  if (highWaterMark !== undefined) verifyBytes('highWaterMark', highWaterMark)
  return new LinkDuplex(link, { objectMode, highWaterMark })
}
