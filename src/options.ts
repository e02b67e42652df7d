/** Checks of option values that more than one folder takes: a wrong value is refused where it is given. */
import { OptionError } from './errors.ts'

/** The longest time that a timer of Node takes, in milliseconds: 2^31 - 1. It would turn a longer one into 1. */
export const MAX_TIMEOUT = 0x7fffffff

/** The given value; throws `OptionError` when it is no whole number of at least 1. */
export function verifyBytes (name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 1) throw new OptionError(`${name} is a whole number of bytes, at least 1, not ${String(value)}`)
  return value
}

/** The given value; throws `OptionError` when it is no whole number of 1 to {@link MAX_TIMEOUT}. */
export function verifyMilliseconds (name: string, value: number): number {
  if (!Number.isInteger(value) || value < 1 || value > MAX_TIMEOUT) throw new OptionError(`${name} is a whole number of milliseconds, 1 to ${MAX_TIMEOUT}, not ${String(value)}`)
  return value
}

/** The given value; throws `OptionError` when it is no port of at least `least`. */
export function verifyPort (name: string, value: number, least = 0): number {
  if (!Number.isInteger(value) || value < least || value > 65_535) throw new OptionError(`${name} is a whole number, ${least} to 65535, not ${String(value)}`)
  return value
}
