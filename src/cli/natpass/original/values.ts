/** Values of files of the original, from their text (natpass protocol, section 5). Each returns undefined for another text. */
import { readPort } from '../../../net/endpoint.ts'
import { MAX_TIMEOUT } from '../../../options.ts'

/** Longer text is no number. */
const MAX_NUMBER = 64

export function booleanOf (text: string): boolean | undefined {
  const word = text.toLowerCase()
  if (['true', 'yes', 'on', 'y'].includes(word)) return true
  return ['false', 'no', 'off', 'n'].includes(word) ? false : undefined
}

/** Nanoseconds of a unit. */
const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, μs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 }

const DURATION = /^[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/
const PART = /(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)/g

/** `1s`, `1m30s`, `-0.5h`; a bare whole number is one of nanoseconds. In milliseconds, rounded up to whole ones. */
export function durationOf (text: string): number | undefined {
  if (text.length > MAX_NUMBER || !(/^[+-]?\d+$/.test(text) || DURATION.test(text))) return undefined
  const parts = [...text.matchAll(PART)]
  const sum = parts.length === 0 ? Math.abs(Number(text)) : parts.reduce((sum, [, count, unit]) => sum + Number(count) * UNITS[unit], 0)
  const milliseconds = Math.ceil((text.startsWith('-') ? -sum : sum) / 1e6)
  return Math.abs(milliseconds) <= MAX_TIMEOUT ? milliseconds + 0 : undefined // no negative zero
}

const POWERS = ['', 'k', 'm', 'g', 't', 'p']

/** `52428800`, `50M` (10^6), `1.5GiB` (2^30), in bytes. */
export function sizeOf (text: string): number | undefined {
  if (text.length > MAX_NUMBER) return undefined
  const [, count, prefix, binary] = /^(\d+(?:\.\d+)?)(?: ?([kmgtp])(i?)b?| ?b)?$/i.exec(text) ?? []
  if (count === undefined) return undefined
  const bytes = Math.floor(Number(count) * ((binary ?? '') === '' ? 1000 : 1024) ** POWERS.indexOf((prefix ?? '').toLowerCase()))
  return Number.isSafeInteger(bytes) ? bytes : undefined
}

/** A whole number of at most nine digits. */
export const countOf = (text: string): number | undefined => /^\d{1,9}$/.test(text) ? Number(text) : undefined

/** `6154` and `:6154` are `0.0.0.0:6154`. Other text is kept, to be checked as an address. */
export function listenedAt (text: string): string {
  const port = /^:?(\d+)$/.exec(text)?.[1]
  return port === undefined || readPort(port) === undefined ? text : `0.0.0.0:${Number(port)}`
}
