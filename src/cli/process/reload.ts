/** Reloads the settings of running services. */
import type { Logger } from 'pino'
import type { LoadedService } from '../config/load.ts'
import { codeOf, reason } from '../reason.ts'
import type { RunningService } from './services.ts'

export interface ReloadResult {
  /** What each service has changed. */
  services: Array<{ protocol: string }>
  /** Keys or sections that take effect at the next start: `candy.state-dir`. */
  restart: string[]
}

/**
 * Reloads one service after the other. When one rejects, those before it are reloaded with their former settings, so that all settings
 * belong together; connections that were ended are not restored.
 *
 * @throws the error of that service
 */
export async function reconfigure (active: readonly RunningService[], next: readonly LoadedService[], log: Logger): Promise<ReloadResult> {
  const changed: Array<{ one: RunningService, loaded: LoadedService }> = []
  const services: ReloadResult['services'] = []
  const restart = next.filter(({ protocol }) => active.every((one) => one.protocol !== protocol)).map(({ protocol }) => protocol.name)
  for (const one of active) {
    const { protocol: { name }, service } = one
    const loaded = next.find(({ protocol }) => protocol === one.protocol)
    if (loaded === undefined || service.reload === undefined) {
      if (JSON.stringify(loaded?.section) !== JSON.stringify(one.section)) restart.push(name)
      continue
    }
    try {
      const { restart: keys, ...changes } = await service.reload(loaded.settings)
      services.push({ protocol: name, ...changes })
      restart.push(...keys.map((key) => `${name}.${key}`))
      changed.push({ one, loaded })
    } catch (err) {
      for (const { one } of changed.reverse()) await goBack(one, log)
      throw Object.assign(new Error(`${name}: ${reason(err)}`, { cause: err }), { code: codeOf(err) })
    }
  }
  for (const { one, loaded } of changed) Object.assign(one, loaded)
  return { services, restart }
}

async function goBack ({ protocol, service, settings }: Pick<RunningService, 'protocol' | 'service' | 'settings'>, log: Logger): Promise<void> {
  try {
    await service.reload?.(settings)
  } catch (err) {
    log.error({ protocol: protocol.name, reason: reason(err) }, 'cannot go back to the settings before: the new ones hold')
  }
}
