/** Sources of secrets. None of these functions puts a secret into a message. */
import { readableByOthers, readBounded } from './bounded-file.ts'
import type { SectionContext } from './context.ts'
import { isSection, type ConfigSource, type Values } from './settings.ts'
import { UsageError } from '../usage-error.ts'

const MAX_SECRET_BYTES = 4096

/** The environment as a source. An empty variable counts as unset, as container files write it. */
export function environmentSource (section: string, key: string, variable: string): ConfigSource | undefined {
  const value = process.env[variable]
  return value === undefined || value === '' ? undefined : { values: { [section]: { [key]: value } }, name: () => variable }
}

/**
 * Keeps the secret, or its file, of the first source that has one. Without this a `password` in a file would win over `--password-file`,
 * which is another key.
 */
export function oneSource (sources: readonly ConfigSource[], section: string, keys: readonly [string, string]): ConfigSource[] {
  let found = false
  return sources.map((source) => {
    const { [section]: inside, ...others } = source.values
    if (!isSection(inside)) return source
    const kept: Values = { ...inside }
    if (found) for (const key of keys) delete kept[key]
    found ||= keys.some((key) => Object.hasOwn(kept, key))
    return { values: { ...others, [section]: kept }, name: source.name.bind(source) }
  })
}

export interface SecretInit {
  /** Its key; `<name>-file` is that of its file. */
  name: string
  /** What it is, in messages: `password`. */
  noun: string
  /** The variable of the environment that may have it. */
  variable: string | undefined
  /** The key of the option that allows none. */
  orElse: string | undefined
}

/**
 * The secret of a section: its own, or the content of the file that its `<name>-file` names.
 *
 * @returns undefined when the section has neither, and it is not required; empty when it is required and may be empty
 * @throws {UsageError} when it is missing or empty, or its file is invalid
 */
export function readSecret (section: Values, { name, noun, variable, orElse }: SecretInit, { isRequired, mayBeEmpty }: { isRequired: boolean, mayBeEmpty: boolean }, context: SectionContext): string | undefined {
  const secret = secretOf(section, name, noun, context)
  if (secret !== undefined && secret !== '') return secret
  if (!isRequired && secret === undefined) return undefined
  if (mayBeEmpty && orElse !== undefined) return ''
  const key = Object.hasOwn(section, `${name}-file`) ? `${name}-file` : name
  const others = [`a ${name}-file`, ...(variable === undefined ? [] : [variable]), ...(orElse === undefined ? [] : [orElse])]
  throw new UsageError(`${context.nameOf(key)}: ${secret === undefined ? 'missing' : 'empty'}, expected a ${noun} (or ${joined(others)})`)
}

/** `a, or b, or c`. */
const joined = (words: readonly string[]): string => words.join(', or ')

function secretOf (section: Values, name: string, noun: string, { nameOf, warn }: SectionContext): string | undefined {
  const { [name]: secret, [`${name}-file`]: file } = section as Record<string, string | undefined>
  if (file === undefined) return secret
  const key = nameOf(`${name}-file`)
  if (secret !== undefined) throw new UsageError(`${key}: contradicts ${name}, expected one of them`)
  const text = readBounded(file, key, MAX_SECRET_BYTES).replace(/\r?\n$/, '')
  if (/[\r\n]/.test(text)) throw new UsageError(`${key}: more than one line, expected nothing but the ${noun}`)
  if (readableByOthers(file)) warn(`${file} holds a ${noun} and others can read it: chmod 600 ${file}`)
  return text
}
