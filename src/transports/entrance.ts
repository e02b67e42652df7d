/**
 * What a connection passes before anything else is done with it: the limiter, and the question who is behind a trusted proxy. It
 * is the same for TCP, TLS and WebSocket.
 */
import type { Server, Socket } from 'node:net'
import { Server as TlsServer } from 'node:tls'
import { forwardedSource } from '../net/forwarded-for.ts'
import type { ConnectionLimiter, ConnectionSlot } from '../limits/connection-limiter.ts'
import { CidrList } from '../net/cidr-list.ts'
import { ProxyHeaderError, type ProxyHeader } from './proxy-header.ts'
import { readProxyHeader } from './proxy-reader.ts'
import { throttle } from '../limits/throttle.ts'
import { LinkClosedError } from '../errors.ts'
import { silent, type Logger } from '../log.ts'
import { verifyMilliseconds } from '../options.ts'
import { systemClock } from '../streams/clock.ts'
import type { AnyLink, Clock, Endpoint, Layer } from '../types.ts'

export interface EntranceInit {
  limiter?: ConnectionLimiter
  trustedProxies?: readonly string[]
  /** Milliseconds that a trusted proxy has for a PROXY header. Default: 10 s. */
  handshakeTimeout?: number
  /** Told of malformed headers: `err` and `remote` of the last one, and `count`, how many. Default: silent. */
  log?: Logger
  /** Default: that of the system. */
  clock?: Clock
}

/** The default of every `handshakeTimeout`, in milliseconds. */
export const DEFAULT_HANDSHAKE_TIMEOUT = 10_000

/** A connection that was let in. */
export interface Arrival {
  /** Who is at the other end, as far as is known. */
  remote: Endpoint
  /** `remote` is a trusted proxy, which may know better. */
  isProxy: boolean
  slot?: ConnectionSlot
}

/** An arrival that nobody has taken yet. */
interface Waiting extends Arrival {
  socket: Socket
  /** What it is found by; undefined once it was taken. */
  key: Key | undefined
}

export interface Entrance {
  /** From now on the server is given only the connections that are let in. */
  guard (server: Server): void
  /**
   * Hands a connection over to whoever makes a link of it. Once only.
   *
   * @param socket the one that the server was given, or the TLS socket over it
   * @returns undefined when the connection has ended meanwhile
   */
  take (socket: Socket): Arrival | undefined
  /** Who is at the other end of a connection that nobody has taken, as far as is known. */
  remoteOf (socket: Socket): Endpoint
  /**
   * Corrects `remote` by what a trusted proxy wrote into its request.
   *
   * @param forwardedFor the header `X-Forwarded-For`, of whomever
   * @returns false when the limiter has too many from there; then the connection is to be ended
   */
  follow (arrival: Arrival, forwardedFor: string | string[] | undefined): boolean
  /** Ends the connections that nobody has taken. */
  close (): void
}

/** What a listener gives out: a link that knows who is at the other end, also behind a trusted proxy. */
export interface Accepted {
  /** The port is 0 when a proxy does not tell it. */
  readonly remote: Endpoint
  /** Path and query of the request, as sent, where there was one. */
  readonly path?: string
  /** Of a listener with a limiter. Whoever serves the link establishes it, and may put a way of its own to end it there. */
  readonly slot?: ConnectionSlot
}

export const endpointOf = (socket: Socket): Endpoint => ({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })

/** Where everybody is let in and nobody is believed: it costs nothing. */
const OPEN: Entrance = {
  guard () {},
  take: (socket) => ({ remote: endpointOf(socket), isProxy: false }),
  remoteOf: endpointOf,
  follow: () => true,
  close () {}
}

/** Makes the link of an arrival one that was accepted. From now on the limiter ends it as a link is ended. */
export function accepted<L extends AnyLink> (link: L, { remote, path, slot }: Accepted): L & Accepted {
  if (slot !== undefined) slot.evict = () => { link.abort(new LinkClosedError('made room for a newer connection')) }
  return Object.assign(link, path === undefined ? { remote, slot } : { remote, path, slot })
}

/** Layers over a link that was accepted: what they make of it tells the same of the connection, and is what the limiter ends. */
export function overAccepted<Wire extends AnyLink & Accepted, Upper extends AnyLink> (link: Wire, layers: Layer<Wire, Upper>): Upper & Accepted {
  return accepted(layers(link), link)
}

/** Throws `OptionError` for proxies that are no addresses, and for a timeout that cannot be. */
export function entrance ({ limiter, trustedProxies = [], handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT, log = silent, clock = systemClock }: EntranceInit): Entrance {
  verifyMilliseconds('handshakeTimeout', handshakeTimeout)
  return limiter === undefined && trustedProxies.length === 0 ? OPEN : new GuardedEntrance({ limiter, trustedProxies, handshakeTimeout, log, clock })
}

/** The socket, or {@link endsOf} where TLS hands over a socket of its own. */
type Key = Socket | string

/** Tells the live connections of a listener apart: it is what a socket and the TLS socket over it have in common. */
const endsOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string => `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

class GuardedEntrance implements Entrance {
  readonly #limiter: ConnectionLimiter | undefined
  readonly #trusted: CidrList
  readonly #timeout: number
  readonly #clock: Clock
  readonly #malformed: (what: { err: Error, remote: Endpoint }) => void
  readonly #waiting = new Map<Key, Waiting>()
  #isSecure = false

  constructor ({ limiter, trustedProxies, handshakeTimeout, log, clock }: Required<Omit<EntranceInit, 'limiter'>> & Pick<EntranceInit, 'limiter'>) {
    this.#limiter = limiter
    this.#trusted = new CidrList('trustedProxies', trustedProxies)
    this.#timeout = handshakeTimeout
    this.#clock = clock
    this.#malformed = throttle(({ err, remote }, count) => { log.warn({ err, remote, count }, 'malformed PROXY headers') }, { clock })
  }

  guard (server: Server): void {
    // Node's servers do their work in a listener of this event, which may be emitted by others than the system.
    const serve = server.listeners('connection') as Array<(socket: Socket) => void>
    server.removeAllListeners('connection')
    this.#isSecure = server instanceof TlsServer
    server.on('connection', (socket: Socket) => {
      this.#admit(socket, () => { for (const each of serve) each.call(server, socket) })
    })
  }

  take (socket: Socket): Arrival | undefined {
    const key = this.#keyOf(socket)
    const waiting = this.#waiting.get(key)
    if (waiting === undefined) return undefined
    this.#waiting.delete(key)
    waiting.key = undefined
    return waiting
  }

  follow (arrival: Arrival, forwardedFor: string | string[] | undefined): boolean {
    if (!arrival.isProxy || forwardedFor === undefined) return true
    return this.#locate(arrival, forwardedSource(String(forwardedFor), arrival.remote, this.#trusted))
  }

  close (): void {
    for (const { socket } of this.#waiting.values()) socket.destroy()
  }

  remoteOf (socket: Socket): Endpoint { return this.#waiting.get(this.#keyOf(socket))?.remote ?? endpointOf(socket) }

  #admit (socket: Socket, serve: () => void): void {
    const remote = endpointOf(socket)
    if (remote.host === '') { // it has ended already
      socket.destroy()
      return
    }
    const isProxy = this.#trusted.includes(remote.host)
    const slot = this.#limiter?.admit(remote.host, () => { socket.destroy() }, isProxy)
    if (this.#limiter !== undefined && slot === undefined) {
      socket.destroy()
      return
    }
    const key = this.#keyOf(socket)
    const waiting: Waiting = { socket, key, remote, isProxy, slot }
    this.#waiting.get(key)?.socket.destroy() // the system would not give the same ends to another while it lives
    this.#waiting.set(key, waiting)
    socket.on('close', this.#leaving(waiting))
    if (!isProxy) serve()
    else readProxyHeader(socket, this.#timeout, (outcome) => { this.#heard(waiting, outcome, serve) }, this.#clock)
  }

  /** A function of its own: what stays with the connection keeps only what it needs. */
  #leaving (waiting: Waiting): () => void {
    return () => {
      waiting.slot?.release()
      if (waiting.key !== undefined && this.#waiting.get(waiting.key) === waiting) this.#waiting.delete(waiting.key)
    }
  }

  #keyOf (socket: Socket): Key { return this.#isSecure ? endsOf(socket) : socket }

  #heard (waiting: Waiting, outcome: ProxyHeader | 'none' | Error, serve: () => void): void {
    const { socket, remote } = waiting
    if (outcome instanceof Error) {
      if (outcome instanceof ProxyHeaderError) this.#malformed({ err: outcome, remote })
      socket.destroy()
    } else if (outcome !== 'none' && outcome.source !== undefined && !this.#locate(waiting, outcome.source)) {
      socket.destroy()
    } else {
      serve()
    }
  }

  /** The connection comes from there. False when there are too many of those. */
  #locate (arrival: Arrival, remote: Endpoint): boolean {
    arrival.remote = remote
    arrival.isProxy = this.#trusted.includes(remote.host)
    // Another trusted proxy stands for many as well, so it is not bounded as one source.
    return arrival.isProxy || arrival.slot?.setSource(remote.host) !== false
  }
}
