/** Makes a link of any Node stream that reads and writes bytes: a TCP or TLS socket, one half of a `duplexPair`. */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { Channel } from '../streams/channel.ts'
import { Flow } from '../streams/flow.ts'
import { LinkBusyError, LinkClosedError } from '../errors.ts'
import { lendReads } from '../net/native/lent-reads.ts'
import { growReceiveBuffer } from '../net/native/receive-buffer.ts'
import { StreamPort } from './stream-port.ts'
import { end, Writing } from './stream-writing.ts'
import { verifyBytes } from '../options.ts'
import type { Batch, Link, ReadAhead, Records, Take } from '../types.ts'

/** Bytes that wait in memory for one slow receiver of packets; beyond it they are dropped. As much as one sender of TCP has under way at once. */
export const DEFAULT_QUEUE_LIMIT = 4 << 20

/** Bytes kept for a reader that is busy; beyond it the stream is paused, and then the kernel tells the sender to wait. */
const READ_AHEAD = 256 * 1024

/** What a read costs besides its bytes; without it a sender of single bytes would pass for a few of them. */
const READ_OVERHEAD = 256

/** Reads of at least so many bytes, and how many of them in a row make a stream a busy one: Node makes 64 KiB for each, however few come. */
const LARGE_READ = 16 * 1024
const BUSY = 4
const USUAL_READ = 64 * 1024

export interface StreamLinkInit {
  /** Bound of the packet port in bytes. Default: 4 MiB. */
  queueLimit?: number
}

class StreamLink implements Link {
  readonly source: AsyncIterable<Batch>
  readonly port: StreamPort
  readonly #stream: Duplex
  /** What arrives, once somebody reads. */
  #incoming: Channel | Flow | undefined
  #isListening = false
  /** What `sink` writes from, until it has all of it. */
  #writing: Writing | undefined
  /** Reads may come in memory that is only lent, and in which. */
  protected mayLend: false | 'any' | 'simd' = false
  /** How far it may read ahead; undefined: as far as one alone may. */
  #bound: ReadAhead | undefined
  /** What it was aborted with. */
  #failure: Error | undefined

  constructor (stream: Duplex, { queueLimit = DEFAULT_QUEUE_LIMIT }: StreamLinkInit) {
    verifyBytes('queueLimit', queueLimit)
    this.#stream = stream
    this.source = { [Symbol.asyncIterator]: () => this.#read() }
    const port = this.port = new StreamPort(stream, queueLimit)
    stream.on('error', () => {}) // every error surfaces through `source` and `sink`
    stream.on('drain', () => {
      this.#writing?.resume()
      port.wake()
    })
    stream.once('close', () => {
      this.#writing?.stop()
      port.wake()
    })
  }

  get sink (): Link['sink'] { return (source) => this.#writeFrom(source) } // made when it is asked for, so that an idle link has none

  async #writeFrom (source: AsyncIterable<Batch>): Promise<void> {
    if (this.#writing !== undefined) throw new LinkBusyError('another sink is writing to this link')
    const stream = this.#stream
    const writing = this.#writing = new Writing(stream, source, () => this.#reason())
    try {
      await writing.ended
      if (this.port.isInRecords) await this.port.drained() // what waits behind Node would be cut off
    } finally {
      this.#writing = undefined
    }
    if (stream.destroyed) throw this.#reason() // such a one would not tell that its end will not be sent
    await end(stream)
  }

  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    if (this.#incoming !== undefined) throw new LinkBusyError('somebody else reads this link')
    const stream = this.#stream
    const flow = this.#incoming = new Flow(take, { onPull: () => { stream.resume() }, onReturn: () => { stream.pause() } })
    this.#listen(flow)
    if (signal?.aborted !== true) stream.resume()
    await flow.until(signal)
    if (signal?.aborted === true) this.#incoming = undefined // another reader may come
  }

  readAhead (bound: ReadAhead): void {
    this.#bound = bound
    if (this.#incoming instanceof Channel) bound.waiting(this.#incoming.size)
  }

  abort (err: Error): void {
    if (!this.#stream.destroyed) this.#failure = err
    if (canReset(this.#stream)) this.#stream.resetAndDestroy()
    else this.#stream.destroy(err)
    this.#incoming?.discard()
    this.#incoming?.fail(this.#reason())
  }

  #reason (): Error { return this.#failure ?? this.#stream.errored ?? new LinkClosedError('the link is closed') }

  /** Bytes that may wait for the reader. */
  get #ahead (): number { return Math.min(this.#bound?.limit ?? READ_AHEAD, READ_AHEAD) }

  #read (): Channel {
    if (this.#incoming instanceof Flow) throw new LinkBusyError('somebody else reads this link')
    if (this.#incoming !== undefined) return this.#incoming
    const stream = this.#stream
    const incoming: Channel = this.#incoming = new Channel({
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

  /** Not before somebody reads, so that a link that nobody reads takes no bytes from the kernel. */
  #listen (incoming: Channel | Flow): void {
    const stream = this.#stream
    if (stream.readableEnded) {
      incoming.end()
    } else if (stream.destroyed) {
      incoming.fail(this.#reason())
    } else if (!this.#isListening) {
      this.#isListening = true
      let largeReads = 0
      const take = (bytes: Uint8Array): boolean => {
        const incoming = this.#incoming as Channel | Flow // not read while there is none
        incoming.push(bytes)
        if (this.#bound !== undefined && incoming instanceof Channel) this.#bound.waiting(incoming.size)
        return incoming.size < this.#ahead
      }
      const lend = (): void => {
        const isLent = lendReads(stream, (bytes) => {
          if (!take(bytes)) stream.pause()
          return true
        }, { simd: this.mayLend === 'simd', largest: () => this.#ahead })
        largeReads = isLent ? -Infinity : 0
      }
      stream.on('data', (bytes: Uint8Array) => {
        const goesOn = take(bytes)
        if (!goesOn) stream.pause()
        if (this.mayLend === false || stream.readableLength > 0) return
        largeReads = bytes.length >= LARGE_READ ? largeReads + 1 : Math.min(largeReads, 0)
        // Where little may wait, the buffers of usual reads are too large.
        if (goesOn ? largeReads >= BUSY : largeReads > 0 && this.#ahead < USUAL_READ) lend()
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

/**
 * Whether the other side is to be told of an abort by a reset: it would take what has come for all that there was otherwise. Where
 * nothing has passed there is nothing to be mistaken. While an end waits behind bytes that were not sent, the system refuses.
 */
function canReset (stream: Duplex): stream is Socket {
  if (!(stream instanceof Socket) || stream instanceof TLSSocket || stream.connecting || stream.destroyed) return false
  return stream.bytesWritten + stream.bytesRead > 0 && (!stream.writableEnded || stream.writableFinished)
}

/** Other streams may hand on what they are given to write, and say at once that it was written: their memory is not used again. */
class SocketLink extends StreamLink {
  lend (simd = false): void { this.mayLend = simd ? 'simd' : 'any' }
}

/** Without TLS, which has records of its own that are read as a whole. */
class PlainSocketLink extends SocketLink {
  readonly #socket: Socket

  constructor (socket: Socket, init: StreamLinkInit) {
    super(socket, init)
    this.#socket = socket
  }

  records (records: Records | undefined): void { this.port.writeInRecords(this.#socket, records) }

  growReceiveBuffer (): void { growReceiveBuffer(this.#socket) }
}

/**
 * A link over a stream of bytes.
 *
 * For half-close the stream has to be made with `allowHalfOpen: true`.
 */
export function streamLink (stream: Duplex, init: StreamLinkInit = {}): Link {
  if (stream instanceof TLSSocket) return new SocketLink(stream, init)
  return stream instanceof Socket ? new PlainSocketLink(stream, init) : new StreamLink(stream, init)
}
