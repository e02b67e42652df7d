/** Text of the other side, made safe to show: without control characters, and bounded. */

/** Maximum bytes: those of the reason of a close frame (RFC 6455, section 5.5.1). */
export const MAX_REASON = 123

/** Control characters (C0, DEL, C1), bidirectional controls (UAX #9), line separators, and lone surrogates. */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\p{Cs}]/u

/**
 * Escapes what must not be shown, as `\x1b` or `\u202e`, and truncates.
 *
 * @param limit bytes of UTF-8, without the `...` that marks the cut
 */
export function printable (text: string, limit = MAX_REASON): string {
  let shown = ''
  let bytes = 0
  for (const char of text) {
    const next = UNPRINTABLE.test(char) ? escaped(char.charCodeAt(0)) : char
    bytes += Buffer.byteLength(next)
    if (bytes > limit) return `${shown}...`
    shown += next
  }
  return shown
}

/** Joins the lines of a text, for a log or a terminal. */
export const oneLine = (text: string): string => text.replaceAll(/\s*\n\s*/g, ' ')

function escaped (code: number): string {
  const digits = code.toString(16)
  return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u${digits.padStart(4, '0')}`
}

/**
 * The reason of an error in one line. Connecting to a name with several addresses fails once for each, in an `AggregateError` without a
 * text.
 */
export function reasonOf (err: Error): string {
  return printable(err instanceof AggregateError ? err.errors.map(({ message }) => message).join('; ') : err.message, MAX_ERROR)
}

/** Maximum bytes of an error text, with text of the other side in it. */
const MAX_ERROR = 300
