/**
 * Ends connections whose other end acknowledges nothing although data is outstanding. TCP itself retransmits for about a quarter of an
 * hour, and sends no keep-alives meanwhile. A receiver that is only slow still acknowledges, and is left alone.
 */
import { LinkClosedError } from '../errors.ts'
import { verifyMilliseconds } from '../options.ts'
import { every, systemClock, type Interval } from '../streams/clock.ts'
import type { Clock, Link } from '../types.ts'

/** Number of checks within the limit. */
const CHECKS = 4

interface Entry {
  readonly onSilent: (err: Error) => void
  /** Time of the first of the checks, without a break up to the last one, at which nothing was answered. */
  since: number | undefined
  /** Bytes acknowledged at the last check. */
  acknowledged: number
}

/** A link that may have `delivery`. */
type Watched = Pick<Link, 'delivery'>

export class UnansweredWatch {
  readonly #limit: number
  readonly #watched = new Map<Watched, Entry>()
  readonly #clock: Clock
  #timer: Interval | undefined

  /**
   * @param limit milliseconds without an acknowledgement after which a connection is ended
   * @param clock default: that of the system
   * @throws {OptionError} when `limit` is not a number of milliseconds
   */
  constructor (limit: number, clock: Clock = systemClock) {
    this.#limit = verifyMilliseconds('limit', limit)
    this.#clock = clock
  }

  /** Number of watched links. */
  get size (): number { return this.#watched.size }

  /** @param onSilent called once, with an error, when the limit is reached; the link is not watched any more then */
  add (link: Watched, onSilent: (err: Error) => void): void {
    if (link.delivery === undefined) return
    this.#watched.set(link, { onSilent, since: undefined, acknowledged: 0 })
    this.#timer ??= every(this.#clock, Math.ceil(this.#limit / CHECKS), () => { this.look() }).unref()
  }

  /** Stops watching a link; does nothing for others. */
  delete (link: Watched): void {
    this.#watched.delete(link)
    if (this.#watched.size > 0) return
    this.#timer?.stop()
    this.#timer = undefined
  }

  /** Watches links while something uses them; settles as that does. */
  async during (links: readonly Watched[], onSilent: (err: Error) => void, use: Promise<void>): Promise<void> {
    for (const link of links) this.add(link, onSilent)
    try {
      await use
    } finally {
      for (const link of links) this.delete(link)
    }
  }

  /** Checks all watched links now. */
  look (): void {
    const now = this.#clock.now()
    for (const [link, entry] of this.#watched) {
      const { acknowledged = 0, isUnanswered = false } = link.delivery?.() ?? {}
      if (!isUnanswered) entry.since = undefined
      else if (entry.since === undefined || acknowledged > entry.acknowledged) entry.since = now
      entry.acknowledged = acknowledged
      if (entry.since === undefined || now - entry.since < this.#limit) continue
      this.delete(link)
      entry.onSilent(new LinkClosedError(`the other side has not answered for ${Math.round((now - entry.since) / 1000)} s`))
    }
  }
}
