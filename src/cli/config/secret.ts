/** Where a password comes from. None of these functions puts one into a message. */
import { readableByOthers, readBounded } from './bounded-file.ts'
import type { Layer, Values } from './settings.ts'
import { isSection } from './settings.ts'
import { UsageError } from '../usage-error.ts'

const LARGEST_SECRET = 4096

/** The environment as a layer. An empty variable counts as none: that is how container files leave a variable out. */
export function environmentLayer (section: string, key: string, variable: string): Layer | undefined {
  const value = process.env[variable]
  return value === undefined || value === '' ? undefined : { values: { [section]: { [key]: value } }, name: () => variable }
}

/**
 * Leaves one source of a secret: that of the first layer that has any, and in it the secret itself rather than its file.
 * Without this, a password in a file would win over the `--password-file` of a flag, being another key.
 */
export function oneSource (layers: readonly Layer[], section: string, keys: readonly [string, string]): Layer[] {
  let found = false
  return layers.map((layer) => {
    const { [section]: inside, ...others } = layer.values
    if (!isSection(inside)) return layer
    const kept: Values = { ...inside }
    for (const key of keys) {
      if (!Object.hasOwn(kept, key)) continue
      if (found) delete kept[key]
      found = true
    }
    return { values: { ...others, [section]: kept }, name: layer.name.bind(layer) }
  })
}

/** The part of a section that says how to get its password. */
export interface PasswordSettings {
  password?: string
  'password-file'?: string
  'allow-empty-password': boolean
}

/**
 * Throws `UsageError` when there is no password, unless the user has said that there shall be none.
 *
 * @param name - names a key of the section in a complaint
 * @param warn - is told when others on this machine can read the file
 * @param variable - in which the environment may have it; empty for none
 */
export function readPassword (settings: PasswordSettings, name: (key: string) => string, warn: (message: string) => void, variable = 'TUNPIPE_PASSWORD'): string {
  const { password, 'password-file': file } = settings
  const key = file === undefined ? 'password' : 'password-file'
  const secret = file === undefined ? password : readSecretFile(file, name(key), warn)
  if (secret !== undefined && secret !== '') return secret
  if (settings['allow-empty-password']) return ''
  throw new UsageError(`${name(key)}: ${secret === undefined ? 'missing' : 'empty'}, expected a password (or a password-file, ${variable === '' ? '' : `or ${variable}, `}or allow-empty-password)`)
}

function readSecretFile (file: string, key: string, warn: (message: string) => void): string {
  const secret = readBounded(file, key, LARGEST_SECRET).replace(/\r?\n$/, '')
  if (/[\r\n]/.test(secret)) throw new UsageError(`${key}: more than one line, expected nothing but the password`)
  if (readableByOthers(file)) warn(`${file} holds a password and others can read it: chmod 600 ${file}`)
  return secret
}
