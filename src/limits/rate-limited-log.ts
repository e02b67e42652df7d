/** A log of what clients do, with a bound of lines, since clients decide how much happens. */
import type { Logger } from '../log.ts'

/** Default of lines a second. */
const MAX_LINES = 20

export class RateLimitedLog {
  readonly #log: Logger
  readonly #maxLines: number
  #lines = 0

  /** @param maxLines a second; further ones are counted and reported in one line */
  constructor (log: Logger, maxLines = MAX_LINES) {
    this.#log = log
    this.#maxLines = maxLines
  }

  log (level: 'info' | 'warn', fields: object, message: string): void {
    if (this.#lines++ < this.#maxLines) this.#log[level](fields, message)
  }

  /** Once a second. */
  tick (): void {
    if (this.#lines > this.#maxLines) this.#log.warn({ count: this.#lines - this.#maxLines }, 'more happened than is logged')
    this.#lines = 0
  }
}
