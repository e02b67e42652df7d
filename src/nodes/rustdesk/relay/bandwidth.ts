/** Limits of the bandwidth of pairs, each and all together. Both directions of a pair count for the same limits. */
import { Shaper } from '../../../limits/shaper.ts'
import type { Clock } from '../../../types.ts'

/** Milliseconds of a rate that may pass at once: a timer that is late costs nothing, and a rate over some seconds is kept. */
const BURST = 100

/** Bits of a Mb, as speeds are given. */
export const MEGABIT = 1024 * 1024

const BITS = 8

/** Speeds in bits a second. */
export interface Speeds {
  /** Of one pair. */
  single: number
  /** Of all pairs. */
  total: number
  /** Of one pair that is slowed. */
  limited: number
  /** A pair is slowed for good when it has used more than this share of `single` over its whole life, */
  downgradeThreshold: number
  /** once it has lasted for so many milliseconds. */
  downgradeStart: number
}

export class Bandwidth {
  readonly speeds: Speeds
  readonly #clock: Clock
  #total: Shaper

  constructor (speeds: Speeds, clock: Clock) {
    this.speeds = speeds
    this.#clock = clock
    this.#total = this.shaper(speeds.total)
  }

  /** Limits all pairs. */
  get total (): Shaper { return this.#total }

  /** The total is applied at once, the others to new pairs, or to pairs that are slowed from now on. */
  configure (speeds: Partial<Speeds>): void {
    const { total } = this.speeds
    Object.assign(this.speeds, speeds)
    if (this.speeds.total !== total) this.#total = this.shaper(this.speeds.total)
  }

  /** @param speed bits a second */
  shaper (speed: number): Shaper { return new Shaper(speed / BITS, this.#clock, BURST) }
}

/** The share of one pair. */
export class PairBandwidth {
  /** The pair is on the list of those that are slowed. */
  isListed = false
  /** The pair has used too much for too long. */
  isDowngraded = false
  readonly #all: Bandwidth
  readonly #own: Shaper
  /** Bits a millisecond over the whole life beyond which the pair is downgraded. */
  readonly #threshold: number
  #slow: Shaper | undefined

  constructor (all: Bandwidth) {
    const { single, downgradeThreshold } = all.speeds
    this.#all = all
    this.#own = all.shaper(single)
    this.#threshold = Math.trunc(single * downgradeThreshold / 1000)
  }

  /** @returns settles when the bytes may be written; undefined for at once */
  wait (bytes: number): Promise<void> | undefined {
    const own = this.#shaper.wait(bytes)
    return own === undefined ? this.#all.total.wait(bytes) : own.then(() => this.#all.total.wait(bytes))
  }

  /** @param elapsed milliseconds since the pair was made; `bytes` of both directions since then */
  check (elapsed: number, bytes: number): void {
    if (elapsed > this.#all.speeds.downgradeStart && bytes * BITS > elapsed * this.#threshold) this.isDowngraded = true
  }

  get #shaper (): Shaper {
    if (!this.isListed && !this.isDowngraded) return this.#own
    this.#slow ??= this.#all.shaper(this.#all.speeds.limited)
    return this.#slow
  }
}
