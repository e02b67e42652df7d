/** Reads the configuration file of the original candy, `candy.cfg`, and maps it to ours (candy protocol, section 4). */
import { nearest } from '../../nearest.ts'
import { UsageError } from '../../usage-error.ts'
import { linesOf, type CfgLine } from './cfg-lines.ts'
import { dialledAt, listenedAt, rules, wholeNumber, within, withPrefix } from './cfg-values.ts'
import type { ConfigFile, Values } from '../../config/settings.ts'
import type { ForeignConfig } from '../../protocol.ts'

interface Known {
  /** Our key. */
  readonly ours: string
  /** Converts the value to the form of our key; a value that cannot be converted is kept, for the schema to reject. */
  readonly read?: (value: string) => string | string[]
}

/** Keys with an equivalent, by program. */
const KEYS: Record<'relay' | 'peer', Readonly<Record<string, Known>>> = {
  relay: {
    websocket: { ours: 'listen', read: listenedAt },
    password: { ours: 'password' },
    dhcp: { ours: 'dhcp', read: withPrefix },
    sdwan: { ours: 'sdwan', read: rules }
  },
  peer: {
    websocket: { ours: 'url', read: dialledAt },
    password: { ours: 'password' },
    tun: { ours: 'address', read: withPrefix },
    name: { ours: 'name' },
    mtu: { ours: 'mtu', read: wholeNumber },
    stun: { ours: 'stun', read: (server) => [server] },
    port: { ours: 'port', read: wholeNumber },
    discovery: { ours: 'discovery', read: within(0, Infinity) },
    route: { ours: 'route', read: within(0, 1000) },
    localhost: { ours: 'localhost' }
  }
}

/** The value of `mode` by program. */
const MODES = { relay: 'server', peer: 'client' } as const

/** Keys of versions before 6.1. */
const FORMER: Readonly<Record<string, string>> = {
  ntp: 'the clock of the system is used',
  restart: 'it goes on by itself when a connection is lost',
  workers: 'threads of a relay are set by --workers'
}

const KNOWN = [...new Set(['mode', 'debug', ...Object.keys(KEYS.relay), ...Object.keys(KEYS.peer), ...Object.keys(FORMER)])]

/** The file format, for a program. */
export const candyCfg = (program: 'relay' | 'peer'): ForeignConfig => ({ recognises: isCandyCfg, parse: (file, text) => parseCandyCfg(file, text, program) })

/** Warnings about one file, which may have thousands of unknown lines. */
const MAX_WARNINGS = 20

/**
 * Whether a file has the syntax of the original: `key = value` where YAML has `key: value`. The first line that is either decides.
 *
 * @param text - one character for each byte
 */
export function isCandyCfg (text: string): boolean {
  const lines = text.split('\n').filter((line) => !/^\s*(#|$)/.test(line))
  const first = lines.find((line) => isYaml(line) || isAssignment(line))
  return first !== undefined && !isYaml(first)
}

const isYaml = (line: string): boolean => /^\s*(?:["']?[\w-]+["']?\s*:(?:\s|$)|[{%-])/.test(line)
const isAssignment = (line: string): boolean => /^[^:=]*=/.test(line)

/**
 * Parses a file of the original.
 *
 * @param text - one character for each byte, as comments may have any encoding
 * @throws {UsageError} when the file is for the other program, or a value in use is not UTF-8
 */
export function parseCandyCfg (file: string, text: string, program: 'relay' | 'peer'): ConfigFile {
  const warnings: string[] = []
  const candy: Values = {}
  const values: Values = { candy }
  const lines = linesOf(text)
  const last = new Map(lines.map((line) => [line.key, line]))
  for (const line of lines) {
    const warning = warningOf(line, last.get(line.key) as CfgLine, program)
    if (warning !== undefined) warnings.push(`${file}:${line.number}: ${warning}`)
  }
  if (warnings.length > MAX_WARNINGS) warnings.push(`${file}: ${warnings.splice(MAX_WARNINGS).length} more warnings`)

  const mode = last.get('mode')
  if (mode !== undefined && mode.value !== MODES[program]) {
    throw new UsageError(`${file}:${mode.number}: mode: ${mode.value === MODES[other(program)] ? `this is a file for ${other(program)}` : 'unknown'}, expected ${MODES[program]}`)
  }
  if (last.get('debug')?.value === 'true') values['log-level'] = 'debug'
  for (const [theirs, { ours, read = asIs }] of Object.entries(KEYS[program])) {
    const line = last.get(theirs)
    if (line === undefined || line.value === '') continue // to the original an empty value is none
    const value = utf8(line.value)
    if (value === undefined) throw new UsageError(`${file}:${line.number}: ${theirs}: not text, expected UTF-8`)
    candy[ours] = read(value)
  }
  return {
    file,
    values,
    warnings,
    isForeign: true,
    name (path) {
      const key = path[1] ?? path[0] // within a section; a list has further ones
      const theirs = Object.entries(KEYS[program]).find(([, { ours }]) => ours === key)?.[0] ?? key
      const line = last.get(theirs)
      return `${file}${line === undefined || line.value === '' ? '' : `:${line.number}`}: ${theirs}`
    }
  }
}

const other = (program: 'relay' | 'peer'): 'relay' | 'peer' => program === 'relay' ? 'peer' : 'relay'

const asIs = (value: string): string => value

function warningOf (line: CfgLine, last: CfgLine, program: 'relay' | 'peer'): string | undefined {
  const { key, value } = line
  if (!KNOWN.includes(key)) {
    const near = nearest(key, KNOWN)
    return `unknown key, it is ignored${near === undefined ? '' : ` (did you mean ${near}?)`}`
  }
  if (line !== last) return `${key} is ignored: it is given again on line ${last.number}, and the last one counts`
  const isSet = value !== '' && value !== '0'
  if (isSet && Object.hasOwn(FORMER, key)) return `${key} is ignored: ${FORMER[key]}`
  if (line.isOpen && Object.hasOwn(KEYS[program], key)) return `${key} begins with a quote and does not end with one: the quote is part of the value`
  return undefined
}

function utf8 (bytes: string): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'))
  } catch {
    return undefined
  }
}
