/** From flags, environment and file to settings that are checked, with the password at hand. */
import type { z } from 'zod'
import { readableByOthers } from './bounded-file.ts'
import type { Flags } from '../command.ts'
import { readConfigFile } from './config-file.ts'
import type { PeerSettings, RelaySettings } from './schema.ts'
import { environmentLayer, oneSource, readPassword } from './secret.ts'
import { isSection, settle, type Layer } from './settings.ts'
import { UsageError } from '../usage-error.ts'

/** How a key of candy's section is named in a complaint. */
export type KeyName = (key: string) => string

export interface Loaded<T extends RelaySettings | PeerSettings> {
  settings: T
  candy: NonNullable<T['candy']>
  password: string
  nameOf: KeyName
  /** What the user should know, but what stops nothing. There is no log yet to tell it to. */
  warnings: string[]
}

/**
 * Throws `UsageError` for whatever is wrong in any of them.
 *
 * @param prepare - rewrites a layer before they are merged
 */
export function load<T extends RelaySettings | PeerSettings> (schema: z.ZodType<T>, flags: Flags, prepare: (layer: Layer) => Layer = (layer) => layer): Loaded<T> {
  const warnings: string[] = []
  const warn = (message: string): void => { warnings.push(message) }
  const file = flags.config === undefined ? undefined : readConfigFile(flags.config)
  const given = [flags.layer, ...(file === undefined ? [] : [file])]
  if (file !== undefined && isSection(file.values.candy) && Boolean(file.values.candy.password) && readableByOthers(file.file)) {
    warn(`${file.file} holds a password and others can read it: chmod 600 ${file.file}`)
  }
  // A variable in the environment is no reason to start a protocol that nobody asked for.
  const environment = given.some(({ values }) => isSection(values.candy)) ? environmentLayer('candy', 'password', 'TUNPIPE_PASSWORD') : undefined
  const layers = environment === undefined ? given : [given[0], environment, ...given.slice(1)]
  const { values: settings, name } = settle(schema, oneSource(layers.map(prepare), 'candy', ['password', 'password-file']))
  if (settings.candy === undefined) throw new UsageError(`${file?.file ?? '--config'}: candy: missing, expected the section of at least one protocol`)
  const nameOf: KeyName = (key) => name(['candy', key])
  return { settings, candy: settings.candy, nameOf, warnings, password: readPassword(settings.candy, nameOf, warn) }
}
