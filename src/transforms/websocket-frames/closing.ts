/** The end of a WebSocket: the closing handshake (RFC 6455, section 7), or an abort. */
import type { FrameEncoder } from './encoder.ts'
import type { FramesPort } from './port.ts'
import { CloseCode, MAX_CONTROL_PAYLOAD, WebSocketClosedError, type WebSocketProtocolError } from './protocol.ts'
import { LinkClosedError } from '../../errors.ts'
import type { AbortableSource } from '../../streams/abortable-source.ts'
import type { Batch, Clock, Link, Timer } from '../../types.ts'

async function * nothing (): AsyncGenerator<Batch> {}

/** A class and not a literal with functions: a relay has one per connection. */
export class Closing {
  /** The source that `sink` is writing, if any. */
  writing: AbortableSource<Batch> | undefined
  readonly #lower: Link
  readonly #port: FramesPort
  readonly #encoder: FrameEncoder
  readonly #timeout: number
  readonly #clock: Clock
  /** The close frame that ends what `sink` writes. */
  #closeFrame: Uint8Array | undefined
  #received: { code: number, reason: string } | undefined
  /** The other side has answered our close frame, or need not. */
  #answered = false
  #onAnswer: (() => void) | undefined
  #timer: Timer | undefined
  #aborted: Error | undefined

  /** @param timeout see `WebSocketFramesInit.closeTimeout` */
  constructor (lower: Link, port: FramesPort, encoder: FrameEncoder, timeout: number, clock: Clock) {
    this.#lower = lower
    this.#port = port
    this.#encoder = encoder
    this.#timeout = timeout
    this.#clock = clock
  }

  /** The error of `abort`. */
  get aborted (): Error | undefined { return this.#aborted }

  /** The other side has sent a close frame. */
  get isReceived (): boolean { return this.#received !== undefined }

  /** The close frame that `sink` has to write last; undefined when the link was aborted. */
  get closeFrame (): Uint8Array | undefined { return this.#closeFrame }

  get answered (): boolean { return this.#answered }

  /** A close frame was received. */
  receive (code: number, reason: string): void { this.#received = { code, reason } }

  /** Settles when the other side has answered. */
  answer (): Promise<void> { return new Promise((resolve) => { this.#onAnswer = resolve }) }

  close (code: number, reason: string): void {
    if (!this.#port.isClosed) this.#sendClose(this.#encoder.close(code, reason))
  }

  abort (err: Error): void {
    this.#aborted ??= err
    this.stop()
    this.#port.isClosed = true
    this.#lower.abort(err)
  }

  /** The connection below has ended: stops the time-out. */
  stop (): void { this.#clock.clear(this.#timer) }

  /** Ends the closing handshake. Throws unless the close is orderly. */
  endOrderly (failure: WebSocketProtocolError | undefined): void {
    if (failure !== undefined) this.close(failure.closeCode, failure.message.slice(0, MAX_CONTROL_PAYLOAD - 2))
    const { code, reason } = this.#received ?? { code: CloseCode.NORMAL, reason: '' }
    if (!this.#port.isClosed) this.#sendClose(this.#encoder.close(code)) // section 5.5.1: echo the code
    this.#finish()
    if (failure !== undefined) throw failure
    const isOrderly = code === CloseCode.NORMAL || code === CloseCode.GOING_AWAY || (code === CloseCode.NO_STATUS && reason === '')
    if (!isOrderly) throw new WebSocketClosedError(code, reason)
  }

  /** Sends a close frame, after which this side sends nothing. */
  #sendClose (frame: Uint8Array): void {
    this.#port.isClosed = true
    if (this.writing !== undefined) {
      this.#closeFrame = frame
      this.writing.abort()
      this.#cutWhenStalled(this.#lower.port.queued)
      return
    }
    this.#timer = this.#clock.set(this.#timeout, () => { this.#cut() })
    if (this.#lower.port.send([frame]) === 0) {
      this.abort(new LinkClosedError('closed while the queue was full'))
    }
  }

  /** Data of `sink` is still delivered, however slowly: the connection is ended only when it has made no progress for a whole time-out. */
  #cutWhenStalled (queued: number): void {
    this.#timer = this.#clock.set(this.#timeout, () => {
      const left = this.#lower.port.queued
      if (left < queued) this.#cutWhenStalled(left)
      else this.#cut()
    })
  }

  #cut (): void { this.#lower.abort(new LinkClosedError('the other side did not end the connection')) }

  /** Both close frames are sent or not needed: ends the connection below. */
  #finish (): void {
    this.#answered = true
    if (this.writing !== undefined) this.#onAnswer?.()
    else this.#lower.sink(nothing()).catch(() => {}) // a broken connection has ended as well
  }
}
