/** What was tried to reach a member directly, in order, for people. */
import type { Clock } from '../../../../types.ts'

/** One step. */
export interface DirectEvent {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
}

/** The steps that are kept; older ones are forgotten. */
const MAX_EVENTS = 40

export class DirectHistory {
  readonly #clock: Clock
  readonly #events: DirectEvent[] = []

  constructor (clock: Clock) {
    this.#clock = clock
  }

  get events (): readonly DirectEvent[] { return this.#events }

  add (text: string): void {
    this.#events.push({ at: this.#clock.date(), text })
    if (this.#events.length > MAX_EVENTS) this.#events.shift()
  }
}
