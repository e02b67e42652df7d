/** How much may be under way before the network drops it (RFC 5681). All in bytes. */

/** Full segments at the start (RFC 6928). */
const INITIAL_SEGMENTS = 10

/** More than any window. */
const LARGEST = 1 << 30

export class Congestion {
  #maxData = 0
  #window = 0
  #threshold = LARGEST

  get window (): number { return this.#window }

  /** @param maxData of a full segment, once the other side has said what it takes */
  start (maxData: number): void {
    this.#maxData = maxData
    this.#window = INITIAL_SEGMENTS * maxData
  }

  /** The same number of segments, of fewer bytes. */
  limitData (maxData: number): void {
    this.#window = Math.max(1, Math.floor(this.#window / this.#maxData)) * maxData
    this.#maxData = maxData
  }

  /**
   * New data was acknowledged, nothing is missing: slow start, or one segment more in a round trip. Says nothing about the network where much
   * less was under way than there might have been (RFC 7661).
   */
  acknowledged (bytes: number, underWay: number): void {
    if (underWay < this.#window / 2) return
    const growth = this.#window < this.#threshold ? Math.min(bytes, 2 * this.#maxData) : Math.max(1, Math.floor(this.#maxData * bytes / this.#window))
    this.#window = Math.min(LARGEST, this.#window + growth)
  }

  /** Nothing was sent for long, so what is known of the network is old (RFC 5681, section 4.1). */
  rested (): void { this.#window = Math.min(this.#window, INITIAL_SEGMENTS * this.#maxData) }

  /** Something is missing. */
  halve (underWay: number): void { this.#window = this.#threshold = this.#half(underWay) }

  /** Nothing was acknowledged for a retransmission time-out. `isFirst`: the one before was answered. */
  timedOut (underWay: number, isFirst: boolean): void {
    if (isFirst) this.#threshold = this.#half(underWay)
    this.#window = this.#maxData
  }

  #half (underWay: number): number { return Math.max(2 * this.#maxData, Math.floor(underWay / 2)) }
}
