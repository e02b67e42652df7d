/** The indexes that this node has given, by which sealed packets find their session (SHOW CHAIN protocol, section 7.2). */
import { randomInt } from 'node:crypto'

const MAX_INDEX = 0xffff_ffff

/** Sessions of one node at one time, those that are being made included. */
const MAX_SESSIONS = 16_384

export class Indexes<Owner = unknown> {
  readonly #owners = new Map<number, Owner>()

  get size (): number { return this.#owners.size }

  /** A random index that is not in use; undefined when there are too many. */
  claim (owner: Owner): number | undefined {
    if (this.#owners.size >= MAX_SESSIONS) return undefined
    for (;;) {
      const index = randomInt(1, MAX_INDEX + 1)
      if (this.#owners.has(index)) continue
      this.#owners.set(index, owner)
      return index
    }
  }

  /** Whom an index was given to. */
  ownerOf (index: number): Owner | undefined { return this.#owners.get(index) }

  release (index: number): void { this.#owners.delete(index) }
}
