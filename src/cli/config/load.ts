/** Loads settings from flags, environment and file, and checks them. */
import type { Flags } from '../command.ts'
import type { Loaded, Protocol } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'
import { readableByOthers } from './bounded-file.ts'
import { readConfigFile } from './config-file.ts'
import { list } from './fields.ts'
import { programSchema, type SharedSettings } from './schema.ts'
import { environmentSource, oneSource } from './secret.ts'
import { isSection, resolveSettings, type ConfigFile, type ConfigSource } from './settings.ts'

export interface LoadInit {
  program: 'relay' | 'peer'
  /** All protocols of the program. */
  protocols: readonly Protocol[]
  flags: Flags
}

export interface LoadedProgram {
  settings: SharedSettings
  /** The services to run, in the order of the table of protocols. */
  services: LoadedService[]
  /** Warnings, to be logged once there is a log. */
  warnings: string[]
  /** Secrets, for the redactor of the log. */
  secrets: string[]
}

export interface LoadedService {
  protocol: Protocol
  /** The section as the schema returned it. */
  settings: unknown
  loaded: Loaded
}

/** @throws {UsageError} for the first error in any source, also in a section that the command does not run */
export function load ({ program, protocols, flags }: LoadInit): LoadedProgram {
  const file = flags.config === undefined ? undefined : readConfigFile(flags.config, program)
  const given = [flags.source, ...(file === undefined ? [] : [file])]
  const { values, name } = resolveSettings(programSchema(protocols, program), protocols.reduce(withProtocol, given))
  const sections: Record<string, unknown> = values
  const wanted = protocols.filter((protocol) => sections[protocol.name] !== undefined && (flags.protocol ?? protocol.name) === protocol.name)
  if (wanted.length === 0) throw new UsageError(`${file?.file ?? '--config'}: no protocol, expected a section ${list(protocols.map(({ name }) => name))}`)
  const warnings = file === undefined ? [] : [...file.warnings, ...protocols.flatMap((protocol) => exposed(file, protocol))]
  const services = wanted.map((protocol): LoadedService => {
    const settings = sections[protocol.name]
    const loaded = protocol.load({
      settings,
      nameOf: (...path) => name([protocol.name, ...path]),
      warn: (message) => { warnings.push(message) },
      isOriginal: file?.isOriginal ?? false
    })
    return { protocol, settings, loaded }
  })
  return { settings: values, services, warnings, secrets: services.flatMap(({ loaded }) => loaded.secrets) }
}

/** Adds the environment as a source of the secret of a protocol, after the flags, and keeps one source of the secret. */
function withProtocol (sources: readonly ConfigSource[], { name, secret, prepare = (source) => source }: Protocol): ConfigSource[] {
  const prepared = sources.map(prepare)
  if (secret === undefined) return prepared
  const { key, variable, fits = () => true } = secret
  const sections = sources.map(({ values }) => values[name]).filter(isSection)
  // A variable alone does not start a protocol.
  const environment = sections.length > 0 && sections.every(fits) ? environmentSource(name, key, variable) : undefined
  if (environment !== undefined) prepared.splice(1, 0, environment)
  return oneSource(prepared, name, [key, `${key}-file`])
}

function exposed ({ file, values }: ConfigFile, { name, secret }: Protocol): string[] {
  return secret !== undefined && holds(values[name], secret.key) && readableByOthers(file) ? [`${file} holds a ${secret.key} and others can read it: chmod 600 ${file}`] : []
}

/** Whether a section, or one in it, has a value for the key. */
function holds (value: unknown, key: string): boolean {
  if (Array.isArray(value)) return value.some((item) => holds(item, key))
  return isSection(value) && (Boolean(value[key]) || Object.values(value).some((inside) => holds(inside, key)))
}
