/** What a direction of a connection to a subnet does to packets. */
import { OptionError } from '../../../errors.ts'
import { MAX_TIMEOUT } from '../../../options.ts'

/** Conditions of one direction. What is random comes from the seed of the network. */
export interface Conditions {
  /** Milliseconds on the way. Default of a subnet: 1. */
  delay?: number
  /** Up to so many milliseconds more, evenly distributed. Packets stay in order. Default: 0. */
  jitter?: number
  /** Share of the packets that get lost, 0 to 1. Default: 0. */
  loss?: number
  /** Share of the packets that arrive twice. Default: 0. */
  duplicate?: number
  /** Share of the packets that are held back, so that later ones overtake them. Default: 0. */
  reorder?: number
  /** Milliseconds for which they are. Default: 10. */
  heldBack?: number
  /** Bytes of the largest packet, with all headers. Nothing is fragmented. Default: 1500. */
  mtu?: number
  /** Bits per second, at least 1. Packets that are doubled take no more of it. Default: without a bound. */
  rate?: number
  /** Bytes that wait where there is a rate; what would be more is dropped. Default: 65,536. */
  queue?: number
}

/** All of them, with their defaults. */
export type AllConditions = Readonly<Required<Conditions>>

/** The largest MTU: a header of IPv6, and a datagram of the largest size. */
export const MAX_MTU = 40 + 65_535

export const DEFAULT_CONDITIONS: AllConditions = { delay: 1, jitter: 0, loss: 0, duplicate: 0, reorder: 0, heldBack: 10, mtu: 1500, rate: Infinity, queue: 65_536 }

/** What changes nothing. */
export const NO_CONDITIONS: AllConditions = { ...DEFAULT_CONDITIONS, delay: 0, mtu: MAX_MTU }

type Check = readonly [isValid: (value: number) => boolean, text: string]

const milliseconds: Check = [(ms) => ms >= 0 && ms <= MAX_TIMEOUT, `a number of milliseconds, 0 to ${MAX_TIMEOUT}`]
const share: Check = [(value) => value >= 0 && value <= 1, 'a share, 0 to 1']

const CHECKS: Readonly<Record<keyof Conditions, Check>> = {
  delay: milliseconds,
  jitter: milliseconds,
  heldBack: milliseconds,
  loss: share,
  duplicate: share,
  reorder: share,
  mtu: [(bytes) => Number.isInteger(bytes) && bytes >= 68 && bytes <= MAX_MTU, `a whole number of bytes, 68 to ${MAX_MTU}`],
  rate: [(bits) => bits >= 1, 'a number of bits per second, at least 1'],
  queue: [(bytes) => Number.isSafeInteger(bytes) && bytes >= 1, 'a whole number of bytes, at least 1']
}

/**
 * The conditions with some of them changed.
 *
 * @throws {OptionError} when one is out of range, or unknown
 */
export function changed (conditions: AllConditions, changes: Conditions): AllConditions {
  for (const name of Object.keys(changes)) if (!Object.hasOwn(CHECKS, name)) throw new OptionError(`there is no condition ${name}: ${Object.keys(CHECKS).join(', ')}`)
  const result = { ...conditions }
  for (const name of Object.keys(CHECKS) as Array<keyof Conditions>) {
    const value = changes[name]
    if (value === undefined) continue
    const [isValid, text] = CHECKS[name]
    if (typeof value !== 'number' || !isValid(value)) throw new OptionError(`${name} is ${text}, not ${String(value)}`)
    result[name] = value
  }
  return result
}
