/** Random ids: those of many by one call of the system. */
import { randomFillSync } from 'node:crypto'

const AT_ONCE = 256

export class RandomIds {
  readonly #size: number
  readonly #pool: Uint8Array
  #at: number

  /** @param size bytes of each */
  constructor (size: number) {
    this.#size = size
    this.#pool = new Uint8Array(AT_ONCE * size)
    this.#at = this.#pool.length
  }

  /** The next one, in memory of its own. */
  next (): Uint8Array {
    if (this.#at === this.#pool.length) {
      randomFillSync(this.#pool)
      this.#at = 0
    }
    const from = this.#at
    this.#at += this.#size
    return this.#pool.slice(from, this.#at)
  }
}
