/**
 * How fast a connection may send what carries nothing from one member to another: control frames, ignored ones, the messages by
 * which it gets in, and all that comes before it is in. Who is faster is not read for a while, and slows down nobody but itself.
 */
import { Shaper } from '../../../limits/shaper.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'

/** Frames a second of a connection that is no member, a quarter of them at once: it needs four. */
const STRANGER = 1024

/** Frames a second of a member, besides those that it sends to others. Our own ends ping once in 32 KiB where the system tells nothing. */
const MEMBER = 16_384

/** What a message costs whose hash is verified, in frames. */
const HANDSHAKE = 16

export class FrameLimiter {
  readonly #clock: Clock
  #shaper: Shaper
  #isMember = false
  /** Of all frames of a member, where that has a limit. */
  #limit: Shaper | undefined
  /** Messages up to the last portion, and of the current one those that are for no other member, and those with a hash. */
  #received = 0
  #ignored = 0
  #handshakes = 0

  constructor (clock: Clock = systemClock) {
    this.#clock = clock
    this.#shaper = new Shaper(STRANGER, clock)
  }

  /** It has an address now. */
  join (): void {
    if (this.#isMember) return
    this.#isMember = true
    this.#shaper = new Shaper(MEMBER, this.#clock)
  }

  /** @param rate frames a second; undefined for any number */
  limit (rate: number | undefined): void {
    if (this.#limit?.rate !== rate) this.#limit = rate === undefined ? undefined : new Shaper(rate, this.#clock)
  }

  /** A message that is not for another member. */
  ignored (): void { this.#ignored++ }

  /** A message with a hash, which is looked at. */
  handshake (): void {
    this.#ignored++
    this.#handshakes++
  }

  /**
   * A portion of so many frames has been dealt with.
   *
   * @param received messages since the beginning
   * @returns settles when the next one may be; undefined for at once
   */
  spend (frames: number, received: number): Promise<void> | undefined {
    const passed = this.#isMember ? received - this.#received - this.#ignored : 0
    const overhead = Math.max(0, frames - passed) + this.#handshakes * (HANDSHAKE - 1)
    this.#received = received
    this.#ignored = this.#handshakes = 0
    const held = overhead > 0 ? this.#shaper.wait(overhead) : undefined
    const limited = frames > 0 ? this.#limit?.wait(frames) : undefined
    return held === undefined || limited === undefined ? held ?? limited : Promise.all([held, limited]).then(() => {})
  }
}
