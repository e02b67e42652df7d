/** From settings to a program that can be started; the same for relay and peer. */
import type { Logger } from 'pino'
import type { Plan } from './lifecycle.ts'
import type { KeyName, Loaded } from '../config/load.ts'
import { createLogger } from './logger.ts'
import { createOutput, type Output } from './output.ts'
import type { PeerSettings, RelaySettings } from '../config/schema.ts'
import { startServices, type Service } from './services.ts'

/** What a candy service is started with. */
export interface CandyParts<Settings> {
  candy: Settings
  password: string
  nameOf: KeyName
  log: Logger
  out: Output
}

/**
 * @param start makes the service; it loads the protocol, so that a protocol is loaded when it is used
 * @param greet is called first, for what the user is told besides
 */
export function planCandy<T extends RelaySettings | PeerSettings> (
  { settings, candy, password, nameOf, warnings }: Loaded<T>,
  start: (parts: CandyParts<NonNullable<T['candy']>>) => Promise<Service>,
  greet?: (out: Output) => void
): Plan {
  const log = createLogger({ level: settings['log-level'], json: settings.json, secrets: [password] })
  const out = createOutput(settings.json)
  return {
    log,
    json: settings.json,
    async start () {
      greet?.(out)
      for (const warning of warnings) log.warn({}, warning)
      return await startServices([() => start({ candy, password, nameOf, log, out })], settings.metrics, out)
    }
  }
}
