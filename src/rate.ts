/** How fast a counter grows, between two looks at it. */
export class Rate {
  #total: number
  #at: number
  #perSecond = 0

  /** @param now milliseconds of a clock that only goes forward */
  constructor (now: number, total = 0) {
    this.#at = now
    this.#total = total
  }

  /** Between the last two samples. */
  get perSecond (): number { return this.#perSecond }

  sample (total: number, now: number): void {
    if (now <= this.#at) return
    this.#perSecond = (total - this.#total) / (now - this.#at) * 1000
    this.#total = total
    this.#at = now
  }
}
