/** The lines of a `candy.cfg`, told apart exactly as the original does. All text here has one character for each byte. */

export interface CfgLine {
  /** From 1. */
  readonly number: number
  readonly key: string
  readonly value: string
  /** A quote in front that none at the end belongs to: the original takes it as part of the value. */
  readonly isOpen: boolean
}

const BYTE_ORDER_MARK = '\xef\xbb\xbf'

/** What counts as a blank to the original, and no other: a password may end with a blank of Unicode. */
const trimStart = (text: string): string => text.replace(/^[ \t\n\v\f\r]+/, '')
const trim = (text: string): string => trimStart(text).replace(/(?<![ \t\n\v\f\r])[ \t\n\v\f\r]+$/, '')

/**
 * `key = value` with blanks and semicolons at the end of the line, but not in front of the CR of a file of Windows; a line without a `=` and
 * one that begins with a `#` mean nothing. There is no comment behind a value.
 */
export function linesOf (text: string): CfgLine[] {
  const whole = text.startsWith(BYTE_ORDER_MARK) ? text.slice(BYTE_ORDER_MARK.length) : text
  return whole.split('\n').flatMap((raw, i): CfgLine[] => {
    const line = trimStart(raw)
    const at = line.indexOf('=')
    if (line.startsWith('#') || at < 0) return []
    const end = line.length - (/(?<![ \t;])[ \t;]+$/.exec(line)?.[0].length ?? 0)
    const value = trim(line.slice(at + 1, end))
    const isQuoted = value.length >= 2 && value.startsWith('"') && value.endsWith('"')
    return [{ number: i + 1, key: trim(line.slice(0, at)), value: isQuoted ? value.slice(1, -1) : value, isOpen: !isQuoted && value.startsWith('"') }]
  })
}
