/**
 * The budget of messages to all in one network. One message becomes as many copies as there are other members, so the budget counts
 * copies: the larger the network, the fewer messages a sender may send.
 *
 * Half of the rate is divided among the members: the share of a sender cannot be used by others. The other half is first come, first
 * served, so that a burst passes while others are silent. The total stays within the rate, whatever the number of senders and
 * reconnections: unused credit is kept for a second, or for one message where that takes longer.
 */

/** Copies a second of one network by default. The arithmetic is in `docs/candy.md`. */
export const BROADCAST_RATE = 65_536

/** Bytes of one copy; a longer one counts once for each started unit, so that the rate bounds bytes as well. */
const UNIT = 256

/** Milliseconds for which unused credit is kept. */
const KEPT = 1000

/** The cost of one message to all in a network with `members`. An upper bound: isolated members that get no copy are counted too. */
const costOf = (length: number, members: number): number => Math.max(1, members - 1) * Math.max(1, Math.ceil(length / UNIT))

/** Credit in units of time, converted into copies at the rate of each call, which may change. */
export class Credit {
  #spentUntil: number

  /** @param since milliseconds of a monotonic clock from which credit accrues. Default: from `begin` */
  constructor (since = Infinity) { this.#spentUntil = since }

  /** Starts to accrue credit, unless that has begun. */
  begin (now: number): void { this.#spentUntil = Math.min(this.#spentUntil, now) }

  /** Spends credit; when it does not suffice, returns false and spends none. */
  spend (copies: number, rate: number, now: number): boolean {
    const time = copies / rate * 1000
    const from = Math.max(this.#spentUntil, now - Math.max(KEPT, time))
    if (from + time > now) return false
    this.#spentUntil = from + time
    return true
  }
}

export class BroadcastBudget {
  readonly #common = new Credit(-Infinity)

  /**
   * Whether a message to all is within the budget; if so, spends it.
   *
   * @param own the credit of its sender, which accrues from the time when it became a member
   * @param rate copies a second of the whole network
   * @param parts number of threads that divide the common half
   */
  spend (own: Credit, length: number, members: number, rate: number, parts: number, now: number): boolean {
    const copies = costOf(length, members)
    // common credit first: the sender's own is kept for when others have used up the common part
    return this.#common.spend(copies, rate / 2 / parts, now) || own.spend(copies, rate / 2 / members, now)
  }
}
