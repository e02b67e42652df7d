/** From flags, environment and file to settings that are checked. */
import type { z } from 'zod'
import { readableByOthers } from './bounded-file.ts'
import type { Flags } from '../command.ts'
import { readConfigFile, type ConfigFile } from './config-file.ts'
import type { PeerSettings, RelaySettings } from './schema.ts'
import { environmentLayer, oneSource } from './secret.ts'
import { isSection, settle, type Layer, type Values } from './settings.ts'
import { UsageError } from '../usage-error.ts'

export interface Loaded<T extends RelaySettings | PeerSettings> {
  settings: T
  candy: NonNullable<T['candy']>
  /** How a key of candy's section is named in a complaint. */
  nameOf (...path: string[]): string
  /** What the user should know, but what stops nothing. There is no log yet to tell it to. */
  warnings: string[]
  /** The file is one of the original candy. */
  isOriginal: boolean
}

export interface LoadInit<T> {
  program: 'relay' | 'peer'
  schema: z.ZodType<T>
  flags: Flags
  /** Rewrites a layer before they are merged. */
  prepare? (layer: Layer): Layer
}

/** Throws `UsageError` for whatever is wrong in any of them. */
export function load<T extends RelaySettings | PeerSettings> ({ program, schema, flags, prepare = (layer) => layer }: LoadInit<T>): Loaded<T> {
  const file = flags.config === undefined ? undefined : readConfigFile(flags.config, program)
  const given = [flags.layer, ...(file === undefined ? [] : [file])]
  const sections = given.map(({ values }) => values.candy).filter(isSection)
  // A variable in the environment is no reason to start a protocol that nobody asked for, and it is no password of several networks.
  const isAsked = sections.length > 0 && sections.every(({ networks }) => networks === undefined)
  const environment = isAsked ? environmentLayer('candy', 'password', 'TUNPIPE_PASSWORD') : undefined
  const layers = environment === undefined ? given : [given[0], environment, ...given.slice(1)]
  const { values: settings, name } = settle(schema, oneSource(layers.map(prepare), 'candy', ['password', 'password-file']))
  if (settings.candy === undefined) throw new UsageError(`${file?.file ?? '--config'}: candy: missing, expected the section of at least one protocol`)
  return {
    settings,
    candy: settings.candy,
    nameOf: (...path) => name(['candy', ...path]),
    warnings: file === undefined ? [] : [...file.warnings, ...exposed(file)],
    isOriginal: file?.isOriginal ?? false
  }
}

function exposed ({ file, values: { candy } }: ConfigFile): string[] {
  if (!isSection(candy)) return []
  const sections: unknown[] = [candy, ...(Array.isArray(candy.networks) ? candy.networks : [])]
  const hasPassword = sections.filter(isSection).some(({ password }: Values) => Boolean(password))
  return hasPassword && readableByOthers(file) ? [`${file} holds a password and others can read it: chmod 600 ${file}`] : []
}
