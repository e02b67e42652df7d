/** Which messages of one end of a session were passed on, and when (SHOW CHAIN protocol, section 6.2). */

/** Numbers behind the highest one, that one included, that are still passed on. */
const SPAN = 1024

/** Milliseconds until a message is passed on again. */
const AGAIN_AFTER = 100

/** Why a message is not passed on. */
export type PassRefusal = 'old' | 'again'

export class PassWindow {
  /** Milliseconds since `#start` and one more, by number; 0: not passed on. */
  readonly #times = new Uint32Array(SPAN)
  readonly #start: number
  #highest = 0

  /** @param now milliseconds of a monotonic clock */
  constructor (now: number) { this.#start = now }

  /** @param seq a safe integer */
  refusal (seq: number, now: number): PassRefusal | undefined {
    if (seq > this.#highest) return undefined
    if (seq < 1 || seq <= this.#highest - SPAN) return 'old'
    const passed = this.#times[seq % SPAN]
    return passed !== 0 && this.#time(now) - passed < AGAIN_AFTER ? 'again' : undefined
  }

  /** It is passed on. @returns whether that is the first time */
  pass (seq: number, now: number): boolean {
    if (seq > this.#highest) {
      if (seq - this.#highest >= SPAN) this.#times.fill(0)
      else for (let between = this.#highest + 1; between < seq; between++) this.#times[between % SPAN] = 0
      this.#highest = seq
    }
    const isFirst = this.#times[seq % SPAN] === 0
    this.#times[seq % SPAN] = this.#time(now)
    return isFirst
  }

  #time (now: number): number { return Math.floor(now - this.#start) + 1 }
}
