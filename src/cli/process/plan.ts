/** From settings to a program that can be started, for relay and peer. */
import { resolve } from 'node:path'
import { load, type LoadInit } from '../config/load.ts'
import { controlName, defaultControlPath } from '../control/path.ts'
import { reason } from '../reason.ts'
import { Redactor } from './redactor.ts'
import type { Plan } from './lifecycle.ts'
import { createLogger } from './logger.ts'
import { createOutput, type Output } from './output.ts'
import { reconfigure } from './reload.ts'
import { startServices, type RunningService } from './services.ts'

export interface PlanInit extends LoadInit {
  /** Called first, to print further lines for the user. */
  greet?: (out: Output) => void
}

/** Settings that cannot change while the process runs. */
const LASTING = ['metrics', 'json', 'control', 'workers'] as const

/** @throws {UsageError} for the first error in the settings */
export function planProgram ({ greet, ...init }: PlanInit): Plan {
  const { program, protocols, flags } = init
  const { settings, services, warnings, secrets } = load(init)
  const redactor = new Redactor(secrets)
  const log = createLogger({ level: settings['log-level'], json: settings.json, redactor })
  const out = createOutput(settings.json)
  const reload = async (active: readonly RunningService[]): Promise<object> => {
    try {
      const next = load(init)
      redactor.add(next.secrets)
      const changes = await reconfigure(active, next.services, log)
      for (const each of [log, ...active.map(({ log }) => log)]) each.level = next.settings['log-level']
      const restart = [...LASTING.filter((key) => JSON.stringify(next.settings[key]) !== JSON.stringify(settings[key])), ...changes.restart]
      for (const warning of next.warnings) log.warn({}, warning)
      if (restart.length > 0) log.warn({ restart }, 'some settings hold from the next start on')
      log.info({ services: changes.services, restart }, 'reloaded')
      return { services: changes.services, restart, warnings: next.warnings }
    } catch (err) {
      log.error({ reason: reason(err) }, 'not reloaded: what was there before stays in force')
      throw err
    }
  }
  return {
    log,
    json: settings.json,
    async start () {
      greet?.(out)
      for (const warning of warnings) log.warn({}, warning)
      const sections = Object.fromEntries(services.map(({ protocol, section }) => [protocol.name, section]))
      const control = settings.control === 'none' ? undefined : settings.control ?? defaultControlPath(controlName({ program, protocols, sections, protocol: flags.protocol }))
      return await startServices({ identity: { program, config: flags.config === undefined ? undefined : resolve(flags.config) }, services, workers: settings.workers, metrics: settings.metrics, control, reload, log, out })
    }
  }
}
