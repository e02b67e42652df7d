/** Lines of an INI file as the originals read it: `.env`, and the file of `-c`. What stands below a section is not read. */
import { unquoted } from './unquoted.ts'

export interface IniLine {
  /** From 1. */
  readonly number: number
  /** In upper case with `_`, as `relay-servers` and `RELAY_SERVERS` are the same. */
  readonly name: string
  readonly value: string
}

export interface Ini {
  readonly lines: readonly IniLine[]
  /** Numbers of lines that are nothing of the kind, or below a section. */
  readonly ignored: readonly number[]
}

/** `relay-servers = HOST`, or with a colon. */
const ASSIGNMENT = /^\s*([\w-]+)\s*[=:]\s*(.*?)\s*$/

/** The name by which the originals know a variable. */
export const variableName = (name: string): string => name.replaceAll('-', '_').toUpperCase()

/** There are no comments after a value, as a key may have a `#`. */
export function readIni (text: string): Ini {
  const lines: IniLine[] = []
  const ignored: number[] = []
  let isBelow = false
  for (const [i, line] of text.replace(/^\uFEFF/, '').split(/\r?\n/).entries()) {
    if (/^\s*(?:[#;].*)?$/.test(line)) continue
    isBelow ||= /^\s*\[/.test(line)
    const [, name, value] = ASSIGNMENT.exec(line) ?? []
    if (isBelow || name === undefined) ignored.push(i + 1)
    else lines.push({ number: i + 1, name: variableName(name), value: unquoted(value) })
  }
  return { lines, ignored }
}

/**
 * Whether a text is such a file and no YAML. The first line that is either decides.
 *
 * @param isKnown - names with a colon, which YAML has as well, count when they are known
 */
export function isIni (text: string, isKnown: (name: string) => boolean): boolean {
  const first = text.replace(/^(?:\xef\xbb\xbf|\uFEFF)/, '').split('\n').find((line) => !/^\s*(?:[#;].*)?$/.test(line))
  if (first === undefined) return false
  if (/^\s*\[[^\]]*\]\s*$/.test(first)) return true // a section
  if (/^\s*[^\s:={%"'-][^:=]*=/.test(first)) return true
  const name = ASSIGNMENT.exec(first)?.[1]
  return name !== undefined && isKnown(variableName(name))
}
