/** Reads a stream, by a loop or by a function that is called, with a bounded read-ahead, and into pooled memory once it is busy. */
import type { Duplex } from 'node:stream'
import { LinkBusyError } from '../errors.ts'
import { usePooledReads } from '../net/native/pooled-reads.ts'
import { AsyncQueue } from '../streams/async-queue.ts'
import { Flow } from '../streams/flow.ts'
import { stopReadingWhenPaused } from './paused-reads.ts'
import type { Batch, ReadAhead, Take } from '../types.ts'

/** Maximum bytes kept for a busy reader; beyond it the stream is paused, so that the kernel slows the sender down. */
const READ_AHEAD = 256 * 1024

/** Bytes of overhead that a read counts for, so that many tiny reads are bounded too. */
const READ_OVERHEAD = 256

/** A stream is busy after BUSY reads in a row of at least LARGE_READ bytes. Node allocates USUAL_READ bytes for each read, whatever its length. */
const LARGE_READ = 16 * 1024
const BUSY = 4
const USUAL_READ = 64 * 1024

/** A class and not a literal with functions: a relay has one per connection. */
export class StreamSource implements AsyncIterable<Batch> {
  /** Reads may use pooled memory, and of which kind. */
  mayPoolReads: false | 'any' | 'simd' = false
  readonly #stream: Duplex
  readonly #reason: () => Error
  /** Set once the link is read. */
  #incoming: AsyncQueue | Flow | undefined
  #isListening = false
  /** The bound of the read-ahead; undefined: the default. */
  #bound: ReadAhead | undefined

  /** @param reason the error for a closed stream */
  constructor (stream: Duplex, reason: () => Error) {
    this.#stream = stream
    this.#reason = reason
  }

  [Symbol.asyncIterator] (): AsyncQueue {
    if (this.#incoming instanceof Flow) throw new LinkBusyError('this link has a reader already')
    if (this.#incoming !== undefined) return this.#incoming
    const stream = this.#stream
    const incoming: AsyncQueue = this.#incoming = new AsyncQueue({
      weigh: (bytes) => bytes.length + READ_OVERHEAD,
      onPull: () => {
        this.#bound?.waiting(0)
        if (stream.isPaused() && (incoming.isAwaited || this.#ahead > 0)) stream.resume()
      },
      onReturn: () => { stream.pause() }
    })
    this.#listen(incoming)
    return incoming
  }

  /** See `Link.flow`. */
  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    if (this.#incoming !== undefined) throw new LinkBusyError('this link has a reader already')
    const stream = this.#stream
    const flow = this.#incoming = new Flow(take, { onPull: () => { stream.resume() }, onReturn: () => { stream.pause() } })
    this.#listen(flow)
    if (signal?.aborted !== true) stream.resume()
    await flow.until(signal)
    if (signal?.aborted === true) this.#incoming = undefined // another reader may follow
  }

  /** See `Link.readAhead`. */
  readAhead (bound: ReadAhead): void {
    this.#bound = bound
    if (this.#incoming instanceof AsyncQueue) bound.waiting(this.#incoming.size)
  }

  /** Drops what waits for the reader, which gets the reason. */
  abort (): void {
    this.#incoming?.discard()
    this.#incoming?.fail(this.#reason())
  }

  /** Bytes that may wait for the reader. */
  get #ahead (): number { return Math.min(this.#bound?.limit ?? READ_AHEAD, READ_AHEAD) }

  /** Called by the first read: a link that is not read takes no bytes from the kernel. */
  #listen (incoming: AsyncQueue | Flow): void {
    const stream = this.#stream
    if (stream.readableEnded) {
      incoming.end()
    } else if (stream.destroyed) {
      incoming.fail(this.#reason())
    } else if (!this.#isListening) {
      this.#isListening = true
      stopReadingWhenPaused(stream)
      let largeReads = 0
      const take = (bytes: Uint8Array): boolean => {
        const incoming = this.#incoming as AsyncQueue | Flow // not called before there is one
        incoming.push(bytes)
        if (this.#bound !== undefined && incoming instanceof AsyncQueue) this.#bound.waiting(incoming.size)
        return incoming.size < this.#ahead
      }
      const startPooling = (): void => {
        const isPooled = usePooledReads(stream, (bytes) => {
          if (!take(bytes)) stream.pause()
          return true
        }, { simd: this.mayPoolReads === 'simd', largest: () => this.#ahead })
        largeReads = isPooled ? -Infinity : 0
      }
      stream.on('data', (bytes: Uint8Array) => {
        const goesOn = take(bytes)
        if (!goesOn) stream.pause()
        if (this.mayPoolReads === false || stream.readableLength > 0) return
        largeReads = bytes.length >= LARGE_READ ? largeReads + 1 : Math.min(largeReads, 0)
        // Where the read-ahead is small, the buffers of usual reads are too large.
        if (goesOn ? largeReads >= BUSY : largeReads > 0 && this.#ahead < USUAL_READ) startPooling()
      })
      stream.once('end', () => { this.#incoming?.end() })
      stream.once('close', () => {
        const incoming = this.#incoming
        if (incoming === undefined || incoming.closed) return // avoids making an error for nothing
        if (incoming instanceof Flow) incoming.discard() // a busy reader is told now, not when it is done
        incoming.fail(this.#reason())
      })
    }
  }
}
