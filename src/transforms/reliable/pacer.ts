/** Spreads packets over time. */

/** Milliseconds of the rate that may leave at once: timers are late by one or two. */
const BURST_TIME = 4

/** Packets that may always leave at once. */
const BURST_PACKETS = 4

/** A token bucket whose rate changes. Times are in milliseconds. */
export class Pacer {
  #rate = Infinity
  #budget = 0
  #burst: number
  #at: number
  #packet: number

  /** @param packet bytes of the largest packet */
  constructor (packet: number, now: number) {
    this.#packet = packet
    this.#burst = this.#budget = packet * BURST_PACKETS
    this.#at = now
  }

  /** Bytes in a millisecond; Infinity: no pacing. */
  get rate (): number { return this.#rate }

  /** The largest packet has so many bytes from now on. */
  resize (packet: number): void { this.#packet = packet }

  setRate (rate: number, now: number): void {
    if (rate === this.#rate) return
    this.#refill(now)
    this.#rate = rate
    this.#burst = Math.max(this.#packet * BURST_PACKETS, rate * BURST_TIME)
    this.#budget = Math.min(this.#budget, this.#burst)
  }

  /** Bytes that may leave now; a packet that begins within them may go beyond. */
  available (now: number): number {
    if (this.#rate === Infinity) return Infinity
    this.#refill(now)
    return Math.max(0, this.#budget)
  }

  take (bytes: number): void {
    if (this.#rate !== Infinity) this.#budget -= bytes
  }

  /** When there will be room for a packet. */
  readyAt (): number { return this.#rate === Infinity ? this.#at : this.#at + Math.max(0, this.#packet - this.#budget) / this.#rate }

  #refill (now: number): void {
    if (this.#rate !== Infinity) this.#budget = Math.min(this.#burst, this.#budget + this.#rate * Math.max(0, now - this.#at))
    this.#at = Math.max(this.#at, now)
  }
}
