/** A candy relay on a port. */
import { CandyRelay } from './relay.ts'
import { MAX_WORKERS, RELAY_FRAMES, readRelay, type CandyNetworksInit, type CandyRelayInit, type CandyRelayOptions } from './settings.ts'
import type { Reconfigured } from './networks.ts'
import { Workers } from './workers/workers.ts'
import { readHost } from '../../../net/endpoint.ts'
import { LinkClosedError, OptionError } from '../../../errors.ts'
import { systemClock } from '../../../streams/clock.ts'
import { silent } from '../../../log.ts'
import { whyNotShared } from '../../../net/native/reuse-port.ts'
import type { Foreigner } from '../../../transports/first-read.ts'
import { Site, type Place } from '../../../transports/site.ts'
import { listenWebSocket, type AcceptedWebSocket } from '../../../transports/websocket.ts'
import type { TlsServerInit } from '../../../transports/tls.ts'

export interface ListenInit {
  /** `ws://host:port`, or `wss://host:port` together with `tls`; port 0 takes a free one. */
  listen: string
  tls?: TlsServerInit
  /** Whose word is taken for where a connection comes from, CIDRs or addresses. Default: nobody's. */
  trustedProxies?: string[]
}

export type CandyServerInit = CandyRelayInit & ListenInit & {
  /**
   * Threads that carry packets, each on a processor of its own; 1 to 16. More than one takes Linux and the optional package `koffi`;
   * without them there is one, and a warning. Default: 1, which is this thread.
   */
  workers?: number
}

export interface CandyServer {
  /** With the port that is really in use. Empty while it listens nowhere, after a change that has failed in the middle. */
  readonly url: string
  readonly relay: CandyRelay
  /** Threads that carry packets. */
  readonly workers: number
  /** Rejects when one of several threads has died, which is a fault of the relay; it cannot go on then. */
  readonly failed?: Promise<never>
  /**
   * Other settings from now on, see `CandyRelay.configure`. Where it listens may change as well: connections that are there
   * stay, and new handshakes get the new certificate.
   *
   * Rejects with `OptionError` when something cannot work, and with what the system says when it cannot listen; then nothing
   * has changed.
   */
  configure (init: CandyRelayOptions & CandyNetworksInit & ListenInit): Promise<Reconfigured>
  /** Stops listening, says goodbye to all clients, and settles when they are gone. */
  close (): Promise<void>
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option cannot work; what the system says (`EADDRINUSE`, `EACCES`, ...) when it cannot listen
 */
export async function serveCandy (init: CandyServerInit): Promise<CandyServer> {
  const place = readPlace(init)
  const settings = readRelay(init)
  const count = await workersOf(init)
  const workers = count === 1 ? undefined : new Workers({ count, settings, handshakeTimeout: init.authTimeout, log: init.log ?? silent, clock: init.clock ?? systemClock })
  const server = new Server(new CandyRelay(init, workers), workers, place, init)
  try {
    await server.open()
    return server
  } catch (err) {
    await server.close()
    throw err
  }
}

/** What was said in `listen`, besides. */
interface Url {
  protocol: string
  hostname: string
}

/** As many as were asked for, or one. Throws `OptionError`. */
async function workersOf ({ workers = 1, log = silent }: Pick<CandyServerInit, 'workers' | 'log'>): Promise<number> {
  if (!Number.isInteger(workers) || workers < 1 || workers > MAX_WORKERS) throw new OptionError(`workers is a whole number of 1 to ${MAX_WORKERS}, not ${String(workers)}`)
  if (workers === 1) return 1
  const reason = await whyNotShared()
  if (reason === undefined) return workers
  log.warn({ workers, reason }, 'one worker only')
  return 1
}

class Server implements CandyServer {
  readonly relay: CandyRelay
  readonly workers: number
  readonly failed: Promise<never> | undefined
  readonly #workers: Workers | undefined
  readonly #site: Site<AcceptedWebSocket>
  /** Looked at when a frame comes, so that it can change. */
  readonly #tolerate: { unmasked: boolean }
  #at: Url
  /** Changes come one after the other, and none after the end. */
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor (relay: CandyRelay, workers: Workers | undefined, [at, place]: [Url, Place], { lenient = false, authTimeout: handshakeTimeout, log, clock }: Pick<CandyServerInit, 'lenient' | 'authTimeout' | 'log' | 'clock'>) {
    this.relay = relay
    this.workers = workers?.count ?? 1
    this.failed = workers?.failed
    this.#workers = workers
    this.#at = at
    this.#tolerate = { unmasked: lenient }
    const onForeign = (foreigner: Foreigner): void => { relay.foreign(foreigner) }
    this.#site = new Site(place, {
      listen: (place) => workers?.listen(place, relay.gate, onForeign) ?? listenWebSocket({ ...place, frames: { ...RELAY_FRAMES, tolerate: this.#tolerate }, log, clock, handshakeTimeout, gate: relay.gate, onForeign }),
      accept: (link) => { void relay.accept(link, link) }
    })
  }

  get url (): string {
    const { port } = this.#site
    return port === undefined ? '' : `${this.#at.protocol}//${this.#at.hostname}:${port}`
  }

  async open (): Promise<void> {
    await this.#site.open()
  }

  async configure (init: CandyRelayOptions & CandyNetworksInit & ListenInit): Promise<Reconfigured> {
    const change = this.#turn.then(() => this.#configure(init))
    this.#turn = change.catch(() => {})
    return await change
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#turn
    this.#site.close()
    await this.relay.close()
    await this.#workers?.close()
  }

  async #configure (init: CandyRelayOptions & CandyNetworksInit & ListenInit): Promise<Reconfigured> {
    if (this.#isClosed) throw new LinkClosedError('the server is closed')
    const [at, place] = readPlace(init)
    readRelay(init) // throws before anything has changed
    await this.#site.move(place)
    this.#at = at
    this.#tolerate.unmasked = init.lenient ?? false
    return this.relay.configure(init)
  }
}

/** Throws `OptionError`. */
function readPlace ({ listen, tls, trustedProxies = [] }: ListenInit): [Url, Place] {
  const [, scheme = '', hostname = '', given] = /^(wss?:)\/\/(\[[^\]]+\]|[^:]+?)(?::(\d{1,5}))?\/?$/i.exec(listen) ?? []
  const host = readHost(hostname)
  if (host === undefined) throw new OptionError(`listen has the form ws://host:port, not ${listen}`)
  const protocol = scheme.toLowerCase()
  const port = given ?? (protocol === 'ws:' ? '80' : '443')
  if (Number(port) > 65_535) throw new OptionError(`listen: port ${port} is over 65535`)
  if ((protocol === 'wss:') !== (tls !== undefined)) throw new OptionError('wss:// and tls go together')
  return [{ protocol, hostname }, { host, port: Number(port), tls, trustedProxies }]
}
