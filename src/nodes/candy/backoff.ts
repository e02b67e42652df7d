/** How long to wait before the next attempt to connect. */

export interface BackoffInit {
  /** Milliseconds before the second attempt; doubled for each further one. Default: 500. */
  first?: number
  /** The longest wait in milliseconds. Default: 30 s. */
  longest?: number
}

/** Doubles from `first` to `longest`; half of each wait is random, so that a thousand peers do not return in one moment. */
export class Backoff {
  readonly #first
  readonly #longest
  #attempts = 0

  constructor ({ first = 500, longest = 30_000 }: BackoffInit = {}) {
    this.#first = first
    this.#longest = longest
  }

  /** The next wait in milliseconds. */
  next (): number {
    const full = Math.min(this.#longest, this.#first * 2 ** Math.min(this.#attempts++, 30))
    return full / 2 + Math.random() * full / 2
  }

  /** An attempt has succeeded. */
  reset (): void { this.#attempts = 0 }
}
