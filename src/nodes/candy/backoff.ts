/** How long to wait before the next attempt to connect. */
import { OptionError } from '../../errors.ts'

export interface BackoffInit {
  /** Milliseconds before the second attempt; doubled for each further one. Default: 500. */
  first?: number
  /** The longest wait in milliseconds. Default: 30 s. */
  longest?: number
}

/** What a timer of Node can wait, in milliseconds; it takes anything longer for 1. */
const LONGEST_TIMER = 2 ** 31 - 1

/** Throws `OptionError` unless a timer can wait that long. */
export function verifyDelay (name: string, milliseconds: number): number {
  if (!(milliseconds > 0 && milliseconds <= LONGEST_TIMER)) throw new OptionError(`${name} is more than 0 and at most ${LONGEST_TIMER} milliseconds, not ${milliseconds}`)
  return milliseconds
}

/** Doubles from `first` to `longest`; half of each wait is random, so that a thousand peers do not return in one moment. */
export class Backoff {
  readonly #first
  readonly #longest
  #attempts = 0

  /** Throws `OptionError` when a timer cannot wait that long. */
  constructor ({ first = 500, longest = 30_000 }: BackoffInit = {}) {
    this.#first = verifyDelay('backoff.first', first)
    this.#longest = verifyDelay('backoff.longest', longest)
  }

  /** The next wait in milliseconds. */
  next (): number {
    const full = Math.min(this.#longest, this.#first * 2 ** this.#attempts++)
    return full / 2 + Math.random() * full / 2
  }

  /** An attempt has succeeded. */
  reset (): void { this.#attempts = 0 }
}
