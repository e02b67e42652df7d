/** A candy relay on a port. */
import { CandyRelay } from './relay.ts'
import { readRelay, type CandyNetworksInit, type CandyRelayInit, type CandyRelayOptions } from './relay-settings.ts'
import { MAX_LENGTH } from './messages.ts'
import type { Reconfigured } from './networks.ts'
import { LinkClosedError, OptionError } from '../../errors.ts'
import { Site, type Place } from '../../transports/site.ts'
import { listenWebSocket, type AcceptedWebSocket } from '../../transports/websocket.ts'
import type { TlsServerInit } from '../../transports/tls.ts'
import type { WebSocketFramesInit } from '../../transforms/websocket-frames/index.ts'

/** What the frame layer of a candy relay allows: one message of at most 1500 bytes (candy protocol, section 1.1), and a second to say goodbye. */
export const RELAY_FRAMES: Omit<WebSocketFramesInit, 'role'> = { maxPayload: MAX_LENGTH, closeTimeout: 1000 }

export interface ListenInit {
  /** `ws://host:port`, or `wss://host:port` together with `tls`; port 0 takes a free one. */
  listen: string
  tls?: TlsServerInit
  /** Whose word is taken for where a connection comes from, CIDRs or addresses. Default: nobody's. */
  trustedProxies?: string[]
}

export type CandyServerInit = CandyRelayInit & ListenInit

export interface CandyServer {
  /** With the port that is really in use. Empty while it listens nowhere, after a change that has failed in the middle. */
  readonly url: string
  readonly relay: CandyRelay
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
  const relay = new CandyRelay(init)
  const server = new Server(relay, place, init)
  try {
    await server.open()
    return server
  } catch (err) {
    await relay.close()
    throw err
  }
}

/** What was said in `listen`, besides. */
interface Url {
  protocol: string
  hostname: string
}

class Server implements CandyServer {
  readonly relay: CandyRelay
  readonly #site: Site<AcceptedWebSocket>
  /** Looked at when a frame comes, so that it can change. */
  readonly #tolerate: { unmasked: boolean }
  #at: Url
  /** Changes come one after the other, and none after the end. */
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor (relay: CandyRelay, [at, place]: [Url, Place], { lenient = false, authTimeout: handshakeTimeout, log }: Pick<CandyServerInit, 'lenient' | 'authTimeout' | 'log'>) {
    this.relay = relay
    this.#at = at
    this.#tolerate = { unmasked: lenient }
    this.#site = new Site(place, {
      listen: (place) => listenWebSocket({ ...place, frames: { ...RELAY_FRAMES, tolerate: this.#tolerate }, log, handshakeTimeout, gate: relay.gate }),
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
  const parts = /^(wss?:)\/\/(\[[0-9a-f:.]+\]|[^\s/:?#@[\]]+)(?::(\d{1,5}))?\/?$/i.exec(listen)
  if (parts === null) throw new OptionError(`listen has the form ws://host:port, not ${listen}`)
  const [, scheme, hostname, given] = parts
  const protocol = scheme.toLowerCase()
  const port = given ?? (protocol === 'ws:' ? '80' : '443')
  if (Number(port) > 65_535) throw new OptionError(`listen: port ${port} is over 65535`)
  if ((protocol === 'wss:') !== (tls !== undefined)) throw new OptionError('wss:// and tls go together')
  return [{ protocol, hostname }, { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port), tls, trustedProxies }]
}
