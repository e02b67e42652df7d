/**
 * The rate at which a connection may send frames that are not forwarded to another member: control frames, ignored ones, handshake
 * messages, and all before it is a member. Beyond it the connection is not read for a while, which delays no other.
 */
import { Shaper } from '../../../limits/shaper.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'

/** Frames a second of a connection that is not a member; the burst is a quarter. The handshake takes four. */
const UNAUTHENTICATED_RATE = 1024

/** Frames a second of a member that are not forwarded. Peers of tunpipe ping every 32 KiB where the kernel does not report its queue. */
const MEMBER_RATE = 16_384

/** The cost in frames of a message whose hash is verified. */
const HANDSHAKE_COST = 16

export class FrameLimiter {
  readonly #clock: Clock
  #shaper: Shaper
  #isMember = false
  /** The limit for all frames of a member, if there is one. */
  #limit: Shaper | undefined
  /** Messages up to the last batch; in the current batch, those that are not forwarded, and those with a hash. */
  #received = 0
  #ignored = 0
  #handshakes = 0

  constructor (clock: Clock = systemClock) {
    this.#clock = clock
    this.#shaper = new Shaper(UNAUTHENTICATED_RATE, clock)
  }

  /** The connection is a member now. */
  join (): void {
    if (this.#isMember) return
    this.#isMember = true
    this.#shaper = new Shaper(MEMBER_RATE, this.#clock)
  }

  /** @param rate frames a second; undefined for no limit */
  limit (rate: number | undefined): void {
    if (this.#limit?.rate !== rate) this.#limit = rate === undefined ? undefined : new Shaper(rate, this.#clock)
  }

  /** Counts a message that is not forwarded. */
  ignored (): void { this.#ignored++ }

  /** Counts a message whose hash is verified. */
  handshake (): void {
    this.#ignored++
    this.#handshakes++
  }

  /**
   * Spends the cost of a batch of frames.
   *
   * @param received messages since the start
   * @returns settles when the next batch may be read; undefined for now
   */
  spend (frames: number, received: number): Promise<void> | undefined {
    const forwarded = this.#isMember ? received - this.#received - this.#ignored : 0
    const overhead = Math.max(0, frames - forwarded) + this.#handshakes * (HANDSHAKE_COST - 1)
    this.#received = received
    this.#ignored = this.#handshakes = 0
    const overheadWait = overhead > 0 ? this.#shaper.wait(overhead) : undefined
    const limitWait = frames > 0 ? this.#limit?.wait(frames) : undefined
    return overheadWait === undefined || limitWait === undefined ? overheadWait ?? limitWait : Promise.all([overheadWait, limitWait]).then(() => {})
  }
}
