/** Random numbers from a seed. */

/** A generator with 32 bits of state (a Weyl sequence, mixed): the same seed gives the same numbers. */
export class Random {
  #state: number

  /** @param seed - a whole number; of a large one, both halves count */
  constructor (seed: number) { this.#state = seed ^ Math.imul(Math.floor(seed / 0x1_0000_0000), 0x85ebca6b) }

  /** At least 0, less than 1. */
  next (): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    let mixed = this.#state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000
  }

  /** A whole number of 0 to `count` - 1. */
  below (count: number): number { return Math.floor(this.next() * count) }

  /** True with this probability. Draws nothing when that is 0. */
  chance (probability: number): boolean { return probability > 0 && this.next() < probability }
}
