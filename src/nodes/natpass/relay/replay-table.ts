/** Addresses that have sent the proof of a step. Every client has the same one, so it tells no client from another (natpass protocol, section 2). */

/** Steps that are accepted at one time: that of now and its neighbours. */
const STEPS = 3

export class ReplayTable {
  /** Address by step, oldest first. */
  readonly #addresses = new Map<number | 'legacy', string>()

  /** Whether another address has sent this proof before; from now on the proof belongs to this address otherwise. */
  isReplayed (step: number | 'legacy', address: string): boolean {
    const before = this.#addresses.get(step)
    if (before !== undefined) return before !== address
    this.#addresses.set(step, address)
    if (this.#addresses.size > STEPS + 1) this.#addresses.delete(this.#addresses.keys().next().value as number)
    return false
  }
}
