/** Addresses that have sent the proof of a step. Every client has the same one, so it tells no client from another (natpass protocol, section 2). */

export class ReplayTable {
  /** Address by step. */
  readonly #addresses = new Map<number | 'legacy', string>()

  /**
   * Whether another address has sent this proof before; from now on the proof belongs to this address otherwise.
   *
   * @param now the current step; those before its neighbour are forgotten, as they are not accepted any more
   */
  isReplayed (step: number | 'legacy', address: string, now: number): boolean {
    const before = this.#addresses.get(step)
    if (before !== undefined) return before !== address
    for (const known of this.#addresses.keys()) if (known !== 'legacy' && known < now - 1) this.#addresses.delete(known)
    this.#addresses.set(step, address)
    return false
  }
}
