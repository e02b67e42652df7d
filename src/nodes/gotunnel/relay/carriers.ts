/**
 * Data connections of a port that have done their work and wait for another user: in strict mode one serves many users, one
 * after the other, since to make a connection costs more than most users do.
 */
import type { SequentialStreams } from '../../../transforms/sequential-streams/index.ts'

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
  readonly #resting: Array<[SequentialStreams, number]> = []

  constructor (shared: CarrierTotals) { this.#shared = shared }

  /** The one that has rested the shortest, and whether it was in use a moment ago: else its way may be gone without anybody knowing. */
  take (): { streams: SequentialStreams, isFresh: boolean } | undefined {
    const taken = this.#resting.pop()
    if (taken === undefined) return undefined
    this.#shared.carriers--
    const [streams, since] = taken
    return { streams, isFresh: since === this.#shared.now }
  }

  /** It rests until it is taken, or ended. */
  add (streams: SequentialStreams): void {
    if (this.#resting.length >= MOST || this.#shared.carriers >= MOST_IN_ALL) {
      streams.close()
      return
    }
    this.#resting.push([streams, this.#shared.now])
    this.#shared.carriers++
    streams.watchForClose()
  }

  /** It has ended. */
  remove (streams: SequentialStreams): void {
    const at = this.#resting.findIndex(([resting]) => resting === streams)
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
    const [streams] = this.#resting.shift() ?? []
    this.#shared.carriers--
    streams?.close()
  }
}
