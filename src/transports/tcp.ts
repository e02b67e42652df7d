/** The TCP transport: bytes without framing. */
import { connect, createServer, isIPv6, type Socket, type TcpSocketConnectOpts } from 'node:net'
import { acceptQueue, serverListener, type AcceptQueue } from './acceptor.ts'
import { DialTimeoutError } from './connecting.ts'
import { accepted, endpointOf, connectionGuard, type ConnectionInfo, type ConnectionGuard } from './connection-guard.ts'
import type { ProtocolMismatch } from './first-read.ts'
import type { ConnectionLimiter } from '../limits/connection-limiter.ts'
import { race, type Lookup } from './happy-eyeballs.ts'
import { DEFAULT_QUEUE_LIMIT, streamLink, type StreamLinkInit } from './stream-link.ts'
import { OptionError } from '../errors.ts'
import { systemClock } from '../streams/clock.ts'
import type { Logger } from '../log.ts'
import { verifyBytes, verifyMilliseconds, verifyPort } from '../options.ts'
import type { Address, Clock, Endpoint, Link, Listener, Transport } from '../types.ts'

/** A link of a wire transport, with the address of its other end. */
export interface WireLink extends Link {
  readonly remote: Endpoint
}

/** A TCP connection, with the addresses of both ends. */
export interface TcpLink extends WireLink {
  readonly local: Endpoint
}

/** Options of sockets. */
export interface SocketInit extends StreamLinkInit {
  /**
   * Milliseconds of silence until the first keep-alive probe. Ten probes follow, one per second, then the connection ends with `ETIMEDOUT`:
   * detects a lost machine or path while nothing is sent. 1000 to 32,767,000, in whole seconds for the system. Default: no keep-alive.
   */
  keepAlive?: number
  /** Default: that of the system. */
  clock?: Clock
}

/** Options of {@link listenTcp}. */
export interface ListenInit extends SocketInit {
  /** The local address. Default: all of them. */
  host?: string
  /** 0 takes a free one. */
  port: number
  /** Bounds connections, from when the system has accepted them until they end. Default: no bounds. */
  limiter?: ConnectionLimiter
  /**
   * Addresses and CIDRs of trusted proxies. Only from these is a PROXY header (version 1 or 2) accepted, and `X-Forwarded-For` in a
   * WebSocket request. The proxy has to send its first bytes before it is answered. Default: none.
   */
  trustedProxies?: readonly string[]
  /** Milliseconds for each step before there is a link: PROXY header, TLS, the whole request of a WebSocket client. Default: 10 s. */
  handshakeTimeout?: number
  /** Called when the system cannot accept connections (too many open files), and for malformed PROXY headers. Default: silent. */
  log?: Logger
  /**
   * Called for connections that speak another protocol than the listener: on a TLS port everything that does not begin with TLS, which is
   * answered with an alert; on a WebSocket port what is not HTTP, and HTTP without an upgrade to WebSocket. Not used by plain TCP.
   */
  onProtocolMismatch?: (mismatch: ProtocolMismatch) => void
}

/** A link that a listener has accepted. */
export interface AcceptedLink extends Link, ConnectionInfo {
  /** The local address and port of the connection. */
  readonly local: Endpoint
}

/** `remote` is rarely read and costs a system call, so it is looked up at the first access. */
export function wireLink (socket: Socket, init?: StreamLinkInit): TcpLink {
  let remote: Endpoint | undefined
  return Object.defineProperty(streamLink(socket, init), 'remote', { get: () => (remote ??= endpointOf(socket)) }) as TcpLink
}

/** Makes a link of a connection and queues it to be accepted. Ends the connection when it has ended already, or when the queue is full. */
export function acceptSocket (socket: Socket, guard: ConnectionGuard, queue: AcceptQueue<AcceptedLink>, init: SocketInit): void {
  const connection = guard.claim(socket)
  if (connection === undefined) {
    socket.destroy()
    return
  }
  keepAlive(socket, init)
  const link = accepted(streamLink(socket, init), connection) as AcceptedLink // that of a socket has its local address
  if (!queue.offer(link)) socket.destroy()
}

/** The range of the system in milliseconds. Outside of it Node silently keeps the default of two hours. */
const KEEP_ALIVE = { least: 1000, most: 0x7fff * 1000 } as const

/** Milliseconds before keep-alive is set: most connections have ended by then. */
const YOUNG_TIME = 500

/** Sockets on which keep-alive is not set yet, and its milliseconds. Closed ones go at once: memory that is kept for a moment costs more than it takes. */
const young = new Map<Socket, number>()

/** One timer for all of them is set. */
let isTimed = false

function forget (this: Socket): void { young.delete(this) }

/** Sets keep-alive on a socket, after a delay by the system clock, as keep-alive itself is timed by the system. */
export function keepAlive (socket: Socket, { keepAlive }: SocketInit): void {
  if (keepAlive === undefined) return
  young.set(socket, keepAlive)
  socket.once('close', forget)
  if (isTimed) return
  isTimed = true
  systemClock.set(YOUNG_TIME, () => {
    isTimed = false
    for (const [socket, silence] of young) if (!socket.destroyed) socket.setKeepAlive(true, silence)
    young.clear()
  }).unref()
}

/** @throws {OptionError} when an option is out of range */
export function verifySocket ({ queueLimit = DEFAULT_QUEUE_LIMIT, keepAlive }: SocketInit): void {
  verifyBytes('queueLimit', queueLimit)
  if (keepAlive === undefined) return
  const { least, most } = KEEP_ALIVE
  if (!Number.isInteger(keepAlive) || keepAlive < least || keepAlive > most) throw new OptionError(`keepAlive is a whole number of milliseconds, ${least} to ${most}, not ${String(keepAlive)}`)
}

/** How a name is resolved. */
export interface DialInit {
  /** Default: that of the system. */
  lookup?: Lookup
}

/** From where a TCP connection is made. */
export interface LocalInit {
  /** The local address, of the same family. Default: the one that leads there. */
  localHost?: string
  /** The local port. Default: a free one. */
  localPort?: number
  /**
   * Others that say so as well may have the same local port, with another remote address; a listener may take it later, after which there is
   * no further dial from there. For two hosts behind NATs that connect to each other. Default: false.
   */
  sharesPort?: boolean
}

/**
 * Connects to a TCP port. The addresses of a name race (RFC 8305).
 *
 * @param init.timeout milliseconds, for the look-up and for each address; cheaper than a signal. Default: those of the system
 * @throws {OptionError} when an option is out of range; else a system error (`ECONNREFUSED`, `ENOTFOUND`, ...), {@link DialTimeoutError},
 *   or the reason of the signal
 */
export async function dialTcp ({ host, port, signal, timeout, lookup, localHost, localPort, sharesPort, ...init }: Address & SocketInit & DialInit & LocalInit & { timeout?: number }): Promise<TcpLink> {
  verifySocket(init)
  if (timeout !== undefined) verifyMilliseconds('timeout', timeout)
  if (localPort !== undefined) verifyPort('localPort', localPort)
  const { socket } = await race({
    to: { host, port },
    open: (address) => connect({ ...address, ...localOf(address.host, { localHost, localPort, sharesPort }), noDelay: true, allowHalfOpen: true }),
    signal,
    clock: init.clock,
    limit: timeout === undefined ? undefined : { milliseconds: timeout, clock: init.clock, error: () => new DialTimeoutError(`no connection within ${timeout} ms`) },
    lookup
  })
  keepAlive(socket, init)
  return wireLink(socket, init)
}

/** A port that the system gives while it connects belongs to that connection alone; one that was bound before can be shared. */
function localOf (remote: string, { localHost, localPort, sharesPort = false }: LocalInit): Pick<TcpSocketConnectOpts, 'localAddress' | 'localPort'> {
  const localAddress = localHost ?? (sharesPort ? (isIPv6(remote) ? '::' : '0.0.0.0') : undefined)
  return { ...(localAddress !== undefined && { localAddress }), ...(localPort !== undefined && { localPort }) }
}

/**
 * Listens on a TCP port.
 *
 * @throws {OptionError} when an option is out of range
 */
export function listenTcp ({ host, port, ...init }: ListenInit): Listener<AcceptedLink> {
  verifySocket(init)
  const { log, clock } = init
  const guard = connectionGuard(init)
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => { acceptSocket(socket, guard, queue, init) })
  guard.protect(server)
  const queue = acceptQueue<AcceptedLink>(() => {
    server.close()
    guard.close()
  })
  const listener = serverListener(server, queue, log, clock)
  server.listen({ host, port })
  return listener
}

/** TCP as a transport. */
export const tcp: Transport = { capabilities: { halfClose: true }, dial: dialTcp, listen: listenTcp }
