/** Which numbers of one sender have come already, of the last ones: two words of bits instead of an array. */

/** Numbers below the highest one that are remembered. */
const SPAN = 64
const WORD = 32

export class ShortWindow {
  #highest = -1
  /** A bit for each number below the highest one: the next lower one is the lowest bit of `#near`. */
  #near = 0
  #far = 0

  /** Whether a number, a safe integer of at least 0, is new, and at most 64 below the highest one. */
  check (seq: number): boolean {
    const back = this.#highest - seq
    if (back < 0) return true
    if (back === 0 || back > SPAN) return false
    return ((back > WORD ? this.#far : this.#near) & 1 << back - 1) === 0 // a shift counts modulo 32
  }

  /** Marks a number as seen. False unless it is new. */
  accept (seq: number): boolean {
    if (!this.check(seq)) return false
    if (seq > this.#highest) this.#moveTo(seq)
    else this.#mark(this.#highest - seq)
    return true
  }

  #moveTo (seq: number): void {
    const by = seq - this.#highest
    if (by >= WORD) {
      this.#far = by >= SPAN ? 0 : this.#near << by - WORD
      this.#near = 0
    } else {
      this.#far = this.#far << by | this.#near >>> WORD - by
      this.#near <<= by
    }
    if (this.#highest >= 0 && by <= SPAN) this.#mark(by)
    this.#highest = seq
  }

  #mark (back: number): void {
    if (back > WORD) this.#far |= 1 << back - 1
    else this.#near |= 1 << back - 1
  }
}
