/** Names that clients give themselves, in tables and logs: text of any language, without what a terminal obeys or nobody sees. */
import { printable } from './printable.ts'

/** Characters without a width of their own: blanks of no width, marks for formatting. Those that turn the direction are escaped already. */
const FORMAT = /\p{Cf}/gu

/** Characters of two columns in a terminal, UAX #11: those of East Asia in full width, and pictures. */
const WIDE = /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97f\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}\p{Emoji_Presentation}]/u

/** Marks on the character before. */
const COMBINING = /[\p{Mn}\p{Me}]/u

/** The text as it may be shown. @param limit bytes of UTF-8, see {@link printable} */
export const shown = (text: string, limit?: number): string =>
  printable(text, limit).replaceAll(FORMAT, (char) => `\\u{${(char.codePointAt(0) as number).toString(16)}}`)

/** Columns that it takes in a terminal. */
export function columnsOf (text: string): number {
  let columns = 0
  for (const char of text) columns += char < '\x7f' ? 1 : WIDE.test(char) ? 2 : COMBINING.test(char) ? 0 : 1
  return columns
}
