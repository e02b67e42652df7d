/** Decodes messages in portions: one read may contain very many frames, and other connections have to be served as well. */
import { FrameDecoder } from './decoder.ts'
import { DEFAULT_MAX_PAYLOAD, type FrameDecoderInit, type FrameHandlers, type Tolerance } from './decoder-init.ts'
import { FrameResync } from './resync.ts'
import { TruncatedError } from '../../errors.ts'
import { systemClock } from '../../streams/clock.ts'
import { currentTurn } from '../../streams/turns.ts'
import type { RecoverFramesInit } from './link.ts'
import type { WebSocketProtocolError } from './protocol.ts'
import type { Batch, Clock } from '../../types.ts'

/** Maximum frames of one connection in one turn of the event loop: about a millisecond. */
export const FRAMES_A_TURN = 8192

/** Maximum payload of a client whose frames are recovered, see `FrameResyncInit`. */
const MAX_RECOVERED = 0xffff

/** Portions of fewer frames are not counted: there are at most 32 reads in one turn. */
const MIN_COUNTED = 256

export class FrameReader {
  readonly #decoder: FrameDecoder
  readonly #maxPayload: number
  /** A filter before the decoder, once that is between two frames. */
  #resync: FrameResync | undefined
  #recover: RecoverFramesInit | undefined
  #isRecovering = false
  /** Bytes that bypass the filter: the rest of the frame in which it was started. */
  #unfiltered = 0
  readonly #tolerate: Tolerance | undefined
  readonly #clock: Clock
  #isExplained = false
  /** Frames of the last portion; the current turn, and the frames in it. */
  #frames = 0
  #turn = 0
  #inTurn = 0

  constructor (init: FrameDecoderInit, handlers: FrameHandlers, clock: Clock = systemClock) {
    this.#decoder = new FrameDecoder(init, handlers)
    this.#maxPayload = Math.min(init.maxPayload ?? DEFAULT_MAX_PAYLOAD, MAX_RECOVERED)
    this.#tolerate = init.tolerate
    this.#clock = clock
  }

  get failure (): WebSocketProtocolError | undefined {
    const { failure } = this.#decoder
    const gaveUp = this.#resync?.gaveUp
    if (failure !== undefined && gaveUp !== undefined && !this.#isExplained) {
      this.#isExplained = true
      failure.message += `; ${gaveUp}`
    }
    return failure
  }

  /** Bytes of memory for an unfinished frame or message. */
  get capacity (): number { return this.#decoder.capacity }

  /** Frames of the last portion, control frames included. */
  get frames (): number { return this.#frames }

  /** Some of the reads is left for the next portion. */
  get hasRest (): boolean { return this.#decoder.rest.length > 0 }

  /** This connection has used up its share of the turn. */
  get isSpent (): boolean { return this.#inTurn >= FRAMES_A_TURN && this.#turn === currentTurn() }

  /** See `WebSocketLink.recoverFrames`. */
  recover (init: RecoverFramesInit | undefined): void {
    this.#recover = init
    this.#isRecovering = init !== undefined
  }

  /** See `WebSocketLink.limitPayload`. */
  limitPayload (maxPayload: number): void { this.#decoder.limitPayload(maxPayload) }

  /** Returns the messages of the first portion; `next` returns those of the others. */
  push (reads: Batch): Batch {
    if (this.#recover !== undefined) this.#start(this.#recover)
    else if (!this.#isRecovering && this.#resync?.held === 0) this.#resync = undefined
    return this.#portion(this.#resync === undefined ? reads : this.#filtered(reads, this.#resync))
  }

  /** Drops what is left. */
  discard (): void { this.#decoder.discardRest() }

  next (): Batch { return this.#portion(this.#decoder.rest) }

  /** @throws the error of a stream that ends here, if there is one */
  end (): void {
    this.#decoder.end()
    if (this.#resync !== undefined && this.#resync.held > 0) throw new TruncatedError('the stream ended inside a WebSocket message')
  }

  #portion (reads: Batch): Batch {
    const before = this.#decoder.frames
    const messages = this.#decoder.push(reads, FRAMES_A_TURN)
    this.#frames = this.#decoder.frames - before
    if (this.#frames > MIN_COUNTED) {
      const turn = currentTurn()
      this.#inTurn = this.#frames + (this.#turn === turn ? this.#inTurn : 0)
      this.#turn = turn
    }
    return messages
  }

  /**
   * Starts the filter, as soon as the start of the next frame is known. Unmasked frames, where accepted, cannot be told from the rest of a
   * truncated one.
   */
  #start ({ onResync, ...init }: RecoverFramesInit): void {
    const left = this.#decoder.bytesLeft
    if (left === undefined) return
    this.#recover = undefined
    if (this.#tolerate?.unmasked === true) return
    this.#unfiltered = left
    this.#resync = new FrameResync({
      ...init,
      maxPayload: this.#maxPayload,
      clock: this.#clock,
      onResync: (skipped) => {
        this.#decoder.skip(skipped)
        onResync(skipped)
      }
    })
  }

  /** The rest of the frame that the decoder has begun bypasses the filter. */
  #filtered (reads: Batch, resync: FrameResync): Batch {
    const past: Batch = []
    let first = 0
    for (; this.#unfiltered > 0 && first < reads.length; first++) {
      const read = reads[first]
      const size = Math.min(this.#unfiltered, read.length)
      this.#unfiltered -= size
      past.push(read.subarray(0, size))
      if (size < read.length) return [...past, ...resync.push([read.subarray(size), ...reads.slice(first + 1)])]
    }
    const filtered = resync.push(first === 0 ? reads : reads.slice(first))
    return past.length === 0 ? filtered : [...past, ...filtered]
  }
}
