/** Names that clients choose, for tables and logs: text in any language, without control and invisible characters. */
import { printable } from './printable.ts'

/** Format characters without a width. Bidirectional controls are escaped already. */
const FORMAT = /\p{Cf}/gu

/** Characters of two columns in a terminal (UAX #11): East Asian wide, and emoji. */
const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u

/** Combining marks. */
const COMBINING = /[\p{Mn}\p{Me}]/u

/**
 * The text made safe to show.
 *
 * @param limit bytes of UTF-8, see {@link printable}
 */
export const shown = (text: string, limit?: number): string =>
  printable(text, limit).replaceAll(FORMAT, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)

/** The number of columns in a terminal. */
export function columnsOf (text: string): number {
  let columns = 0
  for (const char of text) columns += char < '\x7f' ? 1 : WIDE.test(char) ? 2 : COMBINING.test(char) ? 0 : 1
  return columns
}
