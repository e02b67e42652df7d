import type { Logger } from 'pino'
import { version } from '../../version.ts'
import type { LoadedService } from '../config/load.ts'
import { listOf, quoted } from '../../text/phrases.ts'
import { serveControl, type Control, type Identity, type Request } from '../control/server.ts'
import type { Options, SettingsOf } from '../../nodes/common/options/option.ts'
import type { Protocol, Service } from '../protocol.ts'
import { UsageError } from '../usage-error.ts'
import { stderrLines, stdoutLines } from './bounded-lines.ts'
import type { Health, MetricsServer } from './metrics.ts'
import type { Running } from './lifecycle.ts'
import type { Output } from './output.ts'

/** A service that runs, with its settings. */
export interface RunningService extends LoadedService {
  readonly service: Service
  readonly log: Logger
}

export interface ServicesInit {
  identity: Identity
  services: readonly LoadedService[]
  /** Threads for each service that can use several. Default: 1. */
  workers?: number
  metrics: { host: string, port: number } | undefined
  /** Path of the control socket, if there is to be one. */
  control: string | undefined
  /** Handles `reload`, where a service can. */
  reload (active: readonly RunningService[]): Promise<object>
  log: Logger
  out: Output
}

/**
 * Starts metrics, then one service after the other, then the control socket. All or nothing: when one fails those before it are stopped.
 *
 * @throws the error of the one that failed
 */
export async function startServices ({ identity, services, workers = 1, metrics, control, reload, log, out }: ServicesInit): Promise<Running> {
  const active: RunningService[] = []
  const started = performance.now()
  let server: MetricsServer | undefined
  let controlServer: Control | undefined
  let phase: 'starting' | 'running' | 'draining' = 'starting'
  const stop = async (): Promise<void> => {
    phase = 'draining' // `status` and `/healthz` show it while the services drain
    try {
      await Promise.all(active.map(({ service }) => service.stop()))
    } finally {
      await Promise.all([server?.close(), controlServer?.close()])
    }
  }
  const health = (of: readonly RunningService[] = active): Health => {
    if (phase !== 'running') return phase
    const offline = of.filter(({ service }) => service.online?.() === false)
    if (offline.length === 0) return 'ok'
    return offline.every(({ service }) => service.degraded?.() === true) ? 'degraded' : 'offline'
  }
  const status = (request: Request): object => ({
    version,
    pid: process.pid,
    config: identity.config ?? null,
    uptime: Math.round((performance.now() - started) / 1000),
    health: health(chosen(active, request)),
    linesDropped: { stdout: stdoutLines.dropped, stderr: stderrLines.dropped },
    services: chosen(active, request).map(({ protocol, service }) => ({ protocol: protocol.name, ...service.status() }))
  })
  const again = oneAtATime(() => reload(active))
  try {
    if (metrics !== undefined) { // before any ready line
      const { serveMetrics } = await import('./metrics.ts')
      server = await serveMetrics({ ...metrics, health: () => health() })
    }
    for (const loaded of services) {
      const ownLog = log.child({ protocol: loaded.protocol.name })
      if (workers > 1 && (loaded.protocol.maxWorkers ?? 1) === 1) ownLog.warn({ workers }, 'this protocol uses one thread')
      const service = await loaded.protocol.start({ ...loaded, settings: loaded.settings as SettingsOf<Options>, workers, log: ownLog, out })
      service.failed?.catch(() => {}) // while others start; `failed` of the result rejects as well
      active.push({ ...loaded, service, log: ownLog })
    }
    phase = 'running'
    if (server !== undefined) {
      for (const { service } of active) service.register(server.metrics)
      out.ready('metrics', server.url)
    }
    const canReload = active.some(({ service }) => service.reload !== undefined)
    if (control !== undefined) {
      controlServer = await serveControl(control, identity, {
        status: async (request) => ({ body: status(request) }),
        ...(active.some(({ service }) => service.explain !== undefined) && { explain: async (request) => ({ body: await explained(active, request) }) }),
        capture: async (request, socket) => await capturing(active, request)(request, socket),
        ...(canReload && {
          async reload (request: Request) {
            chosen(active, request)
            return { body: await again() }
          }
        })
      }, log)
    }
    const failures = active.flatMap(({ service }) => service.failed ?? [])
    return {
      stop,
      failed: failures.length === 0 ? undefined : Promise.race(failures),
      reload: canReload ? () => again().then(() => {}, () => {}) : undefined
    }
  } catch (err) {
    await stop()
    throw err
  }
}

/**
 * The services of a request: the one that it names, or all.
 *
 * @throws {UsageError} when there is none of that name
 */
function chosen<T extends { protocol: Protocol }> (all: readonly T[], { protocol: name }: Request, wrong = 'does not run here'): readonly T[] {
  const found = name === undefined ? all : all.filter(({ protocol }) => protocol.name === name)
  if (found.length === 0) throw new UsageError(`--protocol: ${wrong} (${quoted(name)}), expected ${namesOf(all)}`)
  return found
}

/**
 * The capture function of a request: that of the protocol that it names, or the only one.
 *
 * @throws {UsageError} when there is none, or more than one
 */
function capturing (active: readonly RunningService[], request: Request): NonNullable<Service['capture']> {
  const able = active.flatMap(({ protocol, service }) => service.capture === undefined ? [] : { protocol, capture: service.capture.bind(service) })
  if (able.length === 0) throw new UsageError(`no capture can be made of ${namesOf(active)}`)
  const found = chosen(able, request, 'does not run here, or has no capture')
  if (found.length > 1) throw new UsageError(`--protocol: missing, expected ${namesOf(able)}`)
  return found[0].capture
}

/**
 * Why a service reaches a member as it does: that which the request names, or the only one that can tell.
 *
 * @throws {UsageError} when there is none
 */
async function explained (active: readonly RunningService[], request: Request): Promise<object> {
  const able = active.flatMap(({ protocol, service }) => service.explain === undefined ? [] : { protocol, explain: service.explain.bind(service) })
  const [{ protocol, explain }] = chosen(able, request, 'does not run here, or has no paths to explain')
  return { protocol: protocol.name, explanation: await explain(String(request.member)) }
}

const namesOf = (services: ReadonlyArray<{ protocol: Protocol }>): string => listOf(services.map(({ protocol }) => protocol.name))

/** Serialises calls: two reloads at once must not bind the same address twice. */
function oneAtATime<T> (work: () => Promise<T>): () => Promise<T> {
  let last: Promise<unknown> = Promise.resolve()
  return () => {
    const next = last.then(work)
    last = next.catch(() => {})
    return next
  }
}
