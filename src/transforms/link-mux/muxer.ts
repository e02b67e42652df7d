/**
 * Many links over one connection, each with its own back-pressure, half-close and reset.
 *
 * ```ts
 * const mux = linkMux({ codec: compactMux({ role: 'client' }) })(connection)
 * const link = await mux.open(Buffer.from('shell'))
 *
 * linkMux({ codec: compactMux({ role: 'server' }), onOpen: (opening) => serve(opening.accept(Buffer.from('ok'))) })(connection)
 * ```
 */
import { LinkClosedError } from '../../errors.ts'
import { settingsOf, type LinkMuxLimits, type Settings } from './config.ts'
import { LinkTable, type OpenInit } from './table.ts'
import { LowerReader } from './reader.ts'
import { FrameScheduler } from './scheduler.ts'
import type { MuxCodec } from './frame.ts'
import type { MuxLink } from './link.ts'
import type { IncomingOpening, Opening } from './opening.ts'
import type { Link, Timer } from '../../types.ts'

/** Unsent bytes that the kernel may hold of the connection, so that small frames do not wait behind many. */
const UNSENT = 256 << 10

/** Options of {@link linkMux}. */
export interface LinkMuxInit<Id extends string | number, Request, Response, In, Out> extends LinkMuxLimits {
  /** Makes the wire format of one connection. */
  codec: () => MuxCodec<Id, Request, Response, In, Out>
  /**
   * Called for each link that the other side opens; answers by `opening.accept` or `reject`, now or later. When it fails, the opening is
   * rejected with `ResetCode.INTERNAL`, or the link that was accepted is aborted with the error. Default: all are refused.
   */
  onOpen?: (opening: Opening<Request, Response>, mux: LinkMux<Request, Response>) => Promise<void> | void
}

/** A connection that carries links. */
export interface LinkMux<Request, Response> {
  /** Links that are open, or whose data is not read. */
  readonly links: number
  /** Links that are not accepted yet, of both sides. */
  readonly halfOpen: number
  /** Bytes that wait for the readers of all links. */
  readonly unread: number
  /** Settles when the connection has ended: with the error that broke it, else undefined. Never rejects. */
  readonly ended: Promise<Error | undefined>
  /**
   * Opens a link. Settles when the other side has accepted it.
   *
   * @throws {LinkRefusedError} when the other side refuses
   * @throws {LinkClosedError} when the connection has ended, or `close` was called
   * @throws {LinkMuxError} `ERR_LINK_LIMIT` when there are too many links, or too many frames wait to be written
   * @throws the reason of the signal; the error that broke the connection; what the codec throws for the request
   */
  open (request: Request, init?: OpenInit): Promise<MuxLink<Response>>
  /**
   * Opens and accepts no more links, and ends the connection once all have ended.
   *
   * @param reason aborts all links; default: they end by themselves
   */
  close (reason?: Error): void
  /** Ends the connection with all its links at once. */
  abort (err: Error): void
}

class Muxer<Id extends string | number, Request, Response, In, Out> implements LinkMux<Request, Response> {
  readonly ended: Promise<Error | undefined>
  readonly #lower: Link<In, Out>
  readonly #settings: Settings
  readonly #codec: MuxCodec<Id, Request, Response, In, Out>
  readonly #onOpen: LinkMuxInit<Id, Request, Response, In, Out>['onOpen']
  readonly #scheduler: FrameScheduler<Out>
  readonly #table: LinkTable<Id, Request, Response>
  readonly #reader: LowerReader<In>
  #closeTimer: Timer | undefined
  #isClosing = false
  /** Nothing more comes from the link below. */
  #isReceived = false
  /** Everything was handed to it. */
  #isWritten = false
  #isOver = false
  #resolveEnded: (err?: Error) => void = () => {}

  constructor (lower: Link<In, Out>, settings: Settings, { codec, onOpen }: Pick<LinkMuxInit<Id, Request, Response, In, Out>, 'codec' | 'onOpen'>) {
    this.#lower = lower
    this.#settings = settings
    this.#codec = codec()
    this.#onOpen = onOpen
    this.ended = new Promise((resolve) => { this.#resolveEnded = resolve })
    this.#scheduler = new FrameScheduler(this.#codec.encoder, this.#codec.maxData)
    const table = this.#table = new LinkTable<Id, Request, Response>({
      codec: this.#codec,
      scheduler: this.#scheduler,
      settings,
      onOpening: (opening) => { this.#handle(opening) },
      onTouched: (link) => { this.#reader.touch(link) },
      onTaken: (link) => { this.#reader.onTaken(link) },
      onEnded: () => { this.#finishIfIdle() }
    })
    this.#reader = new LowerReader<In>({
      source: lower.source[Symbol.asyncIterator](),
      settings,
      total: table.total,
      scheduler: this.#scheduler,
      links: () => table.all(),
      decode: (batch) => { this.#codec.decoder.push(batch, table.frames) },
      onEnd: (err) => { this.#onLowerEnd(err) }
    })
    lower.boundUnsent?.(UNSENT)
    lower.sink(this.#scheduler).then(() => { this.#onWritten() }, (err: Error) => { this.#onWriteFailed(err) })
    this.#reader.start()
  }

  get links (): number { return this.#table.links }

  get halfOpen (): number { return this.#table.halfOpen }

  get unread (): number { return this.#table.total.unread }

  open (request: Request, init?: OpenInit): Promise<MuxLink<Response>> { return this.#table.open(request, init) }

  close (reason?: Error): void {
    this.#isClosing = true
    this.#table.close(reason)
    this.#finishIfIdle()
  }

  abort (err: Error): void {
    this.#end(err)
    this.#lower.abort(err)
  }

  #handle (opening: IncomingOpening<Request, Response>): void {
    const failed = (err: Error): void => { opening.fail(err) }
    try {
      if (this.#onOpen === undefined) opening.reject()
      else this.#onOpen(opening, this)?.catch(failed)
    } catch (err) {
      failed(err as Error)
    }
  }

  /** The link below has ended, by this error, or orderly. */
  #onLowerEnd (err?: Error): void {
    if (this.#isOver) return
    let failure = err
    try {
      if (err === undefined) this.#codec.decoder.end()
    } catch (truncated) {
      failure = truncated as Error
    }
    if (failure === undefined && !this.#table.isIdle) failure = new LinkClosedError('the connection has ended, with links that had not')
    if (failure !== undefined) {
      this.abort(failure)
      return
    }
    this.#isReceived = true
    if (this.#isWritten) this.#end()
    else this.close()
  }

  #finishIfIdle (): void {
    if (this.#isClosing && this.#table.isIdle) this.#scheduler.finish()
  }

  /** An idle connection may be about to end orderly: where there is no half-close, the end of the other side fails this side's sink. */
  #onWriteFailed (err: Error): void {
    if (this.#table.isIdle) {
      this.close()
      this.#onWritten()
    } else {
      this.abort(err)
    }
  }

  #onWritten (): void {
    this.#isWritten = true
    if (this.#isReceived) {
      this.#end()
    } else if (!this.#isOver) {
      const { clock, closeTimeout } = this.#settings
      this.#closeTimer = clock.set(closeTimeout, () => { this.abort(new LinkClosedError('the other side does not end the connection')) })
    }
  }

  #end (err?: Error): void {
    if (this.#isOver) return
    this.#isOver = true
    const reason = err ?? new LinkClosedError('the connection has ended')
    this.#settings.clock.clear(this.#closeTimer)
    this.#reader.stop()
    this.#table.fail(reason)
    this.#scheduler.fail(reason)
    this.#resolveEnded(err)
  }
}

/**
 * Makes the multiplexer of a connection: call the result with each link, once.
 *
 * @throws {OptionError} when a limit is out of range
 */
export function linkMux<Id extends string | number, Request, Response, In, Out> (init: LinkMuxInit<Id, Request, Response, In, Out>): (lower: Link<In, Out>) => LinkMux<Request, Response> {
  const settings = settingsOf(init)
  return (lower) => new Muxer(lower, settings, init)
}
