/** Reads a stream: for a loop or for a function that is called, no further ahead than it may, and into lent memory once it is busy. */
import type { Duplex } from 'node:stream'
import { LinkBusyError } from '../errors.ts'
import { usePooledReads } from '../net/native/pooled-reads.ts'
import { AsyncQueue } from '../streams/async-queue.ts'
import { Flow } from '../streams/flow.ts'
import type { Batch, ReadAhead, Take } from '../types.ts'

/** Bytes kept for a reader that is busy; beyond it the stream is paused, and then the kernel tells the sender to wait. */
const READ_AHEAD = 256 * 1024

/** What a read costs besides its bytes; without it a sender of single bytes would pass for a few of them. */
const READ_OVERHEAD = 256

/** Reads of at least so many bytes, and how many of them in a row make a stream a busy one: Node makes 64 KiB for each, however few come. */
const LARGE_READ = 16 * 1024
const BUSY = 4
const USUAL_READ = 64 * 1024

/** A class and not a literal with functions: a relay has one for every connection. */
export class StreamSource implements AsyncIterable<Batch> {
  /** Reads may come in memory that is only lent, and in which. */
  mayPoolReads: false | 'any' | 'simd' = false
  readonly #stream: Duplex
  readonly #reason: () => Error
  /** What arrives, once somebody reads. */
  #incoming: AsyncQueue | Flow | undefined
  #isListening = false
  /** How far it may read ahead; undefined: as far as one alone may. */
  #bound: ReadAhead | undefined

  /** @param reason why the stream has closed */
  constructor (stream: Duplex, reason: () => Error) {
    this.#stream = stream
    this.#reason = reason
  }

  [Symbol.asyncIterator] (): AsyncQueue {
    if (this.#incoming instanceof Flow) throw new LinkBusyError('somebody else reads this link')
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
    if (this.#incoming !== undefined) throw new LinkBusyError('somebody else reads this link')
    const stream = this.#stream
    const flow = this.#incoming = new Flow(take, { onPull: () => { stream.resume() }, onReturn: () => { stream.pause() } })
    this.#listen(flow)
    if (signal?.aborted !== true) stream.resume()
    await flow.until(signal)
    if (signal?.aborted === true) this.#incoming = undefined // another reader may come
  }

  /** See `Link.readAhead`. */
  readAhead (bound: ReadAhead): void {
    this.#bound = bound
    if (this.#incoming instanceof AsyncQueue) bound.waiting(this.#incoming.size)
  }

  /** What waits for the reader is forgotten, and it is told the reason. */
  abort (): void {
    this.#incoming?.discard()
    this.#incoming?.fail(this.#reason())
  }

  /** Bytes that may wait for the reader. */
  get #ahead (): number { return Math.min(this.#bound?.limit ?? READ_AHEAD, READ_AHEAD) }

  /** Not before somebody reads, so that a link that nobody reads takes no bytes from the kernel. */
  #listen (incoming: AsyncQueue | Flow): void {
    const stream = this.#stream
    if (stream.readableEnded) {
      incoming.end()
    } else if (stream.destroyed) {
      incoming.fail(this.#reason())
    } else if (!this.#isListening) {
      this.#isListening = true
      let largeReads = 0
      const take = (bytes: Uint8Array): boolean => {
        const incoming = this.#incoming as AsyncQueue | Flow // not read while there is none
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
        // Where little may wait, the buffers of usual reads are too large.
        if (goesOn ? largeReads >= BUSY : largeReads > 0 && this.#ahead < USUAL_READ) startPooling()
      })
      stream.once('end', () => { this.#incoming?.end() })
      stream.once('close', () => {
        const incoming = this.#incoming
        if (incoming === undefined || incoming.closed) return // an error is not made for nothing
        if (incoming instanceof Flow) incoming.discard() // a reader that is busy learns it now, and not when it is done
        incoming.fail(this.#reason())
      })
    }
  }
}
