/** Loads settings from flags, environment and file, and checks them. */
import { OptionError } from '../../errors.ts'
import type { Options, Reject, SettingsOf } from '../../nodes/common/options/option.ts'
import { listOf } from '../../text/phrases.ts'
import type { Protocol } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'
import { readableByOthers } from './bounded-file.ts'
import { readConfigFile } from './config-file.ts'
import type { SectionContext } from './context.ts'
import { listsWith, secretsOf, secretValues } from './keys.ts'
import { programSchema, type SharedSettings } from './program.ts'
import { givenIn, keyPath, verifyPairs, withFiles } from './section.ts'
import { environmentSource, oneSource } from './secret.ts'
import { isSection, resolveSettings, type ConfigFile, type ConfigSource, type Flags, type Settings, type Values } from './settings.ts'

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
  /** The section, as its keys. */
  section: Values
  /** The settings of the node. */
  settings: object
  secrets: readonly string[]
  isForeign: boolean
}

/**
 * Merges the sources, and checks keys, values and the relations between them, without the files that they name.
 *
 * @throws {UsageError} for the first error in any source, also in a section that the command does not run
 */
export function resolveProgram (protocols: readonly Protocol[], program: LoadInit['program'], given: readonly ConfigSource[]): Settings<SharedSettings & Values> {
  const settings = resolveSettings(programSchema(protocols, program), protocols.reduce(withProtocol, given))
  const values: Values = settings.values
  for (const protocol of protocols) {
    const section = values[protocol.name]
    if (!isSection(section)) continue
    protocol.verify(givenIn(protocol.options, section) as SettingsOf<Options>, rejecting(protocol, section, settings))
    verifyPairs(protocol.options, section, (...path) => settings.name([protocol.name, ...path]))
  }
  return { ...settings, values: settings.values as SharedSettings & Values }
}

/** @throws {UsageError} for the first error, as {@link resolveProgram}, and in files that the settings name */
export function load ({ program, protocols, flags }: LoadInit): LoadedProgram {
  const file = flags.config === undefined ? undefined : readConfigFile(flags.config, protocols, flags.protocol, flags.source)
  const given = [flags.source, ...(file === undefined ? [] : [file])]
  const settings = resolveProgram(protocols, program, given)
  const { values, name } = settings
  const wanted = protocols.filter((protocol) => values[protocol.name] !== undefined && (flags.protocol ?? protocol.name) === protocol.name)
  if (wanted.length === 0) throw new UsageError(`${file?.file ?? '--config'}: no protocol, expected a section ${listOf(protocols.map(({ name }) => name))}`)
  const warnings = file === undefined ? [] : [...file.warnings, ...protocols.flatMap((protocol) => exposed(file, protocol))]
  const warn = (message: string): void => { warnings.push(message) }
  const services = wanted.map((protocol): LoadedService => {
    const section = values[protocol.name] as Values
    const context: SectionContext = { nameOf: (...path) => name([protocol.name, ...path]), warn }
    const { settings: given, secrets } = withFiles(protocol.options, givenIn(protocol.options, section), section, context)
    const reject = rejecting(protocol, section, settings)
    const complete = finished(() => protocol.finish(given, { ...context, reject }), reject)
    return { protocol, section, secrets: [...secrets, ...secretValues(protocol.options, complete)], isForeign: file?.isForeign ?? false, settings: complete }
  })
  return { settings: values, services, warnings, secrets: services.flatMap(({ secrets }) => secrets) }
}

/** Names an option by the source that it came from. */
function rejecting ({ name: protocol, options }: Protocol, section: Values, { name }: Pick<Settings<unknown>, 'name'>): Reject {
  return (path, detail) => { throw new UsageError(`${name([protocol, ...keyPath(options, path, section)])}: ${detail}`) }
}

/** The same for an error of the node. */
function finished<T> (finish: () => T, reject: Reject): T {
  try {
    return finish()
  } catch (err) {
    if (!(err instanceof OptionError) || err.option === undefined || err.detail === undefined) throw err
    return reject(err.option.split('.'), err.detail)
  }
}

/** Adds the environment as a source of each secret of a protocol, after the flags, and keeps one source of each. */
function withProtocol (sources: readonly ConfigSource[], { name, options, prepare = (source) => source }: Protocol): ConfigSource[] {
  const sections = sources.map(({ values }) => values[name]).filter(isSection)
  return secretsOf(options).reduce((sources, { property, name: key, variable }) => {
    const lists = listsWith(options, property)
    // A variable alone does not start a protocol, and where there is a list each section of it has a secret of its own.
    const fits = sections.length > 0 && sections.every((section) => lists.every((list) => section[list] === undefined))
    const environment = fits ? environmentSource(name, key, variable) : undefined
    const all = environment === undefined ? sources : [sources[0], environment, ...sources.slice(1)]
    return oneSource(all, name, [key, `${key}-file`])
  }, sources.map(prepare))
}

function exposed ({ file, values }: ConfigFile, { name, options }: Protocol): string[] {
  return secretsOf(options).flatMap(({ name: key, noun }) => holds(values[name], key) && readableByOthers(file) ? [`${file} holds a ${noun} and others can read it: chmod 600 ${file}`] : [])
}

/** Whether a section, or one in it, has a value for the key. */
function holds (value: unknown, key: string): boolean {
  if (Array.isArray(value)) return value.some((item) => holds(item, key))
  return isSection(value) && (Boolean(value[key]) || Object.values(value).some((inside) => holds(inside, key)))
}
