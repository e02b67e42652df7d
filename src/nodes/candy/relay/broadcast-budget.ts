/**
 * What messages to all may cost in one network. One message becomes as many copies as there are other members, so copies are what is
 * paid for, and not messages: those that a sender may send get fewer as its network grows.
 *
 * One half of the rate is divided among the members: nobody can take away from a sender what is its own. The other half is for
 * whoever comes first, so that a burst passes where others are silent. All that passes is within the rate, whoever sends it and
 * however often somebody connects again: what is not used is kept for a second, or for one message where that takes longer.
 */

/** Copies a second of one network, unless it says otherwise. `docs/candy.md` has the arithmetic. */
export const BROADCAST_RATE = 65_536

/** Bytes of one copy; a longer one counts once for each such part that it begins. So the rate bounds bytes as well. */
const UNIT = 256

/** Milliseconds for which what is not used is kept. */
const KEPT = 1000

/** What one message to all costs in a network of so many members. Where some are kept apart it is less in truth, which is not looked at. */
const costOf = (length: number, members: number): number => Math.max(1, members - 1) * Math.max(1, Math.ceil(length / UNIT))

/** Time that may be turned into copies, at a rate that may be another one each time. */
export class Credit {
  #spentUntil: number

  /** @param since milliseconds of a clock that only goes forward; what has come in since then is there. Default: nothing is, until it begins. */
  constructor (since = Infinity) { this.#spentUntil = since }

  /** From now on it comes in, unless it does already. */
  begin (now: number): void { this.#spentUntil = Math.min(this.#spentUntil, now) }

  /** Spends it, or nothing when it does not suffice. */
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
   * Whether a message to all may pass.
   *
   * @param own that of its sender, which has begun when it became a member
   * @param rate copies a second of the whole network
   * @param parts among how many threads the common half is divided
   */
  spend (own: Credit, length: number, members: number, rate: number, parts: number, now: number): boolean {
    const copies = costOf(length, members)
    // What is common goes first: then there is still something of one's own when others have used that up.
    return this.#common.spend(copies, rate / 2 / parts, now) || own.spend(copies, rate / 2 / members, now)
  }
}
