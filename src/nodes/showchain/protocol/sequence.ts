/** Numbers of requests (SHOW CHAIN protocol, section 2.5). */
import type { Clock } from '../../../types.ts'

const MICROSECONDS = 1000

/** One for all requests of an identity: microseconds since 1970 at the start, so that it goes on over restarts, then one more for each. */
export class Sequence {
  #last: number

  constructor (clock: Pick<Clock, 'date'>) {
    this.#last = Math.floor(clock.date() * MICROSECONDS)
  }

  next (): number { return ++this.#last }
}
