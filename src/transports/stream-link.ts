/** Makes a link of any Node stream of bytes: a TCP or TLS socket, one half of a `duplexPair`. */
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
import type { Batch, Delivery, Endpoint, Link, ReadAhead, Records, Take } from '../types.ts'

/** Default bound in bytes of the packets queued for one slow receiver: about what one TCP sender has in flight. */
export const DEFAULT_QUEUE_LIMIT = 4 << 20

/** Options of {@link streamLink}. */
export interface StreamLinkInit {
  /** Bound of the packet port in bytes. Default: 4 MiB. */
  queueLimit?: number
}

class StreamLink implements Link {
  readonly source: StreamSource
  readonly port: StreamPort
  readonly #stream: Duplex
  /** What `sink` is writing, until everything is written. */
  #writing: Writing | undefined
  /** The error of `abort`. */
  #failure: Error | undefined
  readonly #reason = (): Error => this.#failure ?? this.#stream.errored ?? new LinkClosedError('the link is closed')

  constructor (stream: Duplex, { queueLimit = DEFAULT_QUEUE_LIMIT }: StreamLinkInit) {
    verifyBytes('queueLimit', queueLimit)
    this.#stream = stream
    this.source = new StreamSource(stream, this.#reason)
    const port = this.port = new StreamPort(stream, queueLimit)
    stream.on('error', () => {}) // errors surface through `source` and `sink`
    stream.on('drain', () => {
      this.#writing?.resume()
      port.wake()
    })
    stream.once('close', () => {
      this.#writing?.stop()
      port.wake()
    })
  }

  get sink (): Link['sink'] { return (source) => this.#writeFrom(source) } // made on access, so that an idle link has no closure

  async #writeFrom (source: AsyncIterable<Batch>): Promise<void> {
    if (this.#writing !== undefined) throw new LinkBusyError('another sink is writing to this link')
    const stream = this.#stream
    const writing = this.#writing = new Writing(stream, source, this.#reason)
    try {
      await writing.ended
      if (this.port.isInRecords) await this.port.drained() // otherwise what is queued in the record writer would be lost
    } finally {
      this.#writing = undefined
    }
    if (stream.destroyed) throw this.#reason() // a destroyed stream does not report that its end cannot be sent
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
 * Whether an abort may reset the connection, so that the other side does not take it for an orderly end. Not needed where no byte has
 * passed. The system refuses it while an end is queued after unsent bytes.
 */
function canReset (stream: Duplex): stream is Socket {
  if (!(stream instanceof Socket) || stream instanceof TLSSocket || stream.connecting || stream.destroyed) return false
  return stream.bytesWritten + stream.bytesRead > 0 && (!stream.writableEnded || stream.writableFinished)
}

/** Only of sockets may written memory be reused: other streams may pass it on, and call back at once. */
class SocketLink extends StreamLink {
  protected readonly socket: Socket

  constructor (socket: Socket, init: StreamLinkInit) {
    super(socket, init)
    this.socket = socket
  }

  /** Rarely read, and costs a system call. */
  get local (): Endpoint { return { host: this.socket.localAddress ?? '', port: this.socket.localPort ?? 0 } }

  poolReads (simd = false): void { this.source.mayPoolReads = simd ? 'simd' : 'any' }

  boundUnsent (bytes: number): void { boundUnsent(this.socket, bytes) }

  delivery (): Delivery | undefined { return deliveryOf(this.socket) }
}

/** Not for TLS, whose records are read as a whole. */
class PlainSocketLink extends SocketLink {
  records (records: Records | undefined): void { this.port.writeInRecords(this.socket, records) }

  growReceiveBuffer (): void { growReceiveBuffer(this.socket) }
}

/** Makes a link of a stream of bytes. For half-close the stream has to be made with `allowHalfOpen: true`. */
export function streamLink (stream: Duplex, init: StreamLinkInit = {}): Link {
  if (stream instanceof TLSSocket) return new SocketLink(stream, init)
  return stream instanceof Socket ? new PlainSocketLink(stream, init) : new StreamLink(stream, init)
}
