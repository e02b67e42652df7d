/** Incoming pings, and the pongs that answer them. */
import type { FrameEncoder } from './encoder.ts'
import type { FramesPort } from './port.ts'
import { MAX_CONTROL_PAYLOAD } from './protocol.ts'
import type { PacketPort } from '../../types.ts'

/** A class and not a literal with functions: a relay has one per connection. */
export class Pings {
  readonly #lower: PacketPort
  readonly #port: FramesPort
  readonly #encoder: FrameEncoder
  /** The first ping of the current portion, with a payload if there is one, and the last. */
  #first: Uint8Array | undefined
  #last: Uint8Array | undefined
  /** A pong is queued; and the payload of the next one. */
  #isPongWaiting = false
  #nextPong: Uint8Array | undefined

  constructor (lower: PacketPort, port: FramesPort, encoder: FrameEncoder) {
    this.#lower = lower
    this.#port = port
    this.#encoder = encoder
  }

  /** A ping was received. */
  push (payload: Uint8Array): void {
    if (this.#first === undefined || this.#first.length === 0) this.#first = payload // a ping that announces something has a payload
    this.#last = payload
  }

  /**
   * Answers pings after the messages before them were handled, so that a pong confirms those; no pong follows a close by the reader. One
   * pong per portion, for its last ping (RFC 6455, section 5.5.3), and none while another one is queued, so that a flood of pings causes no
   * flood of pongs.
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
