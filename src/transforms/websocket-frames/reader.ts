/** Bytes in, messages out, in portions: what one read brings may be a million frames, and others want to be served as well. */
import { FrameDecoder } from './decoder.ts'
import { DEFAULT_MAX_PAYLOAD, type FrameDecoderInit, type FrameHandlers, type Tolerance } from './decoder-init.ts'
import { FrameResync } from './resync.ts'
import { TruncatedError } from '../../errors.ts'
import { systemClock } from '../../streams/clock.ts'
import { currentTurn } from '../../streams/turns.ts'
import type { RecoverFramesInit } from './link.ts'
import type { WebSocketProtocolError } from './protocol.ts'
import type { Batch, Clock } from '../../types.ts'

/** Frames of one connection in one turn of the event loop: about a millisecond of them. */
export const FRAMES_A_TURN = 8192

/** The largest payload of a client whose frames are recovered, see `FrameResyncInit`. */
const MAX_RECOVERED = 0xffff

/** Portions of fewer frames are not counted: at most 32 reads come in one turn. */
const MIN_COUNTED = 256

export class FrameReader {
  readonly #decoder: FrameDecoder
  readonly #maxPayload: number
  /** In front of the decoder, once it is between two frames. */
  #resync: FrameResync | undefined
  #recover: RecoverFramesInit | undefined
  #isRecovering = false
  /** Bytes that go past it: the rest of the frame in which it was started. */
  #unfiltered = 0
  readonly #tolerate: Tolerance | undefined
  readonly #clock: Clock
  #isExplained = false
  /** Frames of the last portion, and of those before it in the same turn. */
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

  /** Frames of the last portion, those of control included. */
  get frames (): number { return this.#frames }

  /** Something of the reads is left for the next portion. */
  get hasRest (): boolean { return this.#decoder.rest.length > 0 }

  /** This connection has had its part of the turn. */
  get isSpent (): boolean { return this.#inTurn >= FRAMES_A_TURN && this.#turn === currentTurn() }

  /** See `WebSocketLink.recoverFrames`. */
  recover (init: RecoverFramesInit | undefined): void {
    this.#recover = init
    this.#isRecovering = init !== undefined
  }

  /** The messages of the first portion; those of the others follow with `next`. */
  push (reads: Batch): Batch {
    if (this.#recover !== undefined) this.#start(this.#recover)
    else if (!this.#isRecovering && this.#resync?.held === 0) this.#resync = undefined
    return this.#portion(this.#resync === undefined ? reads : this.#filtered(reads, this.#resync))
  }

  /** What is left is for nobody. */
  discard (): void { this.#decoder.discardRest() }

  next (): Batch { return this.#portion(this.#decoder.rest) }

  /** Throws what is wrong when the bytes end here, if something is. */
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

  /** As soon as it is known where the next frame begins. Frames without a mask, where they are taken, cannot be told from the rest of one. */
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

  /** The rest of the frame that the decoder had begun goes past the filter. */
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
