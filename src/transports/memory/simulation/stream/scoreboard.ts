/** What the other side has selectively acknowledged (RFC 2018), and what follows from that (RFC 6675). Offsets are those of the sender. */

/** Ranges that are kept; what would be more counts as not acknowledged. */
const MAX_RANGES = 1024

/** Full segments that have to arrive behind a byte until it counts as lost. */
const DUPLICATES = 3

interface Range {
  start: number
  end: number
}

export class Scoreboard {
  /** In order, without overlaps and not adjacent. */
  #ranges: Range[] = []
  #total = 0

  /** Bytes that were acknowledged. */
  get total (): number { return this.#total }

  /** Behind the last byte that was acknowledged; 0 when none was. */
  get end (): number { return this.#ranges.at(-1)?.end ?? 0 }

  add (start: number, end: number): void {
    const ranges = this.#ranges
    let first = ranges.length
    while (first > 0 && ranges[first - 1].end >= start) first--
    let last = first
    while (last < ranges.length && ranges[last].start <= end) last++
    if (first === last) {
      if (ranges.length >= MAX_RANGES) return
      ranges.splice(first, 0, { start, end })
      this.#total += end - start
      return
    }
    const merged = { start: Math.min(start, ranges[first].start), end: Math.max(end, ranges[last - 1].end) }
    for (const range of ranges.splice(first, last - first, merged)) this.#total -= range.end - range.start
    this.#total += merged.end - merged.start
  }

  /** The first bytes were acknowledged in order: all offsets become less by that. */
  shift (count: number): void {
    for (const range of this.#ranges) {
      const before = range.end - range.start
      range.start = Math.max(0, range.start - count)
      range.end = Math.max(0, range.end - count)
      this.#total += range.end - range.start - before
    }
    while (this.#ranges.length > 0 && this.#ranges[0].end === 0) this.#ranges.shift()
  }

  clear (): void {
    this.#ranges = []
    this.#total = 0
  }

  /** Bytes before an offset that were acknowledged. */
  before (offset: number): number {
    let sum = 0
    for (const { start, end } of this.#ranges) {
      if (start >= offset) break
      sum += Math.min(end, offset) - start
    }
    return sum
  }

  /** The first offset from the given one on that was not acknowledged, and where those end: at the next range, else at `last`. */
  gapFrom (offset: number, last: number): Range {
    let start = offset
    for (const range of this.#ranges) {
      if (range.end <= start) continue
      if (range.start > start) return { start, end: Math.min(range.start, last) }
      start = range.end
    }
    return { start, end: last }
  }

  /** What was not acknowledged before this offset counts as lost, as enough has arrived behind it. */
  lostBefore (maxData: number): number {
    let sum = 0
    for (let i = this.#ranges.length - 1; i >= 0; i--) {
      const { start, end } = this.#ranges[i]
      sum += end - start
      if (sum >= DUPLICATES * maxData) return start
    }
    return 0
  }
}
