/** Sets of whole numbers that are mostly ranges: packet numbers, and offsets of bytes. */

/** Sorted ranges that neither overlap nor touch; `from` is in a range, `to` is not. */
export class RangeSet {
  /** Numbers in the set. */
  total = 0
  readonly #from: number[] = []
  readonly #to: number[] = []

  /** Number of ranges. */
  get length (): number { return this.#from.length }

  from (range: number): number { return this.#from[range] }

  to (range: number): number { return this.#to[range] }

  /** Adds a range; returns how many of its numbers are new. */
  add (from: number, to: number): number {
    if (from >= to) return 0
    const count = this.#from.length
    const last = count - 1
    if (last >= 0 && from === this.#to[last]) { // the common case: the next one
      this.#to[last] = to
      this.total += to - from
      return to - from
    }
    const first = last < 0 || from > this.#to[last] ? count : this.#search(from)
    if (first === count || to < this.#from[first]) {
      this.#from.splice(first, 0, from)
      this.#to.splice(first, 0, to)
      this.total += to - from
      return to - from
    }
    let before = 0
    let after = first
    let low = from
    let high = to
    for (; after < count && this.#from[after] <= to; after++) {
      before += this.#to[after] - this.#from[after]
      low = Math.min(low, this.#from[after])
      high = Math.max(high, this.#to[after])
    }
    this.#from[first] = low
    this.#to[first] = high
    this.#splice(first + 1, after)
    this.total += high - low - before
    return high - low - before
  }

  /** How many ranges there are once a range is added. */
  lengthWith (from: number, to: number): number {
    const first = this.#search(from)
    let after = first
    while (after < this.#from.length && this.#from[after] <= to) after++
    return this.#from.length + 1 - (after - first)
  }

  remove (from: number, to: number): void {
    if (this.#from.length === 0 || from >= to) return
    let first = this.#search(from)
    if (first < this.#from.length && this.#to[first] === from) first++ // it only touches
    let after = first
    while (after < this.#from.length && this.#from[after] < to) {
      this.total -= Math.min(to, this.#to[after]) - Math.max(from, this.#from[after])
      after++
    }
    if (after === first) return
    const low = this.#from[first]
    const high = this.#to[after - 1]
    if (low < from && high > to) {
      this.#splice(first + 1, after)
      this.#to[first] = from
      this.#from.splice(first + 1, 0, to)
      this.#to.splice(first + 1, 0, high)
    } else if (low < from) {
      this.#to[first] = from
      this.#splice(first + 1, after)
    } else if (high > to) {
      this.#from[after - 1] = to
      this.#splice(first, after - 1)
    } else {
      this.#splice(first, after)
    }
  }

  removeBelow (bound: number): void {
    if (this.#from.length > 0 && this.#from[0] < bound) this.remove(this.#from[0], bound)
  }

  removeFirst (): void {
    this.total -= this.#to[0] - this.#from[0]
    this.#splice(0, 1)
  }

  /** Calls `fn` with each part of a range that is not in the set. */
  forEachGap (from: number, to: number, fn: (from: number, to: number) => void): void {
    let at = from
    for (let i = this.#search(from); i < this.#from.length && this.#from[i] < to; i++) {
      if (this.#from[i] > at) fn(at, this.#from[i])
      at = Math.max(at, this.#to[i])
    }
    if (at < to) fn(at, to)
  }

  clear (): void {
    this.#splice(0, this.#from.length)
    this.total = 0
  }

  /** Index of the first range that ends at `at` or later. */
  #search (at: number): number {
    let low = 0
    let high = this.#to.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#to[middle] < at) low = middle + 1
      else high = middle
    }
    return low
  }

  #splice (first: number, after: number): void {
    if (after <= first) return
    this.#from.splice(first, after - first)
    this.#to.splice(first, after - first)
  }
}
