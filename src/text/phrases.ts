/** Parts of messages: lists of words, and values of options. */

/** Characters of a value. */
const MAX_QUOTED = 60

/** A value as quoted in an error: on one line, without control characters, of limited length. */
export function quoted (value: unknown): string {
  if (Array.isArray(value)) return 'a list'
  if (typeof value === 'object' && value !== null) return 'a section'
  if (typeof value !== 'string') return String(value)
  return JSON.stringify(value.length > MAX_QUOTED ? `${value.slice(0, MAX_QUOTED)}...` : value)
}

/** `strict, routes or off`. */
export function listOf (words: readonly string[]): string {
  return words.length < 2 ? words.join() : `${words.slice(0, -1).join(', ')} or ${words[words.length - 1]}`
}
