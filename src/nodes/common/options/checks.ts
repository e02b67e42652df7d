/**
 * Checks of option values. One check serves flags, files and callers of the library, so a value is text (a flag), any value that YAML can
 * have, or what the check itself returns. Every error has the form `what is wrong, expected what is allowed`.
 */
import { z } from 'zod'
import { MAX_TIMEOUT } from '../../../options.ts'
import { listOf, quoted } from '../../../text/phrases.ts'

/** Rejects a value with a more precise message than that of the check. */
export class ValueError extends Error {
  override readonly name = 'ValueError'
}

export function problemText (what: string, input: unknown, expected: string): string {
  if (input === undefined) return `missing, expected ${expected}`
  if (input === null || input === '') return `empty, expected ${expected}`
  return `not ${what} (${quoted(input)}), expected ${expected}`
}

/**
 * A check by a function. It returns undefined for an invalid value, or throws a `ValueError` with a more precise message.
 *
 * @param shown - the input as the message quotes it
 */
function checked<In, T> (what: string, expected: string, read: (input: unknown) => T | undefined, shown = (input: unknown): unknown => input) {
  return z.custom<In>(() => true).transform((input, context): T => {
    let message = problemText(what, shown(input), expected)
    try {
      const value = read(input)
      if (value !== undefined) return value
    } catch (err) {
      if (!(err instanceof ValueError)) throw err
      message = err.message
    }
    context.issues.push({ code: 'custom', input, message })
    return z.NEVER
  })
}

/**
 * Text that `read` accepts.
 *
 * @param is - accepts a value that is parsed already
 */
export function text<T> (what: string, expected: string, read: (text: string) => T | undefined, is: (value: unknown) => value is T = (value): value is T => false) {
  return checked<string | T, T>(what, expected, (input) => typeof input === 'string' ? read(input) : is(input) ? input : undefined)
}

/** The same for values that may be numbers. */
export function numeral<T> (what: string, expected: string, read: (text: string) => T | undefined, is: (value: unknown) => value is T = (value): value is T => false) {
  return checked<string | number | T, T>(what, expected, (input) => {
    if (typeof input === 'string' || typeof input === 'number') return read(String(input))
    return is(input) ? input : undefined
  }, (input) => typeof input === 'number' ? String(input) : input)
}

/** The largest number of nine digits. */
const MAX_COUNT = 999_999_999

/** A whole number; without an upper bound up to {@link MAX_COUNT}. */
export function wholeNumber (from: number, to = MAX_COUNT) {
  return numeral('a whole number in range', `${from} to ${to}`, (digits) => {
    const value = Number(digits)
    return /^\d{1,16}$/.test(digits) && value >= from && value <= to ? value : undefined
  })
}

/** Characters of a secret. */
const MAX_SECRET = 4096

/** Milliseconds, of callers of the library. */
export function milliseconds (from = 1, to = MAX_TIMEOUT) {
  return checked<number, number>('a number of milliseconds', `a whole number of ${from} to ${to}`, (input) => typeof input === 'number' && Number.isInteger(input) && input >= from && input <= to ? input : undefined)
}

/** Seconds in flags and files; the value is in milliseconds. */
export function seconds (from: number, to: number) {
  return wholeNumber(from, to).transform((value) => value * 1000)
}

export function choice<const T extends readonly string[]> (words: T) {
  return checked<T[number], T[number]>('a choice', listOf(words), (word) => words.find((known) => known === word))
}

export function boolean () {
  return checked<boolean, boolean>('a boolean', 'true or false', (input) => typeof input === 'boolean' ? input : undefined)
}

/** `on` or `off` in flags and files; the value is a boolean. */
export function onOff () {
  return choice(['on', 'off']).transform((word) => word === 'on')
}

/**
 * Several values: a list, or one text with commas, as on the command line.
 *
 * @param is - accepts a value that is parsed already
 */
export function commaList<T> (what: string, expected: string, read: (text: string) => T | undefined, is: (value: unknown) => value is T = (value): value is T => false) {
  return checked<string | readonly string[] | readonly T[], T[]>(what, expected, (input) => {
    if (Array.isArray(input) && input.every(is)) return [...input]
    const joined = joinedList(input)
    if (typeof joined !== 'string') return undefined
    const values = joined.split(',').map((item) => read(item.trim()))
    return values.every((value) => value !== undefined) ? values : undefined
  }, joinedList)
}

/** A list of texts, or numbers, as one text with commas. */
export function joinedList (input: unknown): unknown {
  return Array.isArray(input) && input.every((item) => ['string', 'number'].includes(typeof item)) ? input.join() : input
}

/** A path; it is not checked here whether it can be opened. */
export function path () {
  return text('a path', 'a path', (path) => path === '' || path.includes('\0') ? undefined : path)
}

const secretTexts = new WeakSet<z.ZodType>()

/**
 * Text that no error may quote, of at most `max` characters, and that the programs keep out of their logs. It may be empty here; the caller
 * decides whether that is allowed.
 */
export function secretText (max = MAX_SECRET) {
  const check = z.string({
    error: ({ input }) => input === undefined ? 'missing, expected text' : input === null ? 'empty, expected text' : 'not text, expected text (put digits in quotes)'
  }).max(max, { error: `too long, expected at most ${max} characters` })
  secretTexts.add(check)
  return check
}

/** Whether a check is a {@link secretText}. */
export const isSecretText = (check: z.ZodType): boolean => secretTexts.has(check)

/** A value that only callers of the library give, such as the content of a file. */
export function given<T> () { return z.custom<T>((value) => value !== undefined) }
