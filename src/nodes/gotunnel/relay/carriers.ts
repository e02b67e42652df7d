/**
 * Data connections of a port that have done their work and wait for another user: in strict mode one serves many users, one
 * after the other, since to make a connection costs more than most users do.
 */
import type { SerialLinks } from '../../../transforms/serial-links/index.ts'

/** At one time, for a port and for all. */
const MOST = 256
const MOST_IN_ALL = 1024

/** Milliseconds. One that has said nothing for longer may be dead without anybody knowing, and a user would pay for that. */
const LONGEST_REST = 15_000

/** Of all ports. */
export interface CarrierTotals {
  /** Data connections that wait for another user. */
  carriers: number
  /** Milliseconds of the clock, as of the last tick. */
  readonly now: number
}

export class Carriers {
  readonly #shared: CarrierTotals
  /** With the time since which they rest; the last is taken first. */
  readonly #resting: Array<[SerialLinks, number]> = []

  constructor (shared: CarrierTotals) { this.#shared = shared }

  /** The one that has rested the shortest, and whether it was in use a moment ago: else its way may be gone without anybody knowing. */
  take (): { links: SerialLinks, isFresh: boolean } | undefined {
    const taken = this.#resting.pop()
    if (taken === undefined) return undefined
    this.#shared.carriers--
    const [links, since] = taken
    return { links, isFresh: since === this.#shared.now }
  }

  /** It rests until it is taken, or ended. */
  add (links: SerialLinks): void {
    if (this.#resting.length >= MOST || this.#shared.carriers >= MOST_IN_ALL) {
      links.close()
      return
    }
    this.#resting.push([links, this.#shared.now])
    this.#shared.carriers++
    links.watch()
  }

  /** It has ended. */
  remove (links: SerialLinks): void {
    const at = this.#resting.findIndex(([resting]) => resting === links)
    if (at < 0) return
    this.#resting.splice(at, 1)
    this.#shared.carriers--
  }

  tick (): void {
    const { now } = this.#shared
    while (this.#resting.length > 0 && now - this.#resting[0][1] >= LONGEST_REST) this.#endFirst()
  }

  close (): void {
    while (this.#resting.length > 0) this.#endFirst()
  }

  #endFirst (): void {
    const [links] = this.#resting.shift() ?? []
    this.#shared.carriers--
    links?.close()
  }
}
