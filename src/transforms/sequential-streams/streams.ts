/**
 * Sequential streams over one connection: each takes a stream header in place of a new connection.
 *
 * ```ts
 * const server = new SequentialStreams(connection)
 * await bridge(user, server.open(Buffer.from('{}')))      // one side opens streams,
 *
 * for (let next; (next = await client.accept()) !== undefined;) await serve(next.header, next.link)   // the other one accepts them
 * ```
 *
 * Each direction has chunks: a length of four bytes, big-endian, and as many bytes. The first chunk of the side that opens is the stream
 * header. Length 0 ends a stream in this direction, 0xffffffff resets it; the header of the next stream follows once both directions have
 * ended. Back-pressure is that of the connection. Where both sides have agreed on it, length 0xfffffffe is the first answer, and
 * acknowledges the header.
 */
import { MAX_STREAM_HEADER } from './chunks.ts'
import { Incoming } from './incoming.ts'
import { type SharedConnection, SequentialStream } from './stream.ts'
import { Outgoing } from './outgoing.ts'
import { LinkBusyError, LinkClosedError, TruncatedError } from '../../errors.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Clock, Link } from '../../types.ts'
import { FrameSizeError } from '../length-codecs.ts'

/** Milliseconds for the other side to end the connection after this one has. */
const CLOSE_TIMEOUT = 3000

/** Options of {@link SequentialStreams}. */
export interface SequentialStreamsInit {
  /**
   * The accepting side acknowledges each stream header, so that the opening side learns whether the connection is still alive. Both have to
   * know. Default: false.
   */
  acknowledges?: boolean
  /** Default: that of the system. */
  clock?: Clock
}

/** Carries streams one after the other on one link. */
export class SequentialStreams {
  readonly #connection: SharedConnection
  readonly #lower: Link
  /** Stream headers are acknowledged. */
  readonly acknowledges: boolean
  #current: SequentialStream | undefined
  #onIdleOnce: (() => void) | undefined
  /** Settles when the connection has ended, for whatever reason. */
  readonly ended: Promise<void>
  /** Called when both directions of a stream have ended; another one may be opened. */
  onIdle: () => void = () => {}

  constructor (lower: Link, { acknowledges = false, clock = systemClock }: SequentialStreamsInit = {}) {
    this.#lower = lower
    this.acknowledges = acknowledges
    this.#connection = {
      clock,
      incoming: new Incoming(lower.source[Symbol.asyncIterator]()),
      outgoing: new Outgoing(),
      poolReads: () => { lower.poolReads?.() },
      readAhead: (bound) => { lower.readAhead?.(bound) },
      boundUnsent: (bytes) => { lower.boundUnsent?.(bytes) },
      delivery: () => lower.delivery?.(),
      streamEnded: (link) => { this.#onStreamEnd(link) },
      abort: (err) => { this.abort(err) }
    }
    this.ended = lower.sink(this.#connection.outgoing).then(() => this.#awaitPeerClose(), () => {}).then(() => { this.abort(new LinkClosedError('the connection has ended')) })
  }

  /** No stream is open. */
  get isIdle (): boolean { return this.#current === undefined }

  /**
   * Opens the next stream. No other one may be open.
   *
   * @param onAcknowledged called when the other side has acknowledged the header, while the stream is read or `acknowledged` is pending
   */
  open (header: Uint8Array, onAcknowledged: () => void = () => {}): Link {
    if (this.#current !== undefined) throw new LinkBusyError('a link is open on this connection')
    if (header.length === 0 || header.length > MAX_STREAM_HEADER) throw new FrameSizeError(`an opening of ${header.length} bytes, 1 to ${MAX_STREAM_HEADER} are possible`)
    this.#connection.outgoing.sendHeader(header)
    if (this.acknowledges) this.#connection.incoming.expectAcknowledgement(onAcknowledged)
    return this.#newStream()
  }

  /**
   * Settles when the other side has acknowledged the header of the open stream; to be called before the stream is read. Rejects when the
   * connection ends first.
   */
  acknowledged (): Promise<void> { return this.#connection.incoming.acknowledged() }

  /** The next stream that the other side opens; undefined when it has ended the connection. Rejects with the error that broke it. */
  async accept (): Promise<{ header: Uint8Array, link: Link } | undefined> {
    if (this.#current !== undefined) await new Promise<void>((resolve) => { this.#onIdleOnce = resolve })
    const { incoming } = this.#connection
    let header
    while ((header = incoming.takeHeader()) === undefined) {
      if (await incoming.read()) continue
      if (!incoming.isEmpty) throw new TruncatedError('the connection ended inside an opening')
      this.close()
      return undefined
    }
    if (this.acknowledges) this.#connection.outgoing.acknowledge()
    return { header, link: this.#newStream() }
  }

  /** Watches for the end of the connection while no stream is open, and then ends it here as well. Data at that time is an error. */
  watchForClose (): void {
    const { incoming } = this.#connection
    const noticed = (isMore: boolean): void => {
      if (!this.isIdle) return
      if (isMore) this.abort(new LinkClosedError('the other side speaks before it was asked'))
      else this.close() // what was sent before may not be written yet
    }
    if (incoming.isEmpty) incoming.readAhead().then(noticed, (err: Error) => { if (this.isIdle) this.abort(err) })
    else noticed(true)
  }

  /** Ends the connection after everything is written. */
  close (): void { this.#connection.outgoing.close() }

  abort (err: Error): void {
    this.#lower.abort(err)
    this.#connection.outgoing.fail(err)
    this.#onIdleOnce?.()
  }

  /** This side has ended the connection. The other one has some time to receive what was sent, and to end it as well. */
  async #awaitPeerClose (): Promise<void> {
    const { clock, incoming } = this.#connection
    const timer = clock.set(CLOSE_TIMEOUT, () => { this.abort(new LinkClosedError('the other side does not end the connection')) })
    await incoming.drain()
    clock.clear(timer)
  }

  #newStream (): SequentialStream {
    this.#current = new SequentialStream(this.#connection)
    return this.#current
  }

  #onStreamEnd (link: SequentialStream): void {
    if (this.#current !== link) return
    this.#current = undefined
    this.#onIdleOnce?.()
    if (!this.#connection.outgoing.isClosed) this.onIdle()
  }
}
