import type { Registry } from 'prom-client'
import type { Running } from './lifecycle.ts'
import { serveMetrics, type Health, type MetricsServer } from './metrics.ts'
import type { Output } from './output.ts'

/** A protocol at work. */
export interface Service extends Running {
  /** Adds its numbers to those that `--metrics` publishes. */
  register (registry: Registry): void
  /** Whether it can do its work now. Default: as long as it runs. */
  online? (): boolean
}

/**
 * Starts one after the other, and the metrics last. All or nothing: when one fails, those before it are stopped and the
 * error is passed on.
 */
export async function startServices (starts: ReadonlyArray<() => Promise<Service>>, metrics: { host: string, port: number } | undefined, out: Output): Promise<Running> {
  const services: Service[] = []
  let server: MetricsServer | undefined
  let draining = false
  const stop = async (): Promise<void> => {
    draining = true // seen by whoever asks while the services drain
    try {
      await Promise.all(services.map((service) => service.stop()))
    } finally {
      await server?.close()
    }
  }
  const register = (registry: Registry): void => {
    for (const service of services) service.register(registry)
  }
  const health = (): Health => {
    if (draining) return 'draining'
    return services.every((service) => service.online?.() ?? true) ? 'ok' : 'offline'
  }
  try {
    for (const start of starts) services.push(await start())
    if (metrics !== undefined) {
      server = await serveMetrics({ ...metrics, register, health })
      out.ready('metrics', server.url)
    }
  } catch (err) {
    await stop()
    throw err
  }
  const failures = services.flatMap(({ failed }) => failed ?? [])
  return failures.length === 0 ? { stop } : { stop, failed: Promise.race(failures) }
}
