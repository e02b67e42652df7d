/** Milliseconds between two samples of counters. */
export const SAMPLE_INTERVAL = 1000

/** The rate of a counter between its last two samples. */
class RateMeter {
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

/** Bytes a second, each way. */
export interface TrafficRates {
  rateIn: number
  rateOut: number
}

/** The same for a pair of counters, in and out. */
export class TrafficRateMeter {
  readonly #in: RateMeter
  readonly #out: RateMeter

  /** @param now milliseconds of a clock that only goes forward */
  constructor (now: number, { bytesIn, bytesOut } = { bytesIn: 0, bytesOut: 0 }) {
    this.#in = new RateMeter(now, bytesIn)
    this.#out = new RateMeter(now, bytesOut)
  }

  get perSecond (): TrafficRates { return { rateIn: Math.round(this.#in.perSecond), rateOut: Math.round(this.#out.perSecond) } }

  sample ({ bytesIn, bytesOut }: { bytesIn: number, bytesOut: number }, now: number): void {
    this.#in.sample(bytesIn, now)
    this.#out.sample(bytesOut, now)
  }
}
