/** A candy relay on a port: the transport, the layers over its links, and the relay. */
import { CandyRelay } from './relay.ts'
import { listenOptions, verifyTls } from './options.ts'
import { MAX_WORKERS, readRelay, type CandyNetworksInit, type CandyRelayInit, type CandyRelayOptions } from './settings.ts'
import type { NetworkChanges } from './networks.ts'
import type { CandyServerStatus } from './status.ts'
import type { RemoteLink } from './workers/remote-link.ts'
import { Workers } from './workers/workers.ts'
import type { BindOptions } from '../../common/rebindable-listener.ts'
import { readOptions, rejectOption, type InitOf } from '../../common/options/option.ts'
import { serve, type Served } from '../../common/serve.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { OptionError } from '../../../errors.ts'
import { silent } from '../../../log.ts'
import { systemClock } from '../../../streams/clock.ts'
import { sharedBindProblem } from '../../../net/native/reuse-port.ts'
import { websocketFrames } from '../../../transforms/websocket-frames/index.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { listenUpgraded } from '../../../transports/upgrade.ts'

/** `listen` is `ws://host:port`, or `wss://host:port` together with `tls`. */
export type CandyListenOptions = InitOf<typeof listenOptions>

/** Options of {@link serveCandy}. */
export type CandyServerInit = CandyRelayInit & CandyListenOptions & {
  /**
   * Threads that forward packets, 1 to 16. More than one requires Linux and the optional package `koffi`; without them there is one, with
   * a warning. Default: 1, the calling thread.
   */
  workers?: number
}

/** Options that can change at run time. */
export type CandyServerOptions = CandyRelayOptions & CandyNetworksInit & CandyListenOptions

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
    urlOf: ({ host, tls }: BindOptions, port: number) => `${tls === undefined ? 'ws' : 'wss'}://${endpointText({ host, port })}`,
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
function readBindOptions (init: CandyListenOptions): BindOptions {
  const { listen, tls, trustedProxies } = readOptions(listenOptions, init)
  verifyTls({ listen, tls }, rejectOption)
  return { host: listen.host, port: listen.port, tls, trustedProxies }
}
