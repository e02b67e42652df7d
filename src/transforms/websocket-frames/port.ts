/** The door for messages: each batch becomes one buffer of frames. */
import { Acknowledged } from './acknowledged.ts'
import { drainedOf } from '../../layer.ts'
import type { FrameEncoder } from './encoder.ts'
import type { Batch, Clock, PacketPort } from '../../types.ts'

export class FramesPort implements PacketPort {
  readonly limit: number
  readonly drained: PacketPort['drained']
  /** A close frame was sent, and nothing follows it. */
  isClosed = false
  readonly #lower: PacketPort
  readonly #encoder: FrameEncoder
  readonly #clock: Clock
  /** Once somebody has asked how much waits, and the system did not know. */
  #acknowledged: Acknowledged | undefined

  constructor (lower: PacketPort, encoder: FrameEncoder, clock: Clock) {
    this.#lower = lower
    this.#encoder = encoder
    this.#clock = clock
    this.limit = lower.limit
    this.drained = drainedOf(lower)
  }

  get queued (): number { return this.#lower.queued }

  /** Where the system does not tell, pings are sent beside messages from the first time on that somebody asks. */
  get bufferedAmount (): number {
    const { bufferedAmount } = this.#lower
    if (bufferedAmount !== undefined || this.isClosed) {
      this.#acknowledged = undefined
      return bufferedAmount ?? this.queued
    }
    this.#acknowledged ??= new Acknowledged()
    return Math.max(this.queued, this.#acknowledged.waiting(this.#clock.now()) ?? 0)
  }

  send (batch: Batch): number {
    if (batch.length === 0 || this.isClosed || this.#lower.queued >= this.limit) return 0
    return this.sendFrames(this.#encoder.push(batch)[0]) ? batch.length : 0
  }

  /** See `WebSocketLink`. */
  sendFrames (frames: Uint8Array): boolean {
    if (this.isClosed || this.#lower.send([frames]) === 0) return false
    const question = this.#acknowledged?.sent(frames.length, this.#clock.now())
    if (question !== undefined && this.#lower.send([this.#encoder.ping(question)]) === 0) this.#acknowledged?.withdraw()
    return true
  }

  /** A pong has come; it may answer a ping of this port, or of somebody else. */
  pong (payload: Uint8Array): void { this.#acknowledged?.pong(payload, this.#clock.now()) }
}
