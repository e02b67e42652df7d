/** Checks of option values that more than one folder takes: a wrong value is refused where it is given. */
import { OptionError } from './errors.ts'

/** The longest time that a timer of Node takes, in milliseconds: 2^31 - 1. It would turn a longer one into 1. */
export const LONGEST_TIMER = 0x7fffffff

/** The given value; throws `OptionError` when it is no whole number of at least 1. */
export function verifyBytes (name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new OptionError(`${name} is a whole number of bytes, at least 1, not ${String(value)}`)
  return value
}

/** The given value; throws `OptionError` when it is no whole number of 1 to {@link LONGEST_TIMER}. */
export function verifyMilliseconds (name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > LONGEST_TIMER) throw new OptionError(`${name} is a whole number of milliseconds, 1 to ${LONGEST_TIMER}, not ${String(value)}`)
  return value
}
