/** Pings of the other side, and the pongs that answer them. */
import type { FrameEncoder } from './encoder.ts'
import type { FramesPort } from './port.ts'
import { MAX_CONTROL_PAYLOAD } from './protocol.ts'
import type { PacketPort } from '../../types.ts'

/** A class and not a literal with functions: a relay has one for every connection. */
export class Pings {
  readonly #lower: PacketPort
  readonly #port: FramesPort
  readonly #encoder: FrameEncoder
  /** Of the pings of the portion that is being dealt with the first, with a payload if there is one, and the last. */
  #first: Uint8Array | undefined
  #last: Uint8Array | undefined
  /** A pong waits to be written, and what is to be answered after it. */
  #isPongWaiting = false
  #nextPong: Uint8Array | undefined

  constructor (lower: PacketPort, port: FramesPort, encoder: FrameEncoder) {
    this.#lower = lower
    this.#port = port
    this.#encoder = encoder
  }

  /** A ping has come. */
  push (payload: Uint8Array): void {
    if (this.#first === undefined || this.#first.length === 0) this.#first = payload // a greeting has one
    this.#last = payload
  }

  /**
   * Only when the messages before them have been dealt with, so that a pong tells the other side that they have; what a reader
   * of `source` refuses by closing is followed by none. One pong a portion, for its last ping, as section 5.5.3 allows, and none behind
   * one that has not left: a flood of pings must not become a flood of pongs.
   */
  answer (link: { onPing?: (payload: Uint8Array) => void }): void {
    const [first, last] = [this.#first, this.#last]
    if (first === undefined || last === undefined) return
    this.#first = this.#last = undefined
    this.#pong(last)
    link.onPing?.(first)
    if (last !== first) link.onPing?.(last)
  }

  #pong (payload: Uint8Array): void {
    const lower = this.#lower
    if (this.#port.isClosed) return
    if (this.#isPongWaiting) {
      this.#nextPong = Uint8Array.from(payload)
      return
    }
    lower.send([this.#encoder.pong(payload.subarray(0, MAX_CONTROL_PAYLOAD))])
    if (lower.queued === 0 || lower.drained === undefined) return
    this.#isPongWaiting = true
    void lower.drained().then(() => {
      this.#isPongWaiting = false
      const next = this.#nextPong
      this.#nextPong = undefined
      if (next !== undefined) this.#pong(next)
    })
  }
}
