/**
 * One link after another over one connection: what would be a new connection for each is only an opening message on one that is
 * there already.
 *
 * ```ts
 * const server = new SequentialStreams(connection)
 * await bridge(user, server.begin(Buffer.from('{}')))      // one side begins,
 *
 * for (let next; (next = await client.opened()) !== undefined;) await serve(next.opening, next.link)   // the other one follows
 * ```
 *
 * In either direction there are chunks, each a length of four bytes, big-endian, and as many bytes. The first chunk of the side
 * that begins is the opening. Length 0 is the end of a link in this direction, 0xffffffff its end by a reset; behind that comes
 * the opening of the next one, once both directions are at their end. Back-pressure is that of the connection. Where both sides have
 * agreed on it, length 0xfffffffe is the first that comes back: the opening has arrived.
 */
import { MAX_STREAM_HEADER } from './chunks.ts'
import { Incoming } from './incoming.ts'
import { type SharedConnection, SequentialStream } from './stream.ts'
import { Outgoing } from './outgoing.ts'
import { LinkBusyError, LinkClosedError, TruncatedError } from '../../errors.ts'
import { systemClock } from '../../streams/clock.ts'
import type { Clock, Link } from '../../types.ts'
import { FrameSizeError } from '../length-codecs.ts'

/** Milliseconds that the other side has to end the connection once this one has. */
const CLOSE_TIMEOUT = 3000

export interface SequentialStreamsInit {
  /**
   * The side that is told of a link acknowledges its opening, so that the other one learns whether the connection is still there. Both
   * have to know. Default: false.
   */
  acknowledges?: boolean
  /** Default: that of the system. */
  clock?: Clock
}

export class SequentialStreams {
  readonly #connection: SharedConnection
  readonly #lower: Link
  /** Openings are acknowledged. */
  readonly acknowledges: boolean
  #current: SequentialStream | undefined
  #onIdleOnce: (() => void) | undefined
  /** Settles when the connection has ended, with whatever reason. */
  readonly ended: Promise<void>
  /** Called when both directions of a link are at their end; another one may begin. */
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

  /** No link is open. */
  get isIdle (): boolean { return this.#current === undefined }

  /**
   * The next link, to be used by this side. Only when none is open.
   *
   * @param onAnswer called when the other side has acknowledged the opening, once somebody reads: the link, or `answer`
   */
  open (header: Uint8Array, onAnswer: () => void = () => {}): Link {
    if (this.#current !== undefined) throw new LinkBusyError('a link is open on this connection')
    if (header.length === 0 || header.length > MAX_STREAM_HEADER) throw new FrameSizeError(`an opening of ${header.length} bytes, 1 to ${MAX_STREAM_HEADER} are possible`)
    this.#connection.outgoing.sendHeader(header)
    if (this.acknowledges) this.#connection.incoming.expectAcknowledgement(onAnswer)
    return this.#newStream()
  }

  /** Settles when the other side has acknowledged the opening of the link that was begun; before anybody reads that. Rejects when the connection ends instead. */
  acknowledged (): Promise<void> { return this.#connection.incoming.acknowledged() }

  /** The next link that the other side begins; undefined when it has ended the connection. Rejects with what broke that. */
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

  /** Looks out for the end of the connection while no link is open, which ends it here as well: the other side has nothing to say then. */
  watchForClose (): void {
    const { incoming } = this.#connection
    const noticed = (isMore: boolean): void => {
      if (!this.isIdle) return
      if (isMore) this.abort(new LinkClosedError('the other side speaks before it was asked'))
      else this.close() // what was sent on it before may be on its way still
    }
    if (incoming.isEmpty) incoming.readAhead().then(noticed, (err: Error) => { if (this.isIdle) this.abort(err) })
    else noticed(true)
  }

  /** Ends the connection once what was sent on it is gone. */
  close (): void { this.#connection.outgoing.close() }

  abort (err: Error): void {
    this.#lower.abort(err)
    this.#connection.outgoing.fail(err)
    this.#onIdleOnce?.()
  }

  /** This side has ended the connection. The other one gets a moment for what it was sent, and to end it as well. */
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
