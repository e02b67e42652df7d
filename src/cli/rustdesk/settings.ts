/** Settings that come from the environment of the original programs, where neither an option nor a file has them. */
import { databasePath } from '../../nodes/rustdesk/store/database-path.ts'
import { OptionError } from '../../errors.ts'
import type { Option } from '../../nodes/common/options/option.ts'
import type { FinishContext } from '../protocol.ts'
import { environmentOf, type Environment } from './environment.ts'
import { relayOptions, speedOptions, type RustdeskSettings } from './options.ts'

/** The database in the folder of data, as the original names it. */
const DATABASE = 'db_v2.sqlite3'

export type RustdeskRelaySettings = RustdeskSettings & {
  /** The path of the database, relative to the folder of data. */
  database: string
}

/** Fills in what the environment has. What makes no sense there is ignored with a warning, as the originals ignore it without one. */
export function finishRelay (settings: RustdeskSettings, { warn }: FinishContext, env = environmentOf(settings.data, warn)): RustdeskRelaySettings {
  const speeds = Object.fromEntries(Object.entries(speedOptions).map(([property, option]) => [property, settings[property as keyof typeof speedOptions] ?? valueOf(option, variableOf(property), { warn, env })]))
  return {
    ...settings,
    ...speeds,
    key: settings.key ?? (env.ENCRYPTED_ONLY === '1' ? '-' : env.KEY),
    relayServers: settings.relayServers ?? valueOf(relayOptions.relayServers, env.RELAY === undefined ? 'RELAY_SERVERS' : 'RELAY', { warn, env }) as RustdeskSettings['relayServers'],
    alwaysUseRelay: settings.alwaysUseRelay ?? env.ALWAYS_USE_RELAY?.toUpperCase() === 'Y',
    database: databaseOf(env.DB_URL)
  }
}

/** `SINGLE_BANDWIDTH` for `singleBandwidth`. */
const variableOf = (property: string): string => property.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

function valueOf ({ check, input = check }: Option, variable: string, { warn, env }: Pick<FinishContext, 'warn'> & { env: Environment }): unknown {
  const text = env[variable]
  if (text === undefined || text === '') return undefined
  const { success, data, error } = input.safeParse(text)
  if (!success) warn(`${variable} in the environment is ignored: ${error.issues[0].message}`)
  return data
}

function databaseOf (url: string | undefined): string {
  if (url === undefined || url === '') return DATABASE
  try {
    return databasePath(url)
  } catch (err) {
    throw new OptionError(`DB_URL: ${(err as Error).message}`)
  }
}
