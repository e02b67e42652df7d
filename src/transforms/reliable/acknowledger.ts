/** What is acknowledged of the packets that have come, and when (reliable protocol, section 3). */
import { MAX_RANGES } from './packet.ts'
import { RangeSet } from './range-set.ts'

/** Milliseconds for which an acknowledgement may be held back. */
export const MAX_ACK_DELAY = 20

/** Packets that are acknowledged at once. */
const AT_ONCE = 2

export class Acknowledger {
  readonly numbers = new RangeSet()
  /** When an acknowledgement has to leave; Infinity: none has to. */
  dueAt = Infinity
  /** Packets that have come since the last one. */
  pending = 0
  #largestAt = 0

  /** A packet has come that asks for an answer. */
  add (number: number, floor: number, now: number): void {
    const { numbers } = this
    const largest = numbers.length === 0 ? -1 : numbers.to(numbers.length - 1) - 1
    if (numbers.add(number, number + 1) === 0) return
    if (number > largest) this.#largestAt = now
    if (numbers.length > 1) {
      numbers.removeBelow(floor)
      if (numbers.length > MAX_RANGES + 1) numbers.removeFirst()
    }
    this.pending++
    if (this.pending >= AT_ONCE || number !== largest + 1) this.dueAt = now
    else this.dueAt = Math.min(this.dueAt, now + MAX_ACK_DELAY)
  }

  /** Milliseconds since the largest one has come. */
  delay (now: number): number { return now - this.#largestAt }

  /** Something else has to be told. */
  hurry (now: number): void {
    if (this.numbers.length > 0) this.dueAt = Math.min(this.dueAt, now)
  }

  sent (): void {
    this.pending = 0
    this.dueAt = Infinity
  }
}
