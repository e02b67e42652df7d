/** Makes a link of any Node stream that reads and writes bytes: a TCP or TLS socket, one half of a `duplexPair`. */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { Channel } from '../streams/channel.ts'
import { Flow } from '../streams/flow.ts'
import { LinkBusyError, LinkClosedError } from '../errors.ts'
import { iterate, leave } from '../streams/interruptible.ts'
import { lendReads } from '../net/native/lent-reads.ts'
import { deliveryOf } from '../net/native/delivery.ts'
import { growReceiveBuffer } from '../net/native/receive-buffer.ts'
import { RecordWriter } from './record-writer.ts'
import { boundUnsent, unsentOf } from '../net/native/unsent.ts'
import { giveBack } from '../buffers/lent-memory.ts'
import { verifyBytes } from '../options.ts'
import type { Batch, Delivery, Link, PacketPort, ReadAhead, Records, Take } from '../types.ts'

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

/** What a write that waits costs besides its bytes; without it a million tiny ones would pass for a few bytes. */
const WRITE_OVERHEAD = 128

/** Classes and not literals with functions: a relay has one of each for every connection. */
class StreamPort implements PacketPort {
  readonly limit: number
  readonly #stream: Duplex
  #writes = 0
  #wantsRecords = false
  #recordWriter: RecordWriter | undefined
  /** Those who wait until there is room. */
  readonly #waiting: Array<() => void> = []

  constructor (stream: Duplex, limit: number) {
    this.#stream = stream
    this.limit = limit
  }

  get queued (): number { return this.#stream.writableLength + (this.#recordWriter?.queued ?? 0) + this.#writes * WRITE_OVERHEAD }

  /** See `Link.records`. */
  get isInRecords (): boolean { return this.#recordWriter !== undefined }

  get backlog (): number | undefined {
    const unsent = unsentOf(this.#stream)
    return unsent === undefined ? undefined : this.queued + unsent
  }

  send (batch: Batch): number {
    const stream = this.#stream
    if (this.queued >= this.limit || !stream.writable) return 0
    this.#writes += batch.length
    if (this.#recordWriter !== undefined) {
      for (const bytes of batch) this.#writeRecords(this.#recordWriter, bytes)
      return batch.length
    }
    let left = batch.length
    let isInUse = true
    const back = (): void => { // to where an encoder has borrowed it; once, as somebody else may have it then
      if (isInUse) giveBack(batch)
      isInUse = false
    }
    writeBatch(stream, batch, (err) => {
      this.#writes--
      left--
      if (err == null && left === 0) back()
    })
    if (stream.writableLength === 0) back()
    return batch.length
  }

  drained (): Promise<void> {
    const stream = this.#stream
    const isFull = this.#recordWriter === undefined ? stream.writableNeedDrain : !this.#recordWriter.isIdle
    if (!isFull || stream.destroyed) return Promise.resolve()
    return new Promise((resolve) => { this.#waiting.push(resolve) })
  }

  /** The kernel has taken everything, or never will. */
  wake (): void {
    if (this.#stream.destroyed) this.#discardRecords()
    else if (this.#recordWriter?.isIdle === false) return
    this.#leaveRecords()
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  writeInRecords (socket: Socket, records: Records | undefined): void {
    this.#wantsRecords = records !== undefined
    if (records === undefined) this.#leaveRecords()
    else this.#recordWriter ??= new RecordWriter(socket, records, () => { this.wake() })
  }

  /** Not before everything in records was written. */
  #leaveRecords (): void {
    if (!this.#wantsRecords && this.#recordWriter?.isIdle === true) this.#recordWriter = undefined
  }

  #discardRecords (): void {
    if (this.#recordWriter === undefined) return
    this.#recordWriter.discard()
    this.#writes = 0
  }

  #writeRecords (writer: RecordWriter, bytes: Uint8Array): void {
    writer.write(bytes, () => {
      this.#writes--
      giveBack([bytes])
    })
  }
}

/** Writes what a source brings. By hand, since a loop of `for await` costs several promises a read. */
class Writing {
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
    giveBack(written)
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
      if (stream.writableLength === 0) giveBack(batch) // else nobody knows how much of it was written
      this.#pull()
    }
  }

  readonly #fail = (err: Error): void => { this.#finish(err) }

  #finish (err?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    void leave(this.#source)
    if (err === undefined) this.#resolve()
    else this.#reject(err)
  }
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
  protected readonly socket: Socket

  constructor (socket: Socket, init: StreamLinkInit) {
    super(socket, init)
    this.socket = socket
  }

  lend (simd = false): void { this.mayLend = simd ? 'simd' : 'any' }

  boundUnsent (bytes: number): void { boundUnsent(this.socket, bytes) }

  delivery (): Delivery | undefined { return deliveryOf(this.socket) }
}

/** Without TLS, which has records of its own that are read as a whole. */
class PlainSocketLink extends SocketLink {
  records (records: Records | undefined): void { this.port.writeInRecords(this.socket, records) }

  growReceiveBuffer (): void { growReceiveBuffer(this.socket) }
}

function writeBatch (stream: Duplex, batch: Batch, onWritten?: (err?: Error | null) => void): void {
  if (batch.length === 1) {
    stream.write(batch[0], onWritten)
    return
  }
  stream.cork()
  for (const bytes of batch) stream.write(bytes, onWritten)
  stream.uncork()
}

/** Ends the writing side; settles when the last byte is with the kernel. */
function end (stream: Duplex): Promise<void> {
  return new Promise((resolve, reject) => {
    stream.end((err?: Error | null) => {
      if (err == null) resolve()
      else reject(stream.errored ?? new LinkClosedError('the link closed before everything was written'))
    })
  })
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
