/** Round trip times (RFC 9002, section 5). */

/** Milliseconds: clocks and timers are no finer. */
const GRANULARITY = 1

/** Milliseconds that are assumed before the first sample. */
const INITIAL = 250

/** Smoothed round trip time and its variation, in milliseconds. */
export class RttEstimator {
  latest = 0
  smoothed = INITIAL
  variation = INITIAL / 2
  /** The shortest one since the start or the last `reset`; Infinity before the first sample. */
  min = Infinity

  get hasSample (): boolean { return this.min !== Infinity }

  /**
   * A packet that was acknowledged for the first time.
   *
   * @param rtt from its departure until now, in milliseconds
   * @param delay how long the other side says that it has held the acknowledgement back
   */
  sample (rtt: number, delay: number): void {
    this.latest = rtt
    if (!this.hasSample) {
      this.min = this.smoothed = rtt
      this.variation = rtt / 2
      return
    }
    this.min = Math.min(this.min, rtt)
    const adjusted = rtt - delay >= this.min ? rtt - delay : rtt
    this.variation += (Math.abs(this.smoothed - adjusted) - this.variation) / 4
    this.smoothed += (adjusted - this.smoothed) / 8
  }

  /** Milliseconds until a packet without an answer is probed for (RFC 9002, section 6.2.1). */
  probeTimeout (maxDelay: number): number { return this.smoothed + Math.max(4 * this.variation, GRANULARITY) + maxDelay }

  /** The path is another one. */
  reset (): void {
    this.latest = 0
    this.smoothed = INITIAL
    this.variation = INITIAL / 2
    this.min = Infinity
  }
}
