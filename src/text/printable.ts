/** What the other side has written, as it may be shown to people: no terminal obeys it, and it is not long. */

/** Bytes of what is shown: as many as the reason of a close frame may have (RFC 6455, section 5.5.1). */
export const MAX_REASON = 123

/**
 * Controls of terminals (C0, DEL, C1), those that turn the direction of what follows (Unicode, UAX #9), ends of lines, and halves of
 * characters.
 */
const UNPRINTABLE = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\p{Cs}]/u

/**
 * Text of the other side with everything escaped that is not to be shown as it is, as `\x1b` or `\u202e`, and cut where it is too long.
 *
 * @param limit bytes in UTF-8, without the `...` that says that it was cut
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

function escaped (code: number): string {
  const digits = code.toString(16)
  return code < 0x100 ? `\\x${digits.padStart(2, '0')}` : `\\u${digits.padStart(4, '0')}`
}

/** Why something failed, in one line. A name with several addresses fails once for each, and the error around those has no text. */
export function reasonOf (err: Error): string {
  return printable(err instanceof AggregateError ? err.errors.map(({ message }) => message).join('; ') : err.message, MAX_ERROR)
}

/** Bytes of an error: its own words, and those of the other side in it. */
const MAX_ERROR = 300
