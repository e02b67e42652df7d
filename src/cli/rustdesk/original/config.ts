/** The INI file that `hbbs -c` takes, mapped to our options. */
import { nearest } from '../../nearest.ts'
import { keyOf } from '../../config/keys.ts'
import type { ConfigFile, Values } from '../../config/settings.ts'
import type { ForeignConfig } from '../../protocol.ts'
import { UsageError } from '../../usage-error.ts'
import { relayOptions } from '../options.ts'
import { isIni, readIni, type IniLine } from './ini.ts'
import { isGiven, valueIn, VARIABLES, WITHOUT_EFFECT } from './variables.ts'

const SECTION = 'rustdesk'

/** Warnings about one file, which may have thousands of unknown lines. */
const MAX_WARNINGS = 20

const isKnown = (name: string): boolean => VARIABLES.has(name) || Object.hasOwn(WITHOUT_EFFECT, name)

export const hbbsIni: ForeignConfig = { short: 'c', recognises: (text) => isIni(text, isKnown), parse: parseHbbsIni }

/**
 * Parses a file of the original.
 *
 * @param text - one character for each byte
 * @throws {UsageError} when it is not UTF-8
 */
export function parseHbbsIni (file: string, text: string): ConfigFile {
  const { lines, ignored } = readIni(utf8(text, file))
  const last = new Map(lines.map((line) => [line.name, line]))
  const warnings = [
    ...lines.flatMap((line) => warningOf(line, last.get(line.name) as IniLine).map((warning) => `${file}:${line.number}: ${warning}`)),
    ...ignored.map((number) => `${file}:${number}: ignored, expected NAME=VALUE, and no section`)
  ]
  if (warnings.length > MAX_WARNINGS) warnings.push(`${file}: ${warnings.splice(MAX_WARNINGS).length} more warnings`)
  const section: Values = {}
  const places = new Map<string, IniLine>()
  for (const [name, line] of last) {
    const property = VARIABLES.get(name)
    if (property === undefined || !isGiven(property, line.value)) continue
    const key = keyOf(property, relayOptions[property])
    section[key] = valueIn(property, line.value)
    places.set(key, line)
  }
  return {
    file,
    values: { [SECTION]: section },
    warnings,
    isForeign: true,
    name (path) {
      const key = path[1] ?? path[0]
      const line = places.get(key)
      return line === undefined ? `${file}: ${key}` : `${file}:${line.number}: ${line.name}`
    }
  }
}

function warningOf ({ name, number }: IniLine, last: IniLine): string[] {
  if (number !== last.number) return [`${name} is ignored: it is given again on line ${last.number}, and the last one counts`]
  if (Object.hasOwn(WITHOUT_EFFECT, name)) return [`${name} is ignored: ${WITHOUT_EFFECT[name]}`]
  if (VARIABLES.has(name)) return []
  const near = nearest(name, [...VARIABLES.keys()])
  return [`unknown name, it is ignored${near === undefined ? '' : ` (did you mean ${near}?)`}`]
}

function utf8 (bytes: string, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(bytes, 'latin1'))
  } catch {
    throw new UsageError(`${file}: not text, expected UTF-8`)
  }
}
