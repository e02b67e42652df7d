/** WebSocket frames as a layer: bytes below, binary messages above. For links after the HTTP upgrade, see `tunpipe/transports`. */
import { Closing } from './closing.ts'
import { verifyFrames, type FrameDecoderInit } from './decoder-init.ts'
import { FrameEncoder } from './encoder.ts'
import { acquire, release } from '../../buffers/buffer-pool.ts'
import { AbortableSource } from '../../streams/abortable-source.ts'
import { endOfFrames } from './frame-records.ts'
import { Pings } from './pings.ts'
import { FramesPort } from './port.ts'
import { CloseCode, WebSocketClosedError } from './protocol.ts'
import { FrameReader } from './reader.ts'
import { LinkBusyError, LinkClosedError } from '../../errors.ts'
import { systemClock } from '../../streams/clock.ts'
import { consumeSource } from '../../streams/consume.ts'
import { verifyMilliseconds } from '../../options.ts'
import { nextTurn } from '../../streams/turns.ts'
import type { RecoverFramesInit, WebSocketLink } from './link.ts'
import type { Batch, Clock, Delivery, Layer, Link, ReadAhead, Take } from '../../types.ts'

/** Milliseconds for the other side to answer a close frame, and then to end the connection. */
export const DEFAULT_CLOSE_TIMEOUT = 2000

/** Options of {@link websocketFrames}. */
export interface WebSocketFramesInit extends FrameDecoderInit {
  /** Milliseconds for the closing handshake, or, while `sink` has data left, without progress. Default: 2000. */
  closeTimeout?: number
  /** Default: that of the system. */
  clock?: Clock
}

class FramesLink implements WebSocketLink {
  readonly source: AsyncIterable<Batch>
  readonly port: FramesPort
  onText: ((payload: Uint8Array) => void) | undefined
  onPing: ((payload: Uint8Array) => void) | undefined
  onPong: ((payload: Uint8Array) => void) | undefined
  onFrames: ((frames: number) => Promise<void> | undefined) | undefined
  readonly #lower: Link
  readonly #reader: FrameReader
  readonly #encoder: FrameEncoder
  readonly #closing: Closing
  readonly #pings: Pings
  readonly #isServer: boolean
  /** The connection is lost: what is queued for the reader is dropped. */
  #isGone = false

  constructor (lower: Link, { closeTimeout = DEFAULT_CLOSE_TIMEOUT, clock = systemClock, ...init }: WebSocketFramesInit) {
    this.#lower = lower
    this.#isServer = init.role === 'server'
    this.#encoder = new FrameEncoder(init.role, lower.poolReads === undefined ? undefined : (length) => acquire(length, init.role === 'client'))
    const link = this
    this.#reader = new FrameReader(init, {
      get onText () { return link.onText },
      onPing (payload) { link.#pings.push(payload) },
      onPong (payload) {
        link.port.pong(payload)
        link.onPong?.(payload)
      },
      onClose (code, reason) { link.#closing.receive(code, reason) }
    }, clock)
    this.source = this.#read()
    this.port = new FramesPort(lower.port, this.#encoder, clock)
    this.#closing = new Closing(lower, this.port, this.#encoder, closeTimeout, clock)
    this.#pings = new Pings(lower.port, this.port, this.#encoder)
  }

  get sink (): Link['sink'] { return (source) => this.#writeFrom(source) } // made on access, so that an idle link has no closure

  async #writeFrom (source: AsyncIterable<Batch>): Promise<void> {
    const closing = this.#closing
    const writing = new AbortableSource(source)
    if (this.port.isClosed || closing.writing !== undefined) {
      writing.abort()
      if (this.port.isClosed) throw closing.aborted ?? new LinkClosedError('the WebSocket is closed')
      throw new LinkBusyError('another sink is writing to this WebSocket')
    }
    closing.writing = writing
    let complete = false
    try {
      await this.#lower.sink(this.#frames(writing, () => { complete = true }))
    } catch (err) {
      closing.writing = undefined // a close frame can still be sent when it was the source that failed
      writing.abort()
      throw err
    }
    if (!complete) throw new LinkClosedError('the WebSocket was closed while there was more to write')
  }

  ping (payload: Uint8Array = new Uint8Array(0)): boolean {
    return !this.port.isClosed && this.#lower.port.send([this.#encoder.ping(payload)]) > 0
  }

  sendFrames (frames: Uint8Array): boolean { return this.port.sendFrames(frames) }

  wholeFrames (isOn: boolean): void {
    const filler = this.#encoder.pong(new Uint8Array(0)) // an unsolicited pong (section 5.5.3)
    this.#lower.records?.(isOn ? { end: endOfFrames, filler } : undefined)
  }

  recoverFrames (init: RecoverFramesInit | undefined): void {
    if (this.#lower.growReceiveBuffer === undefined) return
    this.#reader.recover(init)
    if (init !== undefined) this.#lower.growReceiveBuffer()
  }

  limitPayload (maxPayload: number): void { this.#reader.limitPayload(maxPayload) }

  get held (): number { return this.#reader.capacity }

  readAhead (bound: ReadAhead): void { this.#lower.readAhead?.(bound) }

  boundUnsent (bytes: number): void { this.#lower.boundUnsent?.(bytes) }

  delivery (): Delivery | undefined { return this.#lower.delivery?.() }

  close (code: number = CloseCode.NORMAL, reason = ''): void {
    this.#closing.close(code, reason)
  }

  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    const lower = this.#lower
    if (lower.flow === undefined) {
      await consumeSource(this.source, take, signal)
      return
    }
    lower.poolReads?.(this.#isServer) // only a server unmasks
    let isOver = false
    let held: Batch | undefined
    const discardHeld = (): void => { // a reader that waits for its turn keeps nothing of a lost connection
      this.#isGone = true
      this.#reader.discard()
      if (held !== undefined) held.length = 0
    }
    await new Promise<void>((resolve, reject) => {
      const done = (reads: Batch): void => {
        release(reads)
        if (!this.#isAtEnd) return
        isOver = true
        try {
          this.#closing.endOrderly(this.#reader.failure)
          resolve()
        } catch (err) {
          reject(err)
        }
      }
      (lower as Required<Link>).flow((reads) => {
        if (isOver) return undefined // see #drain
        const busy = this.#handle(this.#reader.push(reads), take)
        if (busy === undefined) return done(reads)
        held = reads
        return busy.then(() => {
          held = undefined
          if (!this.#isGone) done(reads)
        })
      }, signal).then(() => {
        if (!isOver && signal?.aborted === true) {
          resolve()
          return
        }
        this.#closing.stop()
        if (isOver) return
        const err = this.#cutShort()
        this.abort(err)
        reject(err)
      }, (err: Error) => {
        this.#closing.stop()
        discardHeld()
        reject(err)
      })
    })
  }

  abort (err: Error): void { this.#closing.abort(err) }

  /** Passes on a portion, and those after it; returns a promise as soon as something has to be awaited. */
  #handle (messages: Batch, take: Take): Promise<void> | undefined {
    const busy = messages.length > 0 ? take(messages) : undefined
    if (busy !== undefined) return busy.then(async () => { await this.#continue(this.#endPortion(), take) })
    const held = this.#endPortion()
    return held !== undefined || this.#reader.hasRest || this.#reader.isSpent ? this.#continue(held, take) : undefined
  }

  /** Continues in the next turn of the event loop, so that other connections are served. */
  async #continue (held: Promise<void> | undefined, take: Take): Promise<void> {
    await held
    if (this.#isGone) return
    if (this.#reader.isSpent) await nextTurn()
    if (this.#reader.hasRest && !this.#isAtEnd) await this.#handle(this.#reader.next(), take)
  }

  /** The messages of a portion have been handled. */
  #endPortion (): Promise<void> | undefined {
    this.#pings.answer(this)
    return this.onFrames?.(this.#reader.frames)
  }

  async * #read (): AsyncGenerator<Batch> {
    const reads = this.#lower.source[Symbol.asyncIterator]()
    let isLeft = true // the reader has left early
    try {
      for (;;) {
        const read = await this.#next(reads)
        if (read.done === true) break
        let messages = this.#reader.push(read.value)
        read.value.length = 0 // this read must not be kept in memory while the next one is awaited
        for (;;) {
          if (messages.length > 0) yield messages
          await this.#endPortion()
          if (this.#reader.isSpent) await nextTurn()
          if (!this.#reader.hasRest || this.#isAtEnd) break
          messages = this.#reader.next()
        }
        if (this.#isAtEnd) {
          isLeft = false
          void this.#drain(reads)
          this.#closing.endOrderly(this.#reader.failure)
          return
        }
      }
      isLeft = false
      const err = this.#cutShort()
      this.abort(err) // there is no half-close: a writer has to know
      throw err
    } finally {
      if (isLeft) await reads.return?.()
    }
  }

  async #next (reads: AsyncIterator<Batch>): Promise<IteratorResult<Batch>> {
    try {
      return await reads.next()
    } catch (err) {
      this.#closing.stop() // nothing is left to end
      throw err
    }
  }

  /** The other side has broken the protocol or has sent a close frame. It is answered after the messages before it have been handled. */
  get #isAtEnd (): boolean { return this.#reader.failure !== undefined || this.#closing.isReceived }

  /** The error when the bytes end without a close frame. */
  #cutShort (): Error {
    try {
      this.#reader.end()
    } catch (err) {
      return err as Error
    }
    return new WebSocketClosedError(CloseCode.ABNORMAL, '')
  }

  /** After the close frame only the end of the connection matters; reading notices it. */
  async #drain (reads: AsyncIterator<Batch>): Promise<void> {
    try {
      while ((await reads.next()).done !== true);
    } catch {
      // The end is what was waited for.
    } finally {
      this.#closing.stop()
    }
  }

  async * #frames (source: AbortableSource<Batch>, onComplete: () => void): AsyncGenerator<Batch> {
    for await (const batch of source) yield this.#encoder.push(batch)
    if (!source.aborted) onComplete()
    this.close()
    const { closeFrame } = this.#closing
    if (closeFrame === undefined) return // aborted
    yield [closeFrame]
    if (!this.#closing.answered) await this.#closing.answer()
  }
}

/**
 * The layer of WebSocket frames (RFC 6455): reassembles fragments, answers pings, closes by handshake, and rejects violations of the
 * protocol or the limits with the status code of the RFC.
 *
 * @throws {OptionError} when a limit is out of range
 */
export function websocketFrames (init: WebSocketFramesInit): Layer<Link, WebSocketLink> {
  verifyFrames(init)
  verifyMilliseconds('closeTimeout', init.closeTimeout ?? DEFAULT_CLOSE_TIMEOUT)
  return (lower) => new FramesLink(lower, init)
}
