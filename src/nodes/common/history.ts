/** What was tried to reach a node, in order, for people. */
import type { Clock } from '../../types.ts'

/** One step. */
export interface HistoryEvent {
  /** Milliseconds since 1970. */
  readonly at: number
  readonly text: string
}

/** The steps that are kept; older ones are forgotten. */
const MAX_EVENTS = 64

export class History {
  readonly #clock: Pick<Clock, 'date'>
  readonly #events: HistoryEvent[] = []

  constructor (clock: Pick<Clock, 'date'>) {
    this.#clock = clock
  }

  get events (): readonly HistoryEvent[] { return this.#events }

  add (text: string): void {
    this.#events.push({ at: this.#clock.date(), text })
    if (this.#events.length > MAX_EVENTS) this.#events.shift()
  }
}
