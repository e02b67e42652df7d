/** A candy relay on a port. */
import { lookup } from 'node:dns/promises'
import { CandyRelay } from './relay.ts'
import { readRelay, type CandyNetworksInit, type CandyRelayInit, type CandyRelayOptions } from './relay-settings.ts'
import { MAX_LENGTH } from './messages.ts'
import type { Reconfigured } from './networks.ts'
import { LinkClosedError, OptionError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import { listenWebSocket } from '../../transports/websocket.ts'
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

interface Place {
  protocol: string
  hostname: string
  port: number
  tls: TlsServerInit | undefined
  trustedProxies: string[]
}

type WebSocketListener = ReturnType<typeof listenWebSocket>

class Server implements CandyServer {
  readonly relay: CandyRelay
  readonly #log: Logger | undefined
  /** Milliseconds for the upgrade. */
  readonly #handshakeTimeout: number | undefined
  /** Looked at when a frame comes, so that it can change. */
  readonly #tolerate: { unmasked: boolean }
  #place: Place
  #listener: WebSocketListener | undefined
  #url = ''
  /** Changes come one after the other, and none after the end. */
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor (relay: CandyRelay, place: Place, { lenient = false, authTimeout, log }: Pick<CandyServerInit, 'lenient' | 'authTimeout' | 'log'>) {
    this.relay = relay
    this.#place = place
    this.#tolerate = { unmasked: lenient }
    this.#log = log
    this.#handshakeTimeout = authTimeout
  }

  get url (): string { return this.#url }

  async open (): Promise<void> {
    await this.#open(this.#place)
  }

  async configure (init: CandyRelayOptions & CandyNetworksInit & ListenInit): Promise<Reconfigured> {
    const change = this.#turn.then(() => this.#configure(init))
    this.#turn = change.catch(() => {})
    return await change
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#turn
    this.#listener?.close()
    await this.relay.close()
  }

  async #configure (init: CandyRelayOptions & CandyNetworksInit & ListenInit): Promise<Reconfigured> {
    if (this.#isClosed) throw new LinkClosedError('the server is closed')
    const place = readPlace(init)
    readRelay(init) // throws before anything has changed
    await this.#move(place)
    this.#tolerate.unmasked = init.lenient ?? false
    return this.relay.configure(init)
  }

  /** Listens there instead of where it does. */
  async #move (place: Place): Promise<void> {
    const [before, old] = [this.#place, this.#listener]
    if (old !== undefined && sameDoor(place, before)) {
      if (place.tls !== undefined) old.setCertificate(place.tls)
      this.#place = place
      return
    }
    await lookup(hostOf(place)) // a name that takes its time, or is none, is no reason to stop listening
    const isInTheWay = place.port !== 0 && place.port === before.port
    if (isInTheWay) this.#leave()
    try {
      await this.#open(place)
    } catch (err) {
      // When somebody else has taken the place meanwhile, the next change tries again.
      if (isInTheWay) await this.#open(before).catch(() => {})
      throw err
    }
    old?.close()
    this.#place = place
  }

  #leave (): void {
    this.#listener?.close()
    this.#listener = undefined
    this.#url = ''
  }

  async #open (place: Place): Promise<void> {
    const { protocol, hostname, port, tls, trustedProxies } = place
    const listener = listenWebSocket({
      host: hostOf(place),
      port,
      tls,
      frames: { ...RELAY_FRAMES, tolerate: this.#tolerate },
      log: this.#log,
      handshakeTimeout: this.#handshakeTimeout,
      gate: this.relay.gate,
      trustedProxies
    })
    this.#accept(listener).catch(() => {}) // told by `port` below
    this.#url = `${protocol}//${hostname}:${await listener.port()}`
    this.#listener = listener
  }

  async #accept (listener: WebSocketListener): Promise<void> {
    for await (const link of listener) void this.relay.accept(link, link)
  }
}

/** Without the brackets of IPv6. */
const hostOf = ({ hostname }: Place): string => hostname.replace(/^\[|\]$/g, '')

/** They differ in the certificate at the most, which can change on the spot. */
function sameDoor (a: Place, b: Place): boolean {
  return a.protocol === b.protocol && a.hostname === b.hostname && a.port === b.port && a.trustedProxies.join() === b.trustedProxies.join()
}

/** Throws `OptionError`. */
function readPlace ({ listen, tls, trustedProxies = [] }: ListenInit): Place {
  const parts = /^(wss?:)\/\/(\[[0-9a-f:.]+\]|[^\s/:?#@[\]]+)(?::(\d{1,5}))?\/?$/i.exec(listen)
  if (parts === null) throw new OptionError(`listen has the form ws://host:port, not ${listen}`)
  const [, scheme, hostname, given] = parts
  const protocol = scheme.toLowerCase()
  const port = given ?? (protocol === 'ws:' ? '80' : '443')
  if (Number(port) > 65_535) throw new OptionError(`listen: port ${port} is over 65535`)
  if ((protocol === 'wss:') !== (tls !== undefined)) throw new OptionError('wss:// and tls go together')
  return { protocol, hostname, port: Number(port), tls, trustedProxies }
}
