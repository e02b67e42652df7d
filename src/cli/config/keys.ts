/** The flags, and keys of files, that the options of a protocol are given by. */
import type { z } from 'zod'
import { isSecretText, path, secretText } from '../../nodes/common/options/checks.ts'
import type { Option, Options } from '../../nodes/common/options/option.ts'

export interface Key {
  readonly name: string
  /** A flag of one letter. */
  readonly short?: string | undefined
  /** Absent for a list of sections. */
  readonly check?: z.ZodType
  /** The options of each section of a list. */
  readonly sections?: Options
  /** A file may leave it out. */
  readonly isRequired: boolean
  /** What the value is, in `--help`; absent for a flag without a value. */
  readonly value?: string | undefined
  readonly isRepeatable: boolean
  /** Values in files may be sections. */
  readonly takesSections: boolean
  /** One line for `--help`; absent for a key that is no flag. */
  readonly help?: string | undefined
  /** The default, as text. */
  readonly default?: string | undefined
}

/** The name of an option on the command line: `max-per-source` for `maxPerSource`. */
export function keyOf (property: string, { name }: Option): string {
  return name ?? property.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)
}

/** The keys of a table of options, in its order. Options of the library alone have none. */
export function keysOf (options: Options): Key[] {
  return Object.entries(options).flatMap(([property, option]) => keysOfOption(keyOf(property, option), option))
}

function keysOfOption (name: string, option: Option): Key[] {
  const { check, input = check, kind, help, value, short } = option
  const optional = { isRequired: false, isRepeatable: false, takesSections: false }
  const file = { ...optional, value: 'file', check: path() }
  if (kind !== undefined && 'sections' in kind) return [{ ...optional, name, sections: kind.sections }]
  if (help === undefined) return []
  if (kind === undefined) return [{ name, short, check: input, value, help, default: defaultOf(option), isRequired: option.isRequired === true, isRepeatable: option.isRepeatable === true, takesSections: option.takesSections === true }]
  if ('ca' in kind) return [{ ...file, name, help, default: defaultOf(option) }]
  if ('tls' in kind) return [{ ...file, name: `${name}-cert`, help: kind.tls.cert }, { ...file, name: `${name}-key`, help: kind.tls.key }]
  return [
    { ...optional, name, value, check: secretText(), help: `${help}; every user of this machine can see it in \`ps\`, unlike the next${kind.secret.emptyBy === undefined ? ' one' : ' two'}` },
    { ...file, name: `${name}-file`, help: `read it from a file, or set ${kind.secret.variable}` }
  ]
}

/** None for a flag without a value. */
function defaultOf ({ default: value, defaultText, value: placeholder }: Option): string | undefined {
  if (defaultText !== undefined) return defaultText
  if (typeof value === 'boolean') return placeholder === undefined ? undefined : value ? 'on' : 'off'
  return typeof value === 'string' || typeof value === 'number' ? String(value) : undefined
}

/** The keys of the lists whose sections have this option too. */
export function listsWith (options: Options, property: string): string[] {
  return Object.entries(options).flatMap(([list, option]) => option.kind !== undefined && 'sections' in option.kind && Object.hasOwn(option.kind.sections, property) ? [keyOf(list, option)] : [])
}

/** The secret options of a table, those of sections in it left out. */
export function secretsOf (options: Options): Array<{ property: string, name: string, variable: string, noun: string, emptyBy: string | undefined }> {
  return Object.entries(options).flatMap(([property, option]) => {
    const { kind } = option
    return kind !== undefined && 'secret' in kind ? [{ emptyBy: undefined, ...kind.secret, property, name: keyOf(property, option) }] : []
  })
}

/** What the settings have of options whose check is that of a secret. Those that files and variables may have are left out: they are known by then. */
export function secretValues (options: Options, settings: object): string[] {
  const values: Readonly<Record<string, unknown>> = { ...settings }
  return Object.entries(options).flatMap(([property, { check, kind }]) => {
    const value = values[property]
    return kind === undefined && isSecretText(check) && typeof value === 'string' ? [value] : []
  })
}
