/**
 * Ends connections whose other side answers nothing any more while something is due to it. TCP goes on sending for a quarter of an hour,
 * and keep-alives are not sent meanwhile. A receiver that only does not read answers, and is left alone.
 */
import { LinkClosedError } from '../errors.ts'
import { verifyMilliseconds } from '../options.ts'
import { every, systemClock, type Interval } from '../streams/clock.ts'
import type { Clock, Link } from '../types.ts'

/** All of them are looked at so often before one can have reached the limit. */
const LOOKS = 4

/** A link that can tell, or cannot. */
type Watched = Pick<Link, 'delivery'>

export class UnansweredWatch {
  readonly #limit: number
  readonly #watched = new Map<Watched, (err: Error) => void>()
  readonly #clock: Clock
  #timer: Interval | undefined

  /**
   * @param limit milliseconds without an answer after which a connection is given up
   * @param clock default: that of the system
   * @throws {OptionError} for what is no number of milliseconds
   */
  constructor (limit: number, clock: Clock = systemClock) {
    this.#limit = verifyMilliseconds('limit', limit)
    this.#clock = clock
  }

  /** Links that are watched. */
  get size (): number { return this.#watched.size }

  /** @param onSilent called once, with an error, when the other side has gone; it is not watched any more then */
  add (link: Watched, onSilent: (err: Error) => void): void {
    if (link.delivery === undefined) return
    this.#watched.set(link, onSilent)
    this.#timer ??= every(this.#clock, Math.ceil(this.#limit / LOOKS), () => { this.look() }).unref()
  }

  /** Harmless for a link that is not watched. */
  delete (link: Watched): void {
    this.#watched.delete(link)
    if (this.#watched.size > 0) return
    this.#timer?.stop()
    this.#timer = undefined
  }

  /** Looks at all of them now. */
  look (): void {
    for (const [link, onSilent] of this.#watched) {
      const unanswered = link.delivery?.()?.unanswered ?? 0
      if (unanswered < this.#limit) continue
      this.delete(link)
      onSilent(new LinkClosedError(`the other side has not answered for ${Math.round(unanswered / 1000)} s`))
    }
  }
}
