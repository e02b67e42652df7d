/**
 * Checks each connection before it is used: the connection limiter, and the client address behind a trusted proxy. Shared by TCP, TLS and
 * WebSocket.
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
  /** Milliseconds for the PROXY header of a trusted proxy. Default: 10 s. */
  handshakeTimeout?: number
  /** Called for malformed headers: `err` and `remote` of the last one, and `count`, how many. Default: silent. */
  log?: Logger
  /** Default: that of the system. */
  clock?: Clock
}

/** Default of every `handshakeTimeout`, in milliseconds. */
export const DEFAULT_HANDSHAKE_TIMEOUT = 10_000

/** An admitted connection. */
export interface GuardedConnection {
  /** The client, as far as known. */
  remote: Endpoint
  /** `remote` is a trusted proxy, which may report the client later. */
  isProxy: boolean
  slot?: ConnectionSlot
}

/** An admitted connection that was not claimed yet. */
interface UnclaimedConnection extends GuardedConnection {
  socket: Socket
  /** Its key in the table; undefined once claimed. */
  key: Key | undefined
}

export interface ConnectionGuard {
  /** From now on the server gets only admitted connections. */
  protect (server: Server): void
  /**
   * Hands a connection over to the code that makes a link of it. Once only.
   *
   * @param socket the one that the server got, or the TLS socket over it
   * @returns undefined when the connection has ended meanwhile
   */
  claim (socket: Socket): GuardedConnection | undefined
  /** The client of an unclaimed connection, as far as known. */
  remoteOf (socket: Socket): Endpoint
  /**
   * Sets `remote` from the header of a trusted proxy.
   *
   * @param forwardedFor the header `X-Forwarded-For`; ignored from other senders
   * @returns false when the limiter has too many connections of that source; then the caller has to end this one
   */
  applyForwardedFor (connection: GuardedConnection, forwardedFor: string | string[] | undefined): boolean
  /**
   * Sets `remote` to a client that a header names in another way: from trusted proxies, or from anyone where there are none. Those count as
   * before then, as anyone can name any client.
   *
   * @returns as `applyForwardedFor`
   */
  applyClient (connection: GuardedConnection, host: string | undefined): boolean
  /** Ends the unclaimed connections. */
  close (): void
}

/** Of an accepted link: where it comes from, also behind a trusted proxy. */
export interface ConnectionInfo {
  /** The port is 0 when a proxy does not report it. */
  readonly remote: Endpoint
  /** Path and query of the request, as sent; only for WebSocket. */
  readonly path?: string
  /** Only of a listener with a limiter. The code that serves the link calls its `establish`, and may set its own `evict`. */
  readonly slot?: ConnectionSlot
}

export const endpointOf = (socket: Socket): Endpoint => ({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })

/** For listeners without limiter and proxies: it costs nothing. */
const UNGUARDED: ConnectionGuard = {
  protect () {},
  claim: (socket) => ({ remote: endpointOf(socket), isProxy: false }),
  remoteOf: endpointOf,
  applyForwardedFor: () => true,
  applyClient (connection, host) {
    if (host !== undefined) connection.remote = { host, port: 0 }
    return true
  },
  close () {}
}

/** Makes an accepted link. From now on eviction aborts the link. */
export function accepted<L extends AnyLink> (link: L, { remote, path, slot }: ConnectionInfo): L & ConnectionInfo {
  if (slot !== undefined) slot.evict = () => { link.abort(new LinkClosedError('made room for a newer connection')) }
  return Object.assign(link, path === undefined ? { remote, slot } : { remote, path, slot })
}

/** Applies layers to an accepted link, and keeps its connection info. Eviction aborts the upper link. */
export function overAccepted<Wire extends AnyLink & ConnectionInfo, Upper extends AnyLink> (link: Wire, layers: Layer<Wire, Upper>): Upper & ConnectionInfo {
  return accepted(layers(link), link)
}

/** @throws {OptionError} for malformed proxy addresses, and for a time-out that is out of range */
export function connectionGuard ({ limiter, trustedProxies = [], handshakeTimeout = DEFAULT_HANDSHAKE_TIMEOUT, log = silent, clock = systemClock }: ConnectionGuardInit): ConnectionGuard {
  verifyMilliseconds('handshakeTimeout', handshakeTimeout)
  return limiter === undefined && trustedProxies.length === 0 ? UNGUARDED : new SocketGuard({ limiter, trustedProxies, handshakeTimeout, log, clock })
}

/** The socket, or {@link addressesOf} where TLS makes its own socket. */
type Key = Socket | string

/** Identifies a live connection of a listener: the same for a socket and the TLS socket over it. */
const addressesOf = ({ remoteAddress, remotePort, localAddress, localPort }: Socket): string => `${remoteAddress} ${remotePort} ${localAddress} ${localPort}`

class SocketGuard implements ConnectionGuard {
  readonly #limiter: ConnectionLimiter | undefined
  readonly #trusted: CidrList
  readonly #hasProxies: boolean
  readonly #timeout: number
  readonly #clock: Clock
  readonly #malformed: (what: { err: Error, remote: Endpoint }) => void
  readonly #unclaimed = new Map<Key, UnclaimedConnection>()
  #isSecure = false

  constructor ({ limiter, trustedProxies, handshakeTimeout, log, clock }: Required<Omit<ConnectionGuardInit, 'limiter'>> & Pick<ConnectionGuardInit, 'limiter'>) {
    this.#limiter = limiter
    this.#trusted = new CidrList('trustedProxies', trustedProxies)
    this.#hasProxies = trustedProxies.length > 0
    this.#timeout = handshakeTimeout
    this.#clock = clock
    this.#malformed = throttle(({ err, remote }, count) => { log.warn({ err, remote, count }, 'malformed PROXY headers') }, { clock })
  }

  protect (server: Server): void {
    // Node's servers handle connections in a listener of this event, which may be emitted by other code as well.
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

  applyClient (connection: GuardedConnection, host: string | undefined): boolean {
    if (!this.#hasProxies) return UNGUARDED.applyClient(connection, host)
    return !connection.isProxy || host === undefined || this.#setRemote(connection, { host, port: 0 })
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
    this.#unclaimed.get(key)?.socket.destroy() // the system does not reuse the address pair of a live socket
    this.#unclaimed.set(key, connection)
    socket.on('close', this.#onClose(connection))
    if (!isProxy) serve()
    else readProxyHeader(socket, this.#timeout, (outcome) => { this.#onProxyHeader(connection, outcome, serve) }, this.#clock)
  }

  /** A separate function, as the closure stays with the connection and keeps everything in its scope alive. */
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

  /** Sets the client. False when its source has too many connections. */
  #setRemote (connection: GuardedConnection, remote: Endpoint): boolean {
    connection.remote = remote
    connection.isProxy = this.#trusted.includes(remote.host)
    // Another trusted proxy stands for many clients as well, so it is not bounded as one source.
    return connection.isProxy || connection.slot?.setSource(remote.host) !== false
  }
}
