/** Sources of secrets. None of these functions puts a secret into a message. */
import { readableByOthers, readBounded } from './bounded-file.ts'
import type { ConfigSource, Values } from './settings.ts'
import { isSection } from './settings.ts'
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

/**
 * The secret of a section: its own, or the content of the file that its `<key>-file` names.
 *
 * @param name - names a key of the section in an error
 * @param warn - called when other users of this machine can read the file
 * @returns undefined when the section has neither
 */
export function readSecret<K extends string> (settings: SecretSettings<K>, key: K, name: (key: string) => string, warn: (message: string) => void): string | undefined {
  const { [key]: secret, [`${key}-file`]: file }: Record<string, string | undefined> = settings
  if (file === undefined) return secret
  if (secret !== undefined) throw new UsageError(`${name(`${key}-file`)}: contradicts ${key}, expected one of them`)
  const text = readBounded(file, name(`${key}-file`), MAX_SECRET_BYTES).replace(/\r?\n$/, '')
  if (/[\r\n]/.test(text)) throw new UsageError(`${name(`${key}-file`)}: more than one line, expected nothing but the ${key}`)
  if (readableByOthers(file)) warn(`${file} holds a ${key} and others can read it: chmod 600 ${file}`)
  return text
}

/** The keys of a section for its secret. */
export type SecretSettings<K extends string> = { [key in K | `${K}-file`]?: string }

export interface PasswordSettings extends SecretSettings<'password'> {
  'allow-empty-password': boolean
}

/**
 * The password of a section; empty when the user has allowed that.
 *
 * @param variable - the environment variable that may have it; empty for none
 * @throws {UsageError} when there is no password
 */
export function readPassword (settings: PasswordSettings, name: (key: string) => string, warn: (message: string) => void, variable = 'TUNPIPE_PASSWORD'): string {
  const password = readSecret(settings, 'password', name, warn)
  if (password !== undefined && password !== '') return password
  if (settings['allow-empty-password']) return ''
  const key = settings['password-file'] === undefined ? 'password' : 'password-file'
  throw new UsageError(`${name(key)}: ${password === undefined ? 'missing' : 'empty'}, expected a password (or a password-file, ${variable === '' ? '' : `or ${variable}, `}or allow-empty-password)`)
}
