/**
 * The size of the largest datagram that a path takes, found by trying: DPLPMTUD (RFC 8899), without sockets and timers.
 *
 * ```ts
 * const size = pathMtu.poll(now) // at the start, after `acknowledged`, and at `deadline`
 * if (size !== undefined) sendProbe(size)
 * ```
 */
import { OptionError } from '../errors.ts'

/** Bytes that the found size may lack: a step of the search costs a time-out for each try. */
const GRANULARITY = 20

/** Milliseconds until larger sizes are tried again, `PMTU_RAISE_TIMER` of RFC 8899, section 5.1.1; until all are, where none has passed. */
const RAISE_TIME = 600_000
const NOTHING_TIME = 60_000

const MAX_SIZE = 65_527

/** Options of {@link PathMtu}; sizes in bytes of the payload of UDP. */
export interface PathMtuInit {
  /** The largest size that is of use. It is tried first, as most paths take it. */
  most: number
  /** The size to try next, and to search upwards from. */
  base: number
  /** Probes of one size, after which it counts as too large. Default: 3. */
  tries?: number
  /** Milliseconds for the acknowledgement of a probe; RFC 8899 wants at least 1000 on paths of unknown delay. Default: 1000. */
  timeout?: number
}

/** One path to one address. Probes are datagrams of the caller, sent without fragments, and acknowledged by the other side. */
export class PathMtu {
  readonly #most: number
  readonly #base: number
  readonly #tries: number
  readonly #timeout: number
  #size = 0
  /** The smallest size that has not passed. */
  #failed = 0
  /** The size in question, 0 while there is none, and its probes so far. */
  #probe = 0
  #sent = 0
  /** The largest size that has been probed. */
  #largest = 0
  #deadline = -Infinity

  /** @throws {OptionError} */
  constructor ({ most, base, tries = 3, timeout = 1000 }: PathMtuInit) {
    for (const [name, value, largest] of [['most', most, MAX_SIZE], ['base', base, most], ['tries', tries, 100], ['timeout', timeout, 600_000]] as const) {
      if (!Number.isInteger(value) || value < 1 || value > largest) throw new OptionError(`${name} is a whole number, 1 to ${largest}, not ${String(value)}`)
    }
    this.#most = most
    this.#base = base
    this.#tries = tries
    this.#timeout = timeout
    this.#reset(-Infinity)
  }

  /** The largest size that has passed; 0 until one has. */
  get size (): number { return this.#size }

  /** Whether the search has ended for now. */
  get isSettled (): boolean { return this.#probe === 0 }

  /** When `poll` is to be called next, in the time of its argument: in the past when a probe is due, Infinity when there is nothing to find. */
  get deadline (): number { return this.#deadline }

  /** The size to probe now, if one is due: it counts as sent. */
  poll (now: number): number | undefined {
    if (now < this.#deadline) return undefined
    if (this.#probe === 0) {
      this.#look()
    } else if (this.#sent === this.#tries) {
      this.#failed = Math.min(this.#failed, this.#probe)
      this.#next(now)
      if (this.isSettled) return undefined
    }
    this.#sent++
    this.#largest = Math.max(this.#largest, this.#probe)
    this.#deadline = now + this.#timeout
    return this.#probe
  }

  /** A probe of this size has arrived, as the other side says, be it late. Sizes that were not probed are ignored. */
  acknowledged (size: number, now: number): void {
    if (!Number.isInteger(size) || size <= this.#size || size < this.#base || size > this.#largest) return
    this.#size = size
    if (size >= this.#failed) this.#failed = this.#most + 1 // it was lost for another reason
    if (this.#probe <= size) this.#next(now)
  }

  /** Datagrams of the confirmed size pass no more: forgets it, and begins anew. */
  blackHole (now: number): void { this.#reset(now) }

  #reset (now: number): void {
    this.#size = 0
    this.#largest = 0
    this.#look()
    this.#deadline = now
  }

  /** Begins a search. */
  #look (): void {
    this.#failed = this.#most + 1
    this.#probe = this.#most
    this.#sent = 0
  }

  /** Goes on with the next size, or ends the search. */
  #next (now: number): void {
    this.#sent = 0
    if (this.#size === 0) this.#probe = this.#failed > this.#base ? this.#base : 0
    else this.#probe = this.#failed - this.#size > GRANULARITY ? (this.#size + this.#failed) >>> 1 : 0
    if (this.#probe !== 0) this.#deadline = now
    else if (this.#size === this.#most) this.#deadline = Infinity
    else this.#deadline = now + (this.#size === 0 ? NOTHING_TIME : RAISE_TIME)
  }
}
