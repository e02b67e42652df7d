/** Splits a `candy.cfg` into lines exactly as the original does. Text has one character for each byte. */

export interface CfgLine {
  /** From 1. */
  readonly number: number
  readonly key: string
  readonly value: string
  /** The value starts with a quote that is not closed: to the original it is part of the value. */
  readonly isOpen: boolean
}

const BYTE_ORDER_MARK = '\xef\xbb\xbf'

/** Blanks as the original defines them: a password may end with another Unicode blank. */
const trimStart = (text: string): string => text.replace(/^[ \t\n\v\f\r]+/, '')
const trim = (text: string): string => trimStart(text).replace(/(?<![ \t\n\v\f\r])[ \t\n\v\f\r]+$/, '')

/**
 * `key = value`, without blanks and semicolons at the end of the line, but not before the CR of a Windows file. A line without `=`, or
 * one that starts with `#`, is ignored. There are no comments after a value.
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
