/**
 * WebSocket frames as a layer: bytes below, binary messages above. The HTTP upgrade is not its business; see
 * `tunpipe/transports` for links that have made it.
 */
import { verifyFrames, type FrameDecoderInit } from './decoder.ts'
import { FrameEncoder } from './encoder.ts'
import { borrow, giveBack } from '../../buffers/lent-memory.ts'
import { Interruptible } from '../../streams/interruptible.ts'
import { endOfFrames } from './frame-records.ts'
import { FramesPort } from './port.ts'
import { CloseCode, MAX_CONTROL_PAYLOAD, WebSocketClosedError } from './protocol.ts'
import { FrameReader } from './reader.ts'
import { LinkBusyError, LinkClosedError } from '../../errors.ts'
import { consumeSource } from '../../streams/consume.ts'
import { verifyMilliseconds } from '../../options.ts'
import { nextTurn } from '../../streams/turns.ts'
import type { RecoverFramesInit, WebSocketLink } from './link.ts'
import type { Batch, Layer, Link, Take } from '../../types.ts'

/** How long the other side may take to answer a close frame, and then to end the connection, in milliseconds. */
export const DEFAULT_CLOSE_TIMEOUT = 2000

export interface WebSocketFramesInit extends FrameDecoderInit {
  /** Milliseconds that a connection which is being closed may take, or, while `sink` has bytes left, make no progress. Default: 2000. */
  closeTimeout?: number
}

async function * nothing (): AsyncGenerator<Batch> {}

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
  readonly #closeTimeout: number
  readonly #isServer: boolean
  /** What `sink` is writing from, while it runs. */
  #writing: Interruptible<Batch> | undefined
  /** The close frame that ends what `sink` writes. */
  #farewell: Uint8Array | undefined
  /** Of the pings of the portion that is being dealt with the first, with a payload if there is one, and the last. */
  #firstPing: Uint8Array | undefined
  #lastPing: Uint8Array | undefined
  /** A pong waits to be written, and what is to be answered after it. */
  #isPongWaiting = false
  #nextPong: Uint8Array | undefined
  #received: { code: number, reason: string } | undefined
  /** The other side has answered our close frame, or need not. */
  #answered = false
  #onAnswer: (() => void) | undefined
  #timer: NodeJS.Timeout | undefined
  #aborted: Error | undefined
  /** The connection is gone, so what waits is for nobody. */
  #isGone = false

  constructor (lower: Link, { closeTimeout = DEFAULT_CLOSE_TIMEOUT, ...init }: WebSocketFramesInit) {
    this.#lower = lower
    this.#closeTimeout = closeTimeout
    this.#isServer = init.role === 'server'
    this.#encoder = new FrameEncoder(init.role, lower.lend === undefined ? undefined : (length) => borrow(length, init.role === 'client'))
    const link = this
    this.#reader = new FrameReader(init, {
      get onText () { return link.onText },
      onPing (payload) {
        if (link.#firstPing === undefined || link.#firstPing.length === 0) link.#firstPing = payload // a greeting has one
        link.#lastPing = payload
      },
      onPong (payload) {
        link.port.pong(payload)
        link.onPong?.(payload)
      },
      onClose (code, reason) { link.#received = { code, reason } }
    })
    this.source = this.#read()
    this.port = new FramesPort(lower.port, this.#encoder)
  }

  get sink (): Link['sink'] { return (source) => this.#writeFrom(source) } // made when it is asked for, so that an idle link has none

  async #writeFrom (source: AsyncIterable<Batch>): Promise<void> {
    const writing = new Interruptible(source)
    if (this.port.isClosed || this.#writing !== undefined) {
      writing.interrupt()
      if (this.port.isClosed) throw this.#aborted ?? new LinkClosedError('the WebSocket is closed')
      throw new LinkBusyError('another sink is writing to this WebSocket')
    }
    this.#writing = writing
    let complete = false
    try {
      await this.#lower.sink(this.#frames(writing, () => { complete = true }))
    } catch (err) {
      this.#writing = undefined // a close frame can still go out when it was the source that failed
      writing.interrupt()
      throw err
    }
    if (!complete) throw new LinkClosedError('the WebSocket was closed while there was more to write')
  }

  ping (payload: Uint8Array = new Uint8Array(0)): boolean {
    return !this.port.isClosed && this.#lower.port.send([this.#encoder.ping(payload)]) > 0
  }

  sendFrames (frames: Uint8Array): boolean { return this.port.sendFrames(frames) }

  wholeFrames (isOn: boolean): void {
    const filler = this.#encoder.pong(new Uint8Array(0)) // a pong that nobody has asked for, section 5.5.3
    this.#lower.records?.(isOn ? { end: endOfFrames, filler } : undefined)
  }

  recoverFrames (init: RecoverFramesInit | undefined): void {
    if (this.#lower.growReceiveBuffer === undefined) return
    this.#reader.recover(init)
    if (init !== undefined) this.#lower.growReceiveBuffer()
  }

  close (code: number = CloseCode.NORMAL, reason = ''): void {
    if (!this.port.isClosed) this.#say(this.#encoder.close(code, reason))
  }

  async flow (take: Take, signal?: AbortSignal): Promise<void> {
    const lower = this.#lower
    if (lower.flow === undefined) {
      await consumeSource(this.source, take, signal)
      return
    }
    lower.lend?.(this.#isServer) // which takes masks off
    let isOver = false
    let held: Batch | undefined
    const release = (): void => { // a reader that waits for its turn keeps nothing of a connection that is gone
      this.#isGone = true
      this.#reader.discard()
      if (held !== undefined) held.length = 0
    }
    await new Promise<void>((resolve, reject) => {
      const done = (reads: Batch): void => {
        giveBack(reads)
        if (!this.#isAtEnd) return
        isOver = true
        try {
          this.#endOrderly()
          resolve()
        } catch (err: any) {
          reject(err)
        }
      }
      (lower as Required<Link>).flow((reads) => {
        if (isOver) return undefined // see #drain
        const busy = this.#dealWith(this.#reader.push(reads), take)
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
        clearTimeout(this.#timer)
        if (isOver) return
        const err = this.#cutShort()
        this.abort(err)
        reject(err)
      }, (err: Error) => {
        clearTimeout(this.#timer)
        release()
        reject(err)
      })
    })
  }

  abort (err: Error): void {
    this.#aborted ??= err
    clearTimeout(this.#timer)
    this.port.isClosed = true
    this.#lower.abort(err)
  }

  /** Hands a portion on, and those that follow; a promise as soon as something has to be waited for. */
  #dealWith (messages: Batch, take: Take): Promise<void> | undefined {
    const busy = messages.length > 0 ? take(messages) : undefined
    if (busy !== undefined) return busy.then(async () => { await this.#goOn(this.#endPortion(), take) })
    const held = this.#endPortion()
    return held !== undefined || this.#reader.hasRest || this.#reader.isSpent ? this.#goOn(held, take) : undefined
  }

  /** A turn later, so that others have theirs. */
  async #goOn (held: Promise<void> | undefined, take: Take): Promise<void> {
    await held
    if (this.#isGone) return
    if (this.#reader.isSpent) await nextTurn()
    if (this.#reader.hasRest && !this.#isAtEnd) await this.#dealWith(this.#reader.next(), take)
  }

  /** Its messages have been dealt with. */
  #endPortion (): Promise<void> | undefined {
    this.#answerPings()
    return this.onFrames?.(this.#reader.frames)
  }

  async * #read (): AsyncGenerator<Batch> {
    const reads = this.#lower.source[Symbol.asyncIterator]()
    let isLeft = true // early, by whoever reads
    try {
      for (;;) {
        const read = await this.#next(reads)
        if (read.done === true) break
        let messages = this.#reader.push(read.value)
        read.value.length = 0 // while the next read is waited for, nothing may hold the memory of this one
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
          this.#endOrderly()
          return
        }
      }
      isLeft = false
      const err = this.#cutShort()
      this.abort(err) // there is no half-close: whoever still writes has to know
      throw err
    } finally {
      if (isLeft) await reads.return?.()
    }
  }

  async #next (reads: AsyncIterator<Batch>): Promise<IteratorResult<Batch>> {
    try {
      return await reads.next()
    } catch (err) {
      clearTimeout(this.#timer) // nothing is left to cut
      throw err
    }
  }

  /** The other side has broken the protocol or has said goodbye. That is answered only when what came before has been dealt with. */
  get #isAtEnd (): boolean { return this.#reader.failure !== undefined || this.#received !== undefined }

  /** Says goodbye. Throws unless that is an orderly end. */
  #endOrderly (): void {
    const failure = this.#reader.failure
    if (failure !== undefined) this.close(failure.closeCode, failure.message.slice(0, MAX_CONTROL_PAYLOAD - 2))
    const { code, reason } = this.#received ?? { code: CloseCode.NORMAL, reason: '' }
    if (!this.port.isClosed) this.#say(this.#encoder.close(code)) // section 5.5.1: echo the code
    this.#finish()
    if (failure !== undefined) throw failure
    const isOrderly = code === CloseCode.NORMAL || code === CloseCode.GOING_AWAY || (code === CloseCode.NO_STATUS && reason === '')
    if (!isOrderly) throw new WebSocketClosedError(code, reason)
  }

  /** What is wrong when the bytes end without a close frame. */
  #cutShort (): Error {
    try {
      this.#reader.end()
    } catch (err) {
      return err as Error
    }
    return new WebSocketClosedError(CloseCode.ABNORMAL, '')
  }

  /** After the close frame only the end of the connection is of interest, and it is noticed by reading. */
  async #drain (reads: AsyncIterator<Batch>): Promise<void> {
    try {
      while ((await reads.next()).done !== true);
    } catch {
      // It ended, which is all that was wanted.
    } finally {
      clearTimeout(this.#timer)
    }
  }

  async * #frames (source: Interruptible<Batch>, onComplete: () => void): AsyncGenerator<Batch> {
    for await (const batch of source) yield this.#encoder.push(batch)
    if (!source.interrupted) onComplete()
    this.close()
    if (this.#farewell === undefined) return // aborted
    yield [this.#farewell]
    if (!this.#answered) await new Promise<void>((resolve) => { this.#onAnswer = resolve })
  }

  /**
   * Only when the messages before them have been dealt with, so that a pong tells the other side that they have; what a reader
   * of `source` refuses by closing is followed by none. One pong a portion, for its last ping, as section 5.5.3 allows, and none behind
   * one that has not left: a flood of pings must not become a flood of pongs.
   */
  #answerPings (): void {
    const [first, last] = [this.#firstPing, this.#lastPing]
    if (first === undefined || last === undefined) return
    this.#firstPing = this.#lastPing = undefined
    this.#pong(last)
    this.onPing?.(first)
    if (last !== first) this.onPing?.(last)
  }

  #pong (payload: Uint8Array): void {
    const { port } = this.#lower
    if (this.port.isClosed) return
    if (this.#isPongWaiting) {
      this.#nextPong = Uint8Array.from(payload)
      return
    }
    port.send([this.#encoder.pong(payload.subarray(0, MAX_CONTROL_PAYLOAD))])
    if (port.queued === 0 || port.drained === undefined) return
    this.#isPongWaiting = true
    void port.drained().then(() => {
      this.#isPongWaiting = false
      const next = this.#nextPong
      this.#nextPong = undefined
      if (next !== undefined) this.#pong(next)
    })
  }

  /** Sends a close frame, as the last frame that this side sends. */
  #say (frame: Uint8Array): void {
    this.port.isClosed = true
    if (this.#writing !== undefined) {
      this.#farewell = frame
      this.#writing.interrupt()
      this.#cutWhenStalled(this.#lower.port.queued)
      return
    }
    this.#timer = setTimeout(() => { this.#cut() }, this.#closeTimeout)
    if (this.#lower.port.send([frame]) === 0) {
      this.abort(new LinkClosedError('closed while the queue was full'))
    }
  }

  /** What `sink` has written still arrives, however slowly: only when a whole timeout brings no progress is there nobody to wait for. */
  #cutWhenStalled (queued: number): void {
    this.#timer = setTimeout(() => {
      const left = this.#lower.port.queued
      if (left < queued) this.#cutWhenStalled(left)
      else this.#cut()
    }, this.#closeTimeout)
  }

  #cut (): void { this.#lower.abort(new LinkClosedError('the other side did not end the connection')) }

  /** Both close frames are out of the way: ends the connection below. */
  #finish (): void {
    this.#answered = true
    if (this.#writing !== undefined) this.#onAnswer?.()
    else this.#lower.sink(nothing()).catch(() => {}) // broken is ended as well
  }
}

/**
 * The layer of WebSocket frames, RFC 6455: reassembles fragments, answers pings, closes by handshake, and refuses what
 * breaks the protocol or the limits with the code that the RFC names. Throws `OptionError` for limits that cannot be.
 */
export function websocketFrames (init: WebSocketFramesInit): Layer<Link, WebSocketLink> {
  verifyFrames(init)
  verifyMilliseconds('closeTimeout', init.closeTimeout ?? DEFAULT_CLOSE_TIMEOUT)
  return (lower) => new FramesLink(lower, init)
}
