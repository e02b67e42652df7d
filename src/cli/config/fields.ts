/**
 * The building blocks of the schemas. One schema checks flags and files, so a value is text (a flag) or any value
 * that YAML can have. Every error has the form `what is wrong, expected what is allowed`.
 */
import { z } from 'zod'
import { nearest } from '../nearest.ts'
import type { UnsupportedOptions } from './settings.ts'
import { UsageError } from '../usage-error.ts'

const MAX_SHOWN = 60

/** A value as quoted in an error: on one line, without control characters, of limited length. */
export function show (value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object') return 'a section'
  if (typeof value !== 'string') return String(value)
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}...` : value)
}

/** `strict, routes or off`. */
export function list (words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`
}

function problemText (what: string, input: unknown, expected: string): string {
  if (input === undefined) return `missing, expected ${expected}`
  if (input === null || input === '') return `empty, expected ${expected}`
  return `not ${what} (${show(input)}), expected ${expected}`
}

/**
 * Text that `read` accepts.
 *
 * @param read - returns undefined when it does not accept; may throw `UsageError` for a more precise error.
 */
export function text<T> (what: string, expected: string, read: (text: string) => T | undefined) {
  return z.string({ error: ({ input }) => problemText(what, input, expected) }).transform((input, context) => {
    let message = problemText(what, input, expected)
    try {
      const value = read(input)
      if (value !== undefined) return value
    } catch (err) {
      if (!(err instanceof UsageError)) throw err
      message = err.message
    }
    context.issues.push({ code: 'custom', input, message })
    return z.NEVER
  })
}

/** The same for values that may be numbers in YAML, and are text on the command line. */
export function numeral<T> (what: string, expected: string, read: (text: string) => T | undefined) {
  return z.preprocess((input) => typeof input === 'number' ? String(input) : input, text(what, expected, read))
}

export function wholeNumber (from: number, to: number) {
  return numeral('a whole number in range', `${from} to ${to}`, (digits) => {
    const value = Number(digits)
    return /^\d{1,9}$/.test(digits) && value >= from && value <= to ? value : undefined
  })
}

export function choice<const T extends readonly string[]> (words: T) {
  return text('a choice', list(words), (word) => words.includes(word) ? word as T[number] : undefined)
}

function boolean () {
  return z.boolean({ error: ({ input }) => problemText('a boolean', input, 'true or false') })
}

/** A flag without a value; `true` or `false` in a file. */
export function toggle () { return boolean().default(false) }

/** The same, but undefined when absent. */
export function optionalToggle () { return boolean().optional() }

/** Several values: a list in a file, or one text with commas, as on the command line. */
export function commaList<T> (what: string, expected: string, read: (text: string) => T | undefined) {
  const joined = (input: unknown): unknown => Array.isArray(input) && input.every((item) => typeof item === 'string') ? input.join() : input
  return z.preprocess(joined, text(what, expected, (input) => {
    const values = input.split(',').map((item) => read(item.trim()))
    return values.every((value) => value !== undefined) ? values : undefined
  }))
}

/** A list of sections, in YAML each with a leading `-`. */
export function sections<T extends z.ZodType> (one: T) {
  return z.array(one, { error: ({ input }) => problemText('a list', input, 'one section or more, each with "-" in front') })
    .min(1, { error: 'empty, expected one section or more, each with "-" in front' })
}

/** A path; it is not checked here whether it can be opened. */
export function path () {
  return text('a path', 'a path', (path) => path === '' || path.includes('\0') ? undefined : path)
}

/** Text that no error may quote. It may be empty here; the caller decides whether that is allowed. */
export function secret () {
  return z.string({
    error: ({ input }) => input === null ? 'empty, expected text' : 'not text, expected text (put digits in quotes)'
  })
}

/**
 * A section with these keys and no others.
 *
 * @param unsupported - keys that are rejected with their own error text
 */
export function section<const T extends z.core.$ZodLooseShape> (shape: T, unsupported: UnsupportedOptions = {}) {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return problemText('a section', issue.input, `keys such as ${known.slice(0, 3).join(', ')}`)
      const key = String(issue.keys[0])
      if (Object.hasOwn(unsupported, key)) return unsupported[key]
      const near = nearest(key, known)
      return near === undefined ? `unknown key, expected ${list(known)}` : `unknown key, did you mean ${near}?`
    }
  })
}
