/** A log of what clients do, with a bound of lines, since clients decide how much happens. */
import type { Logger } from '../log.ts'

/** Lines a second; further ones are counted and reported in one line. */
const MAX_LINES = 20

export class RateLimitedLog {
  readonly #log: Logger
  #lines = 0

  constructor (log: Logger) { this.#log = log }

  log (level: 'info' | 'warn', fields: object, message: string): void {
    if (this.#lines++ < MAX_LINES) this.#log[level](fields, message)
  }

  /** Once a second. */
  tick (): void {
    if (this.#lines > MAX_LINES) this.#log.warn({ count: this.#lines - MAX_LINES }, 'more happened than is logged')
    this.#lines = 0
  }
}
