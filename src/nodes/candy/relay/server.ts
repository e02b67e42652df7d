/** A candy relay on a port: the transport, the layers over its links, and the relay. */
import { CandyRelay } from './relay.ts'
import { MAX_WORKERS, readRelay, type CandyNetworksInit, type CandyRelayInit, type CandyRelayOptions } from './settings.ts'
import type { NetworkChanges } from './networks.ts'
import type { CandyServerStatus } from './status.ts'
import type { RemoteLink } from './workers/remote-link.ts'
import { Workers } from './workers/workers.ts'
import type { BindOptions } from '../../common/rebindable-listener.ts'
import { serve, type ListenOptions, type Served } from '../../common/serve.ts'
import { readHost } from '../../../net/endpoint.ts'
import { OptionError } from '../../../errors.ts'
import { silent } from '../../../log.ts'
import { systemClock } from '../../../streams/clock.ts'
import { sharedBindProblem } from '../../../net/native/reuse-port.ts'
import { websocketFrames } from '../../../transforms/websocket-frames/index.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { listenUpgraded } from '../../../transports/upgrade.ts'

/** `listen` is `ws://host:port`, or `wss://host:port` together with `tls`. */
export type CandyServerInit = CandyRelayInit & ListenOptions & {
  /**
   * Threads that forward packets, 1 to 16. More than one requires Linux and the optional package `koffi`; without them there is one, with
   * a warning. Default: 1, the calling thread.
   */
  workers?: number
}

/** Options that can change at run time. */
export type CandyServerOptions = CandyRelayOptions & CandyNetworksInit & ListenOptions

/** A candy relay on a port. */
export interface CandyServer extends Served<CandyServerOptions, NetworkChanges, Omit<CandyServerStatus, 'url'>> {
  readonly relay: CandyRelay
  /** Threads that forward packets. */
  readonly workers: number
  /** Rejects when one of several threads has died, which is a bug; the relay cannot continue then. */
  readonly failed?: Promise<never>
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option is invalid; an error of the system (`EADDRINUSE`, `EACCES`, ...) when it cannot listen
 */
export async function serveCandy (init: CandyServerInit): Promise<CandyServer> {
  const { authTimeout: handshakeTimeout, log, clock = systemClock } = init
  const at = readBindOptions(init)
  const settings = readRelay(init)
  const count = await workersOf(init)
  const workers = count === 1 ? undefined : new Workers({ count, settings, handshakeTimeout, log: log ?? silent, clock })
  const relay = new CandyRelay(init, workers)
  const onProtocolMismatch = (mismatch: ProtocolMismatch): void => { relay.protocolMismatch(mismatch) }
  const node = {
    at,
    log,
    urlOf: ({ protocol, hostname }: CandyBindOptions, port: number) => `${protocol}//${hostname}:${port}`,
    verify (options: CandyServerOptions) {
      const at = readBindOptions(options)
      readRelay(options)
      return at
    },
    configure: (options: CandyServerOptions) => relay.configure(options),
    status: () => ({ workers: count, ...relay.status() }),
    async close () {
      await relay.close()
      await workers?.close()
    }
  }
  const server = await (workers === undefined
    ? serve({
      ...node,
      transport: { listen: (at) => listenUpgraded({ ...at, handshakeTimeout, log, clock, limiter: relay.limiter, onProtocolMismatch }) },
      layers: websocketFrames({ ...relay.frames, role: 'server' }),
      accept: (link) => { void relay.accept(link) }
    })
    : serve({
      ...node,
      transport: { listen: (at) => workers.listen(at, relay.limiter, onProtocolMismatch) },
      layers: (link: RemoteLink) => link, // each worker has the layers, see `workers/worker.ts`
      accept: (link) => { void relay.accept(link) }
    }))
  return Object.assign(server, { relay, workers: count, failed: workers?.failed })
}

interface CandyBindOptions extends BindOptions {
  /** `ws:` or `wss:`. */
  protocol: string
  /** As in `listen`. */
  hostname: string
}

/** The requested number, or 1 where threads are not supported. @throws {OptionError} when it is not 1 to 16 */
async function workersOf ({ workers = 1, log = silent }: Pick<CandyServerInit, 'workers' | 'log'>): Promise<number> {
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) throw new OptionError(`workers is a whole number of 1 to ${MAX_WORKERS}, not ${String(workers)}`)
  if (workers === 1) return 1
  const reason = await sharedBindProblem()
  if (reason === undefined) return workers
  log.warn({ workers, reason }, 'one worker only')
  return 1
}

/** @throws {OptionError} when `listen`, `tls` or a proxy is invalid */
function readBindOptions ({ listen, tls, trustedProxies = [] }: ListenOptions): CandyBindOptions {
  const [, scheme = '', hostname = '', given] = /^(wss?:)\/\/(\[[^\]]+\]|[^:]+?)(?::(\d{1,5}))?\/?$/i.exec(listen) ?? []
  const host = readHost(hostname)
  if (host === undefined) throw new OptionError(`listen has the form ws://host:port, not ${listen}`)
  const protocol = scheme.toLowerCase()
  const port = given ?? (protocol === 'ws:' ? '80' : '443')
  if (Number(port) > 65_535) throw new OptionError(`listen: port ${port} is over 65535`)
  if ((protocol === 'wss:') !== (tls !== undefined)) throw new OptionError('wss:// and tls go together')
  return { protocol, hostname, host, port: Number(port), tls, trustedProxies }
}
