import type { Socket } from 'node:net'
import type { Logger } from 'pino'
import type { Registry } from 'prom-client'
import { serveControl, type Answer, type Control, type Request } from '../control/server.ts'
import { version } from '../../version.ts'
import { serveMetrics, type Health, type MetricsServer } from './metrics.ts'
import type { Running } from './lifecycle.ts'
import type { Output } from './output.ts'

/** A protocol at work. */
export interface Service extends Omit<Running, 'reload'> {
  readonly protocol: string
  /** Adds its numbers to those that `--metrics` publishes. */
  register (registry: Registry): void
  /** What `status` tells of it. */
  status (): object
  /** Writes what it carries to the socket behind the answer. Rejects with `ERR_USAGE` when what was asked for is not there. */
  capture (request: Request, socket: Socket): Promise<Answer>
  /** Whether it can do its work now. Default: as long as it runs. */
  online? (): boolean
}

export interface ServicesInit {
  /** `relay` or `peer`. */
  program: string
  starts: ReadonlyArray<() => Promise<Service>>
  metrics: { host: string, port: number } | undefined
  /** Path of the control socket, if there is to be one. */
  control: string | undefined
  /** Answers `reload`, where that can be asked for. */
  reload?: () => Promise<object>
  log: Logger
  out: Output
}

/**
 * Starts metrics, then one service after the other, and the control socket. All or nothing: when one fails, those before it are
 * stopped and the error is passed on.
 */
export async function startServices ({ program, starts, metrics, control, reload, log, out }: ServicesInit): Promise<Omit<Running, 'reload'>> {
  const services: Service[] = []
  const started = performance.now()
  let server: MetricsServer | undefined
  let door: Control | undefined
  let phase: 'starting' | 'running' | 'draining' = 'starting'
  const stop = async (): Promise<void> => {
    phase = 'draining' // seen by whoever asks while the services drain
    try {
      await Promise.all(services.map((service) => service.stop()))
    } finally {
      await Promise.all([server?.close(), door?.close()])
    }
  }
  const health = (): Health => {
    if (phase !== 'running') return phase
    return services.every((service) => service.online?.() ?? true) ? 'ok' : 'offline'
  }
  const status = (): object => ({
    version,
    pid: process.pid,
    uptime: Math.round((performance.now() - started) / 1000),
    health: health(),
    services: services.map((service) => ({ protocol: service.protocol, ...service.status() }))
  })
  try {
    if (metrics !== undefined) server = await serveMetrics({ ...metrics, health }) // before anybody is told that something is ready
    for (const start of starts) services.push(await start())
    phase = 'running'
    if (server !== undefined) {
      for (const service of services) service.register(server.registry)
      out.ready('metrics', server.url)
    }
    if (control !== undefined) {
      door = await serveControl(control, program, {
        status: async () => ({ body: status() }),
        capture: (request, socket) => services[0].capture(request, socket), // there is one protocol so far
        ...(reload === undefined ? {} : { reload: async () => ({ body: await reload() }) })
      }, log)
    }
  } catch (err) {
    await stop()
    throw err
  }
  const failures = services.flatMap(({ failed }) => failed ?? [])
  return failures.length === 0 ? { stop } : { stop, failed: Promise.race(failures) }
}
