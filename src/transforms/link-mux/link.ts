/** One link of a multiplexed connection. */
import { LinkClosedError, LinkResetError } from '../../errors.ts'
import { MAX_WINDOW, type Settings } from './config.ts'
import { LinkMuxError, type LinkMuxErrorCode } from './errors.ts'
import { ResetCode, type MuxEncoder, type MuxFrames } from './frame.ts'
import { Incoming, type UnreadTotal } from './incoming.ts'
import { Outgoing } from './outgoing.ts'
import type { FrameScheduler } from './scheduler.ts'
import type { Link, PacketPort, Take } from '../../types.ts'

/** Milliseconds in which half of a window is read of a link whose window grows. */
const GROWTH_TIME = 500

/** A link that was opened over a multiplexed connection. `port` and `sink` share one queue. */
export interface MuxLink<Response = unknown> extends Link {
  readonly id: string | number
  /** What it was accepted with. */
  readonly response: Response
  /** One direction can end while the other goes on. */
  readonly halfClose: boolean
  /** Bytes that the other side is ready for, beyond those that wait to be sent. Infinity on a link without credit. */
  readonly credit: number
  /** Messages that came while too many waited for the reader. */
  readonly dropped: number
  /** Ends both directions at once. The other side gets the `reason` of a `LinkResetError` above 0, else `ResetCode.CANCELLED`. */
  abort (err: Error): void
  flow (take: Take, signal?: AbortSignal): Promise<void>
}

/** The connection that the links share. */
export interface SharedConnection<Id> {
  readonly scheduler: Pick<FrameScheduler<unknown>, 'wake' | 'afterWrite' | 'control'>
  readonly encoder: Pick<MuxFrames<Id, never, never>, 'data' | 'window' | 'end' | 'reset'> & Pick<MuxEncoder<Id, never, never, unknown>, 'over'>
  readonly maxData: number
  readonly maxMessage: number
  readonly settings: Settings
  readonly total: UnreadTotal
  /** The reader of the link has taken something, or the link has ended. */
  onTaken (link: VirtualLink<Id>): void
  /** Both directions have ended, and all was read. */
  onEnded (link: VirtualLink<Id>): void
}

export interface VirtualLinkInit<Id, Response> {
  id: Id
  response: Response
  /** Bytes that the other side is ready for; undefined: the link has no credit. */
  credit: number | undefined
  messages: boolean
  connection: SharedConnection<Id>
}

export class VirtualLink<Id, Response = unknown> implements MuxLink<Response> {
  readonly id: Id & (string | number)
  readonly response: Response
  readonly halfClose: boolean
  readonly source: Incoming
  readonly #connection: SharedConnection<Id>
  readonly #out: Outgoing
  readonly #isStream: boolean
  /** Bytes that the other side may still send, those that were read since the last grant, and when that was. */
  #open: number
  #read = 0
  #grantedAt: number
  /** Bytes that may wait for the reader, with credit. */
  #window: number
  #isReceived = false
  /** Both directions have ended; then that all was read as well. */
  #isOver = false
  #isGone = false

  constructor ({ id, response, credit, messages, connection }: VirtualLinkInit<Id & (string | number), Response>) {
    const { settings: { window, maxMessages, queueLimit, clock }, scheduler, encoder, maxData, maxMessage, total } = connection
    this.id = id
    this.response = response
    this.halfClose = credit !== undefined
    this.#connection = connection
    this.#open = this.#window = window
    this.#grantedAt = clock.now()
    total.windows += window
    this.#isStream = !messages
    this.source = new Incoming({
      messages: messages ? { count: maxMessages, bytes: window } : undefined,
      onTaken: (bytes, held) => { this.#onTaken(bytes, held) },
      total
    })
    this.#out = new Outgoing({
      credit: credit ?? Infinity,
      maxData,
      messages: messages ? maxMessage : undefined,
      limit: queueLimit,
      scheduler,
      writeData: (bytes) => { encoder.data(id, bytes) },
      writeEnd: () => { this.#onSent() }
    })
  }

  get port (): PacketPort { return this.#out }

  get credit (): number { return this.#out.available }

  get dropped (): number { return this.source.dropped }

  get sink (): Link['sink'] { return (source) => this.#out.sink(source) } // made on access, so that an idle link has no closure

  /** Bytes that wait for the reader. */
  get unread (): number { return this.source.unread }

  /** Without credit: so much waits for the reader that the connection has to wait. */
  get isFull (): boolean { return !this.halfClose && this.#isStream && this.unread >= this.#connection.settings.window }

  /** Both directions have ended; the reader may still have something to read. */
  get isOver (): boolean { return this.#isOver }

  flow (take: Take, signal?: AbortSignal): Promise<void> { return this.source.flow(take, signal) }

  abort (err: Error): void {
    const reason = err instanceof LinkResetError ? err.reason ?? 0 : 0
    this.reset(reason === 0 ? ResetCode.CANCELLED : reason, err)
  }

  /** Ends both directions, tells the other side, and its user by this error. */
  reset (code: number, err: Error): void {
    if (!this.#isOver) this.#sendReset(code)
    this.fail(err)
  }

  /** Ends both directions without telling the other side. */
  fail (err: Error): void {
    this.source.fail(err)
    this.#out.fail(err)
    this.#finish()
    this.#connection.onTaken(this)
  }

  /** A data frame. Returns true when it is the first of the current read: `deliver` has to follow. */
  receive (bytes: Uint8Array): boolean {
    if (this.#isOver) return false
    if (this.#isReceived) return this.#violated(ResetCode.PROTOCOL, 'ERR_MUX_PROTOCOL', 'data behind its end')
    const { maxData } = this.#connection
    if (this.#isStream && bytes.length > maxData) return this.#violated(ResetCode.PROTOCOL, 'ERR_MUX_PROTOCOL', `a frame of ${bytes.length} bytes, limit ${maxData}`)
    if (this.halfClose) {
      this.#open -= bytes.length
      if (this.#open < 0) return this.#violated(ResetCode.CREDIT, 'ERR_MUX_CREDIT', `${-this.#open} bytes beyond the credit`)
    }
    return (bytes.length > 0 || !this.#isStream) && this.source.arrive(bytes)
  }

  /** A window frame. */
  receiveWindow (bytes: number): void {
    if (!this.halfClose) this.violated('a window for a link without credit')
    else if (this.#out.credit + bytes > MAX_WINDOW) this.#violated(ResetCode.CREDIT, 'ERR_MUX_CREDIT', `more credit than ${MAX_WINDOW} bytes`)
    else this.#out.grant(bytes)
  }

  /** An end frame. */
  receiveEnd (): void {
    if (!this.halfClose || this.#isReceived) {
      this.violated('a second end, or one of a link without half-close')
      return
    }
    this.#isReceived = true
    this.source.end()
    if (this.#out.hasEnded) this.#onBothEnded()
  }

  /** A reset frame. What came before the end of this direction can still be read. */
  receiveReset (code: number): void {
    if (this.#isOver) return
    const isClosed = code === ResetCode.CLOSED && !this.halfClose
    const err = isClosed ? new LinkClosedError('the other side has closed the link') : new LinkResetError(`the other side has reset the link, code ${code}`, code)
    if (!isClosed && !this.#isReceived) {
      this.fail(err)
      return
    }
    this.source.end()
    this.#out.fail(err)
    this.#finish()
  }

  /** A frame that breaks the protocol of this link. */
  violated (what: string): void { this.#violated(ResetCode.PROTOCOL, 'ERR_MUX_PROTOCOL', what) }

  #violated (code: number, errorCode: LinkMuxErrorCode, what: string): false {
    if (!this.#isOver) this.reset(code, new LinkMuxError(errorCode, `link ${String(this.id)}: ${what}`))
    return false
  }

  #onTaken (bytes: number, held: number): void {
    if (this.halfClose && !this.#isReceived && !this.#isOver) {
      this.#read += bytes
      // A message needs credit as a whole: its sender must not wait for more while it was all read.
      if (this.#read * 2 >= this.#window || (!this.#isStream && this.#read > 0 && this.#open < this.#connection.maxMessage)) this.#grant(this.#read + this.#grow(held))
    }
    this.#connection.onTaken(this)
    if (this.#isOver) this.#finish()
  }

  #grant (bytes: number): void {
    this.#connection.encoder.window(this.id, bytes)
    this.#connection.scheduler.control()
    this.#open += bytes
    this.#read = 0
  }

  /** Doubles the window where half of it was read soon, by a reader that was not behind. Returns by how much it grows. */
  #grow (held: number): number {
    const { settings: { clock, maxWindow, maxUnread }, total } = this.#connection
    const before = this.#grantedAt
    this.#grantedAt = clock.now()
    const more = Math.min(this.#window, maxWindow - this.#window)
    if (!this.#isStream || held * 2 >= this.#window || this.#grantedAt - before > GROWTH_TIME || total.windows + more > maxUnread) return 0
    this.#window += more
    total.windows += more
    return more
  }

  /** All was sent. */
  #onSent (): void {
    if (this.halfClose) {
      this.#connection.encoder.end(this.id)
      if (this.#isReceived) this.#onBothEnded()
      return
    }
    this.#sendReset(ResetCode.CLOSED)
    this.source.end()
    this.#finish()
  }

  #onBothEnded (): void {
    const { encoder, scheduler } = this.#connection
    if (encoder.over !== undefined) {
      encoder.over(this.id)
      scheduler.control()
    }
    this.#finish()
  }

  #sendReset (code: number): void {
    this.#connection.encoder.reset(this.id, code)
    this.#connection.scheduler.control()
  }

  #finish (): void {
    this.#isOver = true
    if (this.#isGone || this.unread > 0) return
    this.#isGone = true
    this.#connection.total.windows -= this.#window
    this.#connection.onEnded(this)
  }
}
