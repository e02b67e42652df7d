/** The door for messages: each batch becomes one buffer of frames. */
import { InFlightEstimator } from './in-flight-estimator.ts'
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
  #inFlight: InFlightEstimator | undefined

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
      this.#inFlight = undefined
      return bufferedAmount ?? this.queued
    }
    this.#inFlight ??= new InFlightEstimator()
    return Math.max(this.queued, this.#inFlight.estimate(this.#clock.now()) ?? 0)
  }

  send (batch: Batch): number {
    if (batch.length === 0 || this.isClosed || this.#lower.queued >= this.limit) return 0
    return this.sendFrames(this.#encoder.push(batch)[0]) ? batch.length : 0
  }

  /** See `WebSocketLink`. */
  sendFrames (frames: Uint8Array): boolean {
    if (this.isClosed || this.#lower.send([frames]) === 0) return false
    const probe = this.#inFlight?.sent(frames.length, this.#clock.now())
    if (probe !== undefined && this.#lower.send([this.#encoder.ping(probe)]) === 0) this.#inFlight?.withdraw()
    return true
  }

  /** A pong has come; it may answer a ping of this port, or of somebody else. */
  pong (payload: Uint8Array): void { this.#inFlight?.pong(payload, this.#clock.now()) }
}
