/** The section of a protocol: from the keys of flags and files to the settings of its node. */
import { z } from 'zod'
import type { Option, Options, SettingsOf } from '../../nodes/common/options/option.ts'
import type { SectionContext } from './context.ts'
import { keyOf, keysOf, listsWith, type Key } from './keys.ts'
import { section, sections } from './schema.ts'
import { readSecret } from './secret.ts'
import { isSection, type UnsupportedOptions, type Values } from './settings.ts'
import { readCa, readTlsPair } from './tls-files.ts'
import { UsageError } from '../usage-error.ts'

type Path = ReadonlyArray<string | number>

/**
 * The schema of a section of files. What it returns is for {@link givenIn}.
 *
 * @param unsupported - keys that are rejected with their own error text
 */
export function sectionSchema (options: Options, unsupported?: UnsupportedOptions): z.ZodType<Values> {
  const shape = Object.fromEntries(keysOf(options).map((key) => [key.name, key.isRequired ? checkOf(key) : checkOf(key).optional()]))
  return section(shape, unsupported) as z.ZodType<Values>
}

function checkOf ({ check, sections: options, takesSections }: Key): z.ZodType {
  if (options !== undefined) return sections(sectionSchema(options))
  return takesSections ? check as z.ZodType : z.preprocess(withoutSections, check as z.ZodType)
}

/** A value without the content of sections in it: what a check returns is for callers of the library to give, never for files. */
export function withoutSections (value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSections)
  return isSection(value) ? {} : value
}

/**
 * What a section that the schema has checked gives for each option, without defaults. Secrets and certificates are still names of files:
 * {@link withFiles} reads them, after the relations between options are checked.
 */
export function givenIn<T extends Options> (options: T, section: Values): Partial<SettingsOf<T>> {
  return Object.fromEntries(Object.entries(options).map(([property, option]) => [property, valueOf(keyOf(property, option), option, section)])) as Partial<SettingsOf<T>>
}

function valueOf (name: string, { kind }: Option, section: Values): unknown {
  const given = section[name]
  if (kind === undefined || 'ca' in kind) return given
  if ('sections' in kind) return (given as Values[] | undefined)?.map((inside) => givenIn(kind.sections, inside))
  const [first, second] = 'tls' in kind ? [section[`${name}-cert`], section[`${name}-key`]] : [given, section[`${name}-file`]]
  return first === undefined && second === undefined ? undefined : {} // it is known later
}

/** Rejects a certificate without its key, or a key alone. @throws {UsageError} */
export function verifyPairs (options: Options, section: Values, nameOf: SectionContext['nameOf']): void {
  for (const [property, option] of Object.entries(options)) {
    if (option.kind === undefined || !('tls' in option.kind)) continue
    const keys = ['cert', 'key'].map((end) => `${keyOf(property, option)}-${end}`)
    const missing = keys.filter((key) => section[key] === undefined)
    if (missing.length === 1) throw new UsageError(`${nameOf(missing[0])}: missing, expected a PEM file, since there is a ${keys.find((key) => key !== missing[0])}`)
  }
}

/**
 * Fills in defaults, and reads files: secrets, certificates, keys.
 *
 * @param isListed - the section is one of a list: the environment has nothing for it
 * @returns the settings, complete, and all secrets in them
 * @throws {UsageError} for a file that cannot be read or has the wrong content, and for a secret that is missing
 */
export function withFiles<T extends Options> (options: T, given: Partial<SettingsOf<T>>, section: Values, context: SectionContext, isListed = false): { settings: SettingsOf<T>, secrets: string[] } {
  const complete: Record<string, unknown> = { ...given }
  const secrets: string[] = []
  for (const [property, option] of Object.entries(options)) {
    const { kind } = option
    const name = keyOf(property, option)
    complete[property] ??= option.default
    if (kind === undefined) continue
    if ('ca' in kind && section[name] !== undefined) complete[property] = readCa(String(section[name]), context.nameOf(name))
    if ('tls' in kind && complete[property] !== undefined) complete[property] = readTlsPair(section, name, context)
    if ('sections' in kind && complete[property] !== undefined) {
      const inside = section[name] as Values[]
      const read = inside.map((one, i) => withFiles(kind.sections, (complete[property] as Array<Partial<SettingsOf<Options>>>)[i], one, { ...context, nameOf: (...path) => context.nameOf(name, String(i), ...path) }, true))
      complete[property] = read.map(({ settings }) => settings)
      secrets.push(...read.flatMap(({ secrets }) => secrets))
    }
    if ('secret' in kind) {
      const { emptyBy } = kind.secret
      const isElsewhere = listsWith(options, property).some((list) => section[list] !== undefined)
      const secret = readSecret(section, { ...kind.secret, name, variable: isListed ? undefined : kind.secret.variable, orElse: emptyBy === undefined ? undefined : keyOf(emptyBy, options[emptyBy]) }, {
        isRequired: option.isRequired === true && !isElsewhere,
        mayBeEmpty: emptyBy === undefined || complete[emptyBy] === true
      }, context)
      const checked = secret === undefined ? undefined : option.check.safeParse(secret)
      if (checked?.success === false) throw new UsageError(`${context.nameOf(Object.hasOwn(section, `${name}-file`) ? `${name}-file` : name)}: ${checked.error.issues[0].message}`)
      complete[property] = secret
      if (secret !== undefined && secret !== kind.secret.knownToAll) secrets.push(secret)
    }
  }
  return { settings: complete as SettingsOf<T>, secrets }
}

/** The path of an option as keys of the section: `networks.1.path`. A pair of files is named by the one that is given, or missing. */
export function keyPath (options: Options, [property, ...rest]: Path, section: Values): string[] {
  const option = options[String(property)]
  if (option === undefined) return [String(property)]
  const { kind } = option
  const name = keyOf(String(property), option)
  if (kind === undefined || 'ca' in kind) return [name, ...rest.map(String)]
  if ('secret' in kind) return [Object.hasOwn(section, `${name}-file`) ? `${name}-file` : name]
  if ('tls' in kind) return [Object.hasOwn(section, `${name}-key`) && !Object.hasOwn(section, `${name}-cert`) ? `${name}-key` : `${name}-cert`]
  const [i, ...inside] = rest
  return i === undefined ? [name] : [name, String(i), ...keyPath(kind.sections, inside, (section[name] as Values[])[Number(i)])]
}
