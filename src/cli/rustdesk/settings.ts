/** Settings that come from the environment of the original programs, where neither an option nor a file has them. */
import { existsSync, realpathSync } from 'node:fs'
import { join } from 'node:path'
import type { FinishContext } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'
import { allowedPeers } from './allow-list.ts'
import { ENV_FILE, environmentOf, type Environment } from './original/environment.ts'
import { secretFile } from './original/given-keys.ts'
import { checkOf, isGiven, valueIn, VARIABLES, type Property } from './original/variables.ts'
import { tellBuffer } from './receive-buffer.ts'
import { DEFAULT_PORT, DEFAULT_RELAY_PORT, verifyRelayOptions, type RustdeskSettings } from './options.ts'

/** The database in the folder of data, as the original names it. */
const DATABASE = 'db_v2.sqlite3'

export type RustdeskRelaySettings = Omit<RustdeskSettings, 'allow'> & {
  /** Ids and keys of peers that may register; undefined: all may. */
  allow: string[] | undefined
  port: number
  relayPort: number
  serial: number
  /** The path of the database, relative to the folder of data. */
  database: string
}

/** What the originals refuse; they ignore what makes no sense in others. An address or a key that is ignored would open what was to be closed. */
const REFUSED: readonly Property[] = ['bind', 'key', 'database', 'keyPub', 'keyPriv']

/** Ports whose neighbours are ports as well, also those of the relay one above it. */
const LOWEST_PORT = 3
const HIGHEST_PORT = 65_532

/**
 * Fills in what the environment has. What makes no sense there is ignored with a warning, or refused where the originals do so.
 *
 * @throws {UsageError} for what is refused
 */
export function finishRelay ({ allow, ...settings }: RustdeskSettings, context: Pick<FinishContext, 'warn' | 'reject' | 'nameOf'>, env = environmentOf(context.warn)): RustdeskRelaySettings {
  const { warn, reject } = context
  tellOtherFile(settings.data, warn)
  const found = (property: Property, name: string): unknown => valueOf(property, name, { warn, env })
  const filled = Object.fromEntries([...VARIABLES].filter(([, property]) => property !== 'port').map(([name, property]) => [property, settings[property] ?? found(property, name)])) as Partial<RustdeskSettings>
  const allowed = allow === undefined ? 'any' : allowedPeers.allowed(allow, context.nameOf('allow'))
  const finished = {
    ...settings,
    ...filled,
    allow: allowed === 'any' ? undefined : allowed,
    ...portsOf(settings, env, warn),
    serial: filled.serial ?? 0,
    key: settings.key ?? (env.get('ENCRYPTED_ONLY')?.text === '1' ? '-' : filled.key),
    relayServers: settings.relayServers ?? found('relayServers', 'RELAY') as RustdeskSettings['relayServers'] ?? filled.relayServers,
    alwaysUseRelay: filled.alwaysUseRelay ?? false,
    localIp: settings.localIp ?? (filled.mask === undefined ? undefined : filled.localIp), // the original asks for it with a mask alone
    database: filled.database ?? DATABASE,
    keyPub: secretFile('key_pub') ?? found('keyPub', 'KEY_PUB') as string | undefined,
    keyPriv: secretFile('key_priv') ?? found('keyPriv', 'KEY_PRIV') as string | undefined
  }
  verifyRelayOptions(finished, reject)
  tellBuffer(finished.rmem, warn)
  return finished
}

/** `PORT` is that of the rendezvous server, and one less than that of the relay. */
function portsOf ({ port, relayPort }: Pick<RustdeskSettings, 'port' | 'relayPort'>, env: Environment, warn: FinishContext['warn']): { port: number, relayPort: number } {
  const given = port === undefined || relayPort === undefined ? env.get('PORT') : undefined
  const shared = given === undefined ? undefined : sharedPort(given.text)
  if (given !== undefined && shared === undefined) {
    const problem = `PORT in ${given.from}: not a port of the rendezvous server (${JSON.stringify(given.text)}), expected ${LOWEST_PORT} to ${HIGHEST_PORT}`
    if (port === undefined) throw new UsageError(problem)
    if (given.text !== '') warn(`ignored: ${problem}`)
  }
  return { port: port ?? shared ?? DEFAULT_PORT, relayPort: relayPort ?? (shared === undefined ? DEFAULT_RELAY_PORT : shared + 1) }
}

function sharedPort (text: string): number | undefined {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  return port >= LOWEST_PORT && port <= HIGHEST_PORT ? port : undefined
}

function valueOf (property: Property, name: string, { warn, env }: Pick<FinishContext, 'warn'> & { env: Environment }): unknown {
  const variable = env.get(name)
  if (variable === undefined || !isGiven(property, variable.text)) return undefined
  const { success, data, error } = checkOf(property).safeParse(valueIn(property, variable.text))
  if (success) return data
  const problem = error.issues[0].message
  if (REFUSED.includes(property)) throw new UsageError(`${name} in ${variable.from}: ${problem}`)
  warn(`${name} in ${variable.from} is ignored: ${problem}`)
  return undefined
}

/** The originals have one folder. */
function tellOtherFile (data: string, warn: FinishContext['warn']): void {
  const file = join(data, ENV_FILE)
  if (existsSync(file) && realpathSync(data) !== realpathSync('.')) warn(`${file} is not read: the one of the working folder is`)
}
