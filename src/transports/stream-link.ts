/** Makes a link of any Node stream that reads and writes bytes: a TCP or TLS socket, one half of a `duplexPair`. */
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { LinkBusyError, LinkClosedError } from '../errors.ts'
import { deliveryOf } from '../net/native/delivery.ts'
import { growReceiveBuffer } from '../net/native/receive-buffer.ts'
import { boundUnsent } from '../net/native/unsent.ts'
import { StreamPort } from './stream-port.ts'
import { StreamSource } from './stream-source.ts'
import { end, Writing } from './stream-writing.ts'
import { verifyBytes } from '../options.ts'
import type { Batch, Delivery, Link, ReadAhead, Records, Take } from '../types.ts'

/** Bytes that wait in memory for one slow receiver of packets; beyond it they are dropped. As much as one sender of TCP has under way at once. */
export const DEFAULT_QUEUE_LIMIT = 4 << 20

export interface StreamLinkInit {
  /** Bound of the packet port in bytes. Default: 4 MiB. */
  queueLimit?: number
}

class StreamLink implements Link {
  readonly source: StreamSource
  readonly port: StreamPort
  readonly #stream: Duplex
  /** What `sink` writes from, until it has all of it. */
  #writing: Writing | undefined
  /** What it was aborted with. */
  #failure: Error | undefined
  readonly #reason = (): Error => this.#failure ?? this.#stream.errored ?? new LinkClosedError('the link is closed')

  constructor (stream: Duplex, { queueLimit = DEFAULT_QUEUE_LIMIT }: StreamLinkInit) {
    verifyBytes('queueLimit', queueLimit)
    this.#stream = stream
    this.source = new StreamSource(stream, this.#reason)
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
    const writing = this.#writing = new Writing(stream, source, this.#reason)
    try {
      await writing.ended
      if (this.port.isInRecords) await this.port.drained() // what waits behind Node would be cut off
    } finally {
      this.#writing = undefined
    }
    if (stream.destroyed) throw this.#reason() // such a one would not tell that its end will not be sent
    await end(stream)
  }

  flow (take: Take, signal?: AbortSignal): Promise<void> { return this.source.flow(take, signal) }

  readAhead (bound: ReadAhead): void { this.source.readAhead(bound) }

  abort (err: Error): void {
    if (!this.#stream.destroyed) this.#failure = err
    if (canReset(this.#stream)) this.#stream.resetAndDestroy()
    else this.#stream.destroy(err)
    this.source.abort()
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

  poolReads (simd = false): void { this.source.mayPoolReads = simd ? 'simd' : 'any' }

  boundUnsent (bytes: number): void { boundUnsent(this.socket, bytes) }

  delivery (): Delivery | undefined { return deliveryOf(this.socket) }
}

/** Without TLS, which has records of its own that are read as a whole. */
class PlainSocketLink extends SocketLink {
  records (records: Records | undefined): void { this.port.writeInRecords(this.socket, records) }

  growReceiveBuffer (): void { growReceiveBuffer(this.socket) }
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
