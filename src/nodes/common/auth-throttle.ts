/** Bounds authentication failures by source. The loopback is exempt: a proxy there may stand for many clients. */
import { OptionError } from '../../errors.ts'
import type { ConnectionSlot } from '../../limits/connection-limiter.ts'
import { KeyedTokenBuckets } from '../../limits/keyed-token-buckets.ts'
import type { Clock } from '../../types.ts'

type Source = Pick<ConnectionSlot, 'source' | 'isLocal'>

export class AuthThrottle {
  readonly #clock: Clock
  #perMinute: number
  #failures: KeyedTokenBuckets

  /**
   * @param perMinute failures of one source in a minute, and at once
   * @throws {OptionError} when that is not a whole number of at least 1
   */
  constructor (perMinute: number, clock: Clock) {
    this.#clock = clock
    this.#perMinute = perMinute
    this.#failures = rateOf(perMinute)
  }

  get perMinute (): number { return this.#perMinute }

  /**
   * Changes the bound. With the same bound the state of each source stays.
   *
   * @throws {OptionError} as the constructor
   */
  configure (perMinute: number): void {
    if (perMinute === this.#perMinute) return
    this.#failures = rateOf(perMinute)
    this.#perMinute = perMinute
  }

  /** Whether the source has failed too often. Then the credentials are not checked, as the answer would confirm a guess. */
  isThrottled ({ source, isLocal }: Source): boolean { return !isLocal && !this.#failures.allows(source, this.#clock.now()) }

  failed ({ source, isLocal }: Source): void {
    if (!isLocal) this.#failures.take(source, this.#clock.now())
  }
}

function rateOf (perMinute: number): KeyedTokenBuckets {
  if (!Number.isSafeInteger(perMinute) || perMinute < 1) throw new OptionError(`authFailures is a whole number of at least 1, not ${String(perMinute)}`)
  return new KeyedTokenBuckets({ rate: perMinute / 60, burst: perMinute })
}
