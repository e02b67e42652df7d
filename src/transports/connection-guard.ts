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

export interface ConnectionGuardInit {
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
export interface GuardedConnection {
  /** Who is at the other end, as far as is known. */
  remote: Endpoint
  /** `remote` is a trusted proxy, which may know better. */
  isProxy: boolean
  slot?: ConnectionSlot
}

/** An arrival that nobody has taken yet. */
interface UnclaimedConnection extends GuardedConnection {
  socket: Socket
  /** What it is found by; undefined once it was taken. */
  key: Key | undefined
}

export interface ConnectionGuard {
  /** From now on the server is given only the connections that are let in. */
  protect (server: Server): void
  /**
   * Hands a connection over to whoever makes a link of it. Once only.
   *
   * @param socket the one that the server was given, or the TLS socket over it
   * @returns undefined when the connection has ended meanwhile
   */
  claim (socket: Socket): GuardedConnection | undefined
  /** Who is at the other end of a connection that nobody has taken, as far as is known. */
  remoteOf (socket: Socket): Endpoint
  /**
   * Corrects `remote` by what a trusted proxy wrote into its request.
   *
   * @param forwardedFor the header `X-Forwarded-For`, of whomever
   * @returns false when the limiter has too many from there; then the connection is to be ended
   */
  applyForwardedFor (connection: GuardedConnection, forwardedFor: string | string[] | undefined): boolean
  /** Ends the connections that nobody has taken. */
  close (): void
}

/** What a listener gives out: a link that knows who is at the other end, also behind a trusted proxy. */
export interface ConnectionInfo {
  /** The port is 0 when a proxy does not tell it. */
  readonly remote: Endpoint
  /** Path and query of the request, as sent, where there was one. */
  readonly path?: string
  /** Of a listener with a limiter. Whoever serves the link establishes it, and may put a way of its own to end it there. */
  readonly slot?: ConnectionSlot
}

export const endpointOf = (socket: Socket): Endpoint => ({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })

/** Where everybody is let in and nobody is believed: it costs nothing. */
const UNGUARDED: ConnectionGuard = {
  protect () {},
  claim: (socket) => ({ remote: endpointOf(socket), isProxy: false }),
  remoteOf: endpointOf,
  applyForwardedFor: () => true,
  close () {}
}

/** Makes the link of an arrival one that was accepted. From now on the limiter ends it as a link is ended. */
export function accepted<L extends AnyLink> (link: L, { remote, path, slot }: ConnectionInfo): L & ConnectionInfo {
  if (slot !== undefined) slot.evict = () => { link.abort(new LinkClosedError('made room for a newer connection')) }
  return Object.assign(link, path === undefined ? { remote, slot } : { remote, path, slot })
}

/** Layers over a link that was accepted: what they make of it tells the same of the connection, and is what the limiter ends. */
export function overAccepted<Wire extends AnyLink & ConnectionInfo, Upper extends AnyLink> (link: Wire, layers: Layer<Wire, Upper>): Upper & ConnectionInfo {
  return accepted(layers(link), link)
}

/** Throws `OptionError` for proxies that are no addresses, and for a timeout that cannot be. */
export function connectionGuard ({ limiter, trustedProxies = [], handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT, log = silent, clock = systemClock }: ConnectionGuardInit): ConnectionGuard {
  verifyMilliseconds('handshakeTimeout', handshakeTimeout)
  return limiter === undefined && trustedProxies.length === 0 ? UNGUARDED : new SocketGuard({ limiter, trustedProxies, handshakeTimeout, log, clock })
}

/** The socket, or {@link addressesOf} where TLS hands over a socket of its own. */
type Key = Socket | string

/** Tells the live connections of a listener apart: it is what a socket and the TLS socket over it have in common. */
const addressesOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string => `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

class SocketGuard implements ConnectionGuard {
  readonly #limiter: ConnectionLimiter | undefined
  readonly #trusted: CidrList
  readonly #timeout: number
  readonly #clock: Clock
  readonly #malformed: (what: { err: Error, remote: Endpoint }) => void
  readonly #unclaimed = new Map<Key, UnclaimedConnection>()
  #isSecure = false

  constructor ({ limiter, trustedProxies, handshakeTimeout, log, clock }: Required<Omit<ConnectionGuardInit, 'limiter'>> & Pick<ConnectionGuardInit, 'limiter'>) {
    this.#limiter = limiter
    this.#trusted = new CidrList('trustedProxies', trustedProxies)
    this.#timeout = handshakeTimeout
    this.#clock = clock
    this.#malformed = throttle(({ err, remote }, count) => { log.warn({ err, remote, count }, 'malformed PROXY headers') }, { clock })
  }

  protect (server: Server): void {
    // Node's servers do their work in a listener of this event, which may be emitted by others than the system.
    const serve = server.listeners('connection') as Array<(socket: Socket) => void>
    server.removeAllListeners('connection')
    this.#isSecure = server instanceof TlsServer
    server.on('connection', (socket: Socket) => {
      this.#admit(socket, () => { for (const each of serve) each.call(server, socket) })
    })
  }

  claim (socket: Socket): GuardedConnection | undefined {
    const key = this.#keyOf(socket)
    const connection = this.#unclaimed.get(key)
    if (connection === undefined) return undefined
    this.#unclaimed.delete(key)
    connection.key = undefined
    return connection
  }

  applyForwardedFor (connection: GuardedConnection, forwardedFor: string | string[] | undefined): boolean {
    if (!connection.isProxy || forwardedFor === undefined) return true
    return this.#setRemote(connection, forwardedSource(String(forwardedFor), connection.remote, this.#trusted))
  }

  close (): void {
    for (const { socket } of this.#unclaimed.values()) socket.destroy()
  }

  remoteOf (socket: Socket): Endpoint { return this.#unclaimed.get(this.#keyOf(socket))?.remote ?? endpointOf(socket) }

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
    const connection: UnclaimedConnection = { socket, key, remote, isProxy, slot }
    this.#unclaimed.get(key)?.socket.destroy() // the system would not give the same ends to another while it lives
    this.#unclaimed.set(key, connection)
    socket.on('close', this.#onClose(connection))
    if (!isProxy) serve()
    else readProxyHeader(socket, this.#timeout, (outcome) => { this.#onProxyHeader(connection, outcome, serve) }, this.#clock)
  }

  /** A function of its own: what stays with the connection keeps only what it needs. */
  #onClose (connection: UnclaimedConnection): () => void {
    return () => {
      connection.slot?.release()
      if (connection.key !== undefined && this.#unclaimed.get(connection.key) === connection) this.#unclaimed.delete(connection.key)
    }
  }

  #keyOf (socket: Socket): Key { return this.#isSecure ? addressesOf(socket) : socket }

  #onProxyHeader (connection: UnclaimedConnection, outcome: ProxyHeader | 'none' | Error, serve: () => void): void {
    const { socket, remote } = connection
    if (outcome instanceof Error) {
      if (outcome instanceof ProxyHeaderError) this.#malformed({ err: outcome, remote })
      socket.destroy()
    } else if (outcome !== 'none' && outcome.source !== undefined && !this.#setRemote(connection, outcome.source)) {
      socket.destroy()
    } else {
      serve()
    }
  }

  /** The connection comes from there. False when there are too many of those. */
  #setRemote (connection: GuardedConnection, remote: Endpoint): boolean {
    connection.remote = remote
    connection.isProxy = this.#trusted.includes(remote.host)
    // Another trusted proxy stands for many as well, so it is not bounded as one source.
    return connection.isProxy || connection.slot?.setSource(remote.host) !== false
  }
}
