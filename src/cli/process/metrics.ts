/** Serves metrics for Prometheus and the health of the process. Values are read on request, never per packet. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { collectDefaultMetrics, Counter, Registry } from 'prom-client'
import { explained } from '../reason.ts'
import { stderrLines, stdoutLines } from './bounded-lines.ts'
import { ServiceMetrics } from './stats-metrics.ts'

/** Milliseconds. A request has a few hundred bytes, in one write. */
const REQUEST_TIMEOUT_MS = 5000
const MAX_HEADER_BYTES = 8192
const MAX_CONNECTIONS = 64

export interface MetricsInit {
  host: string
  /** 0 takes any free port. */
  port: number
  /** The answer of `/healthz`; anything but `ok` has status 503. */
  health (): Health
}

/** `offline`: running without the connection that it needs; `degraded`: connected, but a part of its task is rejected by others. */
export type Health = 'starting' | 'ok' | 'degraded' | 'offline' | 'draining'

export interface MetricsServer {
  /** With the port in use. */
  readonly url: string
  /** What services publish is served. */
  readonly metrics: ServiceMetrics
  close (): Promise<void>
}

/** @throws an error of the system when it cannot listen */
export async function serveMetrics ({ host, port, health }: MetricsInit): Promise<MetricsServer> {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  void new Counter({
    name: 'tunpipe_lines_dropped_total',
    help: 'lines that were not written, as their reader is too slow',
    labelNames: ['stream'],
    registers: [registry],
    collect () {
      this.reset()
      this.inc({ stream: 'stdout' }, stdoutLines.dropped)
      this.inc({ stream: 'stderr' }, stderrLines.dropped)
    }
  })

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, body: string, headers: Record<string, string> = {}): void => {
      response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8', 'content-length': Buffer.byteLength(body), ...headers })
      response.end(request.method === 'HEAD' ? undefined : body)
    }
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'only GET and HEAD\n', { allow: 'GET, HEAD', connection: 'close' })
    const [path] = (request.url ?? '').split('?')
    if (path === '/metrics') return send(200, await registry.metrics(), { 'content-type': registry.contentType })
    if (path !== '/healthz') return send(404, 'try /metrics or /healthz\n')
    const now = health()
    return send(now === 'ok' ? 200 : 503, `${now}\n`)
  }

  const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: REQUEST_TIMEOUT_MS, requestTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: 1000, keepAliveTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response).catch((err: Error) => { response.destroy(err) })
  })
  server.maxConnections = MAX_CONNECTIONS
  server.listen(port, host)
  await once(server, 'listening').catch((err) => { throw explained(err, `cannot serve metrics on ${host}:${port}`) })
  const { address, family, port: used } = server.address() as AddressInfo
  return {
    metrics: new ServiceMetrics(registry),
    url: `http://${family === 'IPv6' ? `[${address}]` : address}:${used}`,
    async close () {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    }
  }
}
