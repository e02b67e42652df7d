/** The packet port for messages: each batch becomes one buffer of frames. */
import { InFlightEstimator } from './in-flight-estimator.ts'
import { drainedOf } from '../../layer.ts'
import type { FrameEncoder } from './encoder.ts'
import type { Batch, Clock, PacketPort } from '../../types.ts'

export class FramesPort implements PacketPort {
  readonly limit: number
  readonly drained: PacketPort['drained']
  /** A close frame was sent; nothing may follow it. */
  isClosed = false
  readonly #lower: PacketPort
  readonly #encoder: FrameEncoder
  readonly #clock: Clock
  /** Created at the first read of `bufferedAmount`, where the system does not report it. */
  #inFlight: InFlightEstimator | undefined

  constructor (lower: PacketPort, encoder: FrameEncoder, clock: Clock) {
    this.#lower = lower
    this.#encoder = encoder
    this.#clock = clock
    this.limit = lower.limit
    this.drained = drainedOf(lower)
  }

  get queued (): number { return this.#lower.queued }

  /** Where the system does not report it, this starts to send pings between messages. */
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

  /** Handles a pong, which may answer a probe of this port or another ping. */
  pong (payload: Uint8Array): void { this.#inFlight?.pong(payload, this.#clock.now()) }
}
