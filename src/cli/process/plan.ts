/** From settings to a program that can be started; the same for relay and peer. */
import type { Logger } from 'pino'
import { Concealer } from './concealer.ts'
import type { Plan, Running } from './lifecycle.ts'
import { defaultControlPath } from '../control/path.ts'
import { reason } from '../reason.ts'
import { createLogger } from './logger.ts'
import { createOutput, type Output } from './output.ts'
import type { SharedSettings } from '../config/schema.ts'
import { startServices, type Service } from './services.ts'

/** What every program has loaded. */
export interface Settled {
  settings: SharedSettings
  warnings: readonly string[]
  /** What must not appear in the log. */
  secrets: readonly string[]
}

/** What a service is started with. */
export interface Parts<L> {
  loaded: L
  log: Logger
  out: Output
}

/** A service that can take other settings while it runs. */
export interface Reloadable<L> extends Service {
  /** Rejects when they cannot be; then nothing has changed. Resolves with what has, and with the keys of what holds from the next start on. */
  reload (loaded: L): Promise<{ restart: string[] }>
}

export interface PlanInit<L> {
  program: 'relay' | 'peer'
  /** Stands in the name of the control socket. Default: that of the program. */
  name?: string
  loaded: L
  /** Makes the service; it loads the protocol, so that a protocol is loaded when it is used. */
  start (parts: Parts<L>): Promise<Service | Reloadable<L>>
  /** Reads the settings again, where the service can take others. */
  read? (): L
  /** Is called first, for what the user is told besides. */
  greet? (out: Output): void
}

/** Settings that hold until the end of the process. */
const LASTING = ['metrics', 'json', 'control'] as const

export function planProgram<L extends Settled> ({ program, name = program, loaded, start, read, greet }: PlanInit<L>): Plan {
  const { settings, warnings, secrets } = loaded
  const concealer = new Concealer(secrets)
  const log = createLogger({ level: settings['log-level'], json: settings.json, concealer })
  const out = createOutput(settings.json)
  const control = settings.control === 'none' ? undefined : settings.control ?? defaultControlPath(name)
  let service: Service | Reloadable<L> | undefined
  const reload = async (): Promise<object> => {
    if (read === undefined || service === undefined || !('reload' in service)) return {}
    try {
      const next = read()
      concealer.hide(next.secrets)
      const changes = await service.reload(next)
      log.level = next.settings['log-level']
      const restart = [...LASTING.filter((key) => JSON.stringify(next.settings[key]) !== JSON.stringify(settings[key])), ...changes.restart]
      for (const warning of next.warnings) log.warn({}, warning)
      if (restart.length > 0) log.warn({ restart }, 'some settings hold from the next start on')
      log.info({ ...changes, restart }, 'reloaded')
      return { ...changes, restart, warnings: next.warnings }
    } catch (err) {
      log.error({ reason: reason(err) }, 'not reloaded: what was there before stays in force')
      throw err
    }
  }
  const inTurn = oneAtATime(reload)
  return {
    log,
    json: settings.json,
    async start (): Promise<Running> {
      greet?.(out)
      for (const warning of warnings) log.warn({}, warning)
      const starts = [async () => (service = await start({ loaded, log, out }))]
      const running = await startServices({ program, starts, metrics: settings.metrics, control, reload: read === undefined ? undefined : inTurn, log, out })
      return read === undefined ? running : { ...running, reload: () => inTurn().then(() => {}, () => {}) }
    }
  }
}

/** Two signals in a row must not set the same listener up twice. */
function oneAtATime<T> (work: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }
}
