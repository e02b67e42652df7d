/** A link as a Node stream, for `stream.pipeline` and libraries that take streams. */
import { Duplex, type DuplexOptions } from 'node:stream'
import { consumeSource } from './consume.ts'
import { LinkClosedError } from '../errors.ts'
import { verifyBytes } from '../options.ts'
import type { Batch, Link } from '../types.ts'

/** Options of {@link duplexOf}. */
export interface DuplexOfInit {
  /** Each element of the link is one chunk, also empty ones: for a link of messages. Default: false, chunk boundaries have no meaning. */
  objectMode?: boolean
  /** Bytes, or chunks in object mode, buffered on either side. Default: that of Node. */
  highWaterMark?: number
}

type Done = (err?: Error | null) => void

/** A write that `sink` has not pulled yet, or is writing. */
interface Write {
  batch: Batch
  done: Done
}

class LinkDuplex extends Duplex {
  readonly #link: Link
  /** Settles with `sink`, once it was called. */
  #sinking: Promise<void> | undefined
  #pending: Write | undefined
  #isEnding = false
  /** Callback of the write that `sink` is writing. */
  #written: Done | undefined
  /** `sink` is waiting for the next write. */
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

  /** Called by `sink`: the write before was handed over. */
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
 * Makes a Node stream of any link of bytes; the opposite of `streamLink`.
 *
 * Half-close is kept: `end()` ends one direction of the link, and the end of its source emits `end`. Back-pressure works in both
 * directions. `destroy`, and so a signal of `addAbortSignal`, aborts the link; an error of the link destroys the stream. The stream owns
 * the link from now on. A WebSocket has to be read, if only by `resume()`: its end is reported by the readable side.
 *
 * @throws {OptionError} when `highWaterMark` is not a number of bytes
 */
export function duplexOf (link: Link, { objectMode = false, highWaterMark }: DuplexOfInit = {}): Duplex {
  if (highWaterMark !== undefined) verifyBytes('highWaterMark', highWaterMark)
  return new LinkDuplex(link, { objectMode, highWaterMark })
}
