/** TCP: the transport with nothing around the bytes. */
import { connect, createServer, type Socket } from 'node:net'
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
import { verifyBytes, verifyMilliseconds } from '../options.ts'
import type { Address, Clock, Endpoint, Link, Listener, Transport } from '../types.ts'

/** A link of a wire transport: it knows who is at the other end. */
export interface WireLink extends Link {
  readonly remote: Endpoint
}

export interface SocketInit extends StreamLinkInit {
  /**
   * Milliseconds of silence after which the system asks the other end for a sign of life, ten times in ten seconds, and then
   * ends the connection with `ETIMEDOUT`. It notices a machine that is gone, or a path, while nothing is being sent. At least
   * 1000, and at most 32,767,000; the system counts in whole seconds. Default: it never asks.
   */
  keepAlive?: number
  /** Default: that of the system. */
  clock?: Clock
}

export interface ListenInit extends SocketInit {
  /** The local address. Default: all of them. */
  host?: string
  /** 0 takes a free one. */
  port: number
  /** Who is let in, from when the system has accepted the connection until its end. Default: everybody. */
  limiter?: ConnectionLimiter
  /**
   * Addresses and CIDRs of proxies. What they say of a connection is believed, and of nobody else: a PROXY header (version 1 or
   * 2) in front of it, and `X-Forwarded-For` in the request of a WebSocket. Such a proxy has to say something before it is
   * answered. Default: none.
   */
  trustedProxies?: readonly string[]
  /** Milliseconds for each step before there is a link: PROXY header, TLS, the whole request of a WebSocket client. Default: 10 s. */
  handshakeTimeout?: number
  /** Told when the system refuses to accept connections (too many open files), and of malformed PROXY headers. Default: silent. */
  log?: Logger
  /**
   * Told of connections that speak another protocol than the one that is listened for: on a TLS port all that does not begin with TLS, and
   * is answered with an alert; for a WebSocket what is no HTTP, and HTTP that asks for no WebSocket. Not used by plain TCP.
   */
  onProtocolMismatch?: (mismatch: ProtocolMismatch) => void
}

/** A link that a listener has accepted. */
export interface AcceptedLink extends Link, ConnectionInfo {
  /** The address and port of this machine that was connected to. */
  readonly local: Endpoint
}

/** Where it leads to is asked for seldom, and a question to the system; the answer is kept. */
export function wireLink (socket: Socket, init?: StreamLinkInit): WireLink {
  let remote: Endpoint | undefined
  return Object.defineProperty(streamLink(socket, init), 'remote', { get: () => (remote ??= endpointOf(socket)) }) as WireLink
}

/** Makes a link of a connection and offers it to whoever accepts; ends it when it has ended, or is one too many. */
export function acceptSocket (socket: Socket, guard: ConnectionGuard, queue: AcceptQueue<AcceptedLink>, init: SocketInit): void {
  const connection = guard.claim(socket)
  if (connection === undefined) {
    socket.destroy()
    return
  }
  keepAlive(socket, init)
  const link = accepted(streamLink(socket, init), connection)
  // Asked for seldom, and a question to the system.
  Object.defineProperty(link, 'local', { get: () => ({ host: socket.localAddress ?? '', port: socket.localPort ?? 0 }) })
  if (!queue.offer(link as AcceptedLink)) socket.destroy()
}

/** What the system takes, in milliseconds. For less, and for more, Node would leave it at two hours without a word. */
const KEEP_ALIVE = { least: 1000, most: 0x7fff * 1000 } as const

/** Milliseconds. Most connections are gone by then, and need not be told. */
const YOUNG_TIME = 500

/** Sockets to which it is done when they have come of age. */
let young: Array<[Socket, number]> = []

/** Does for a socket what its options say, a moment later: by the clock of the system, as the system counts on. */
export function keepAlive (socket: Socket, { keepAlive }: SocketInit): void {
  if (keepAlive === undefined || young.push([socket, keepAlive]) > 1) return
  systemClock.set(YOUNG_TIME, () => {
    const grown = young
    young = []
    for (const [socket, silence] of grown) if (!socket.destroyed) socket.setKeepAlive(true, silence)
  }).unref()
}

/** Throws `OptionError` for those that cannot be. */
export function verifySocket ({ queueLimit = DEFAULT_QUEUE_LIMIT, keepAlive }: SocketInit): void {
  verifyBytes('queueLimit', queueLimit)
  if (keepAlive === undefined) return
  const { least, most } = KEEP_ALIVE
  if (!Number.isInteger(keepAlive) || keepAlive < least || keepAlive > most) throw new OptionError(`keepAlive is a whole number of milliseconds, ${least} to ${most}, not ${String(keepAlive)}`)
}

/** How the addresses of a name are found and tried. */
export interface DialInit {
  /** Default: that of the system. */
  lookup?: Lookup
}

/**
 * Connects to a TCP port. The addresses of a name race (RFC 8305).
 *
 * @param init.timeout milliseconds, for the look-up of a name and for each of its addresses; it costs less than a signal that does
 *   the same. Default: those of the system
 * @throws {OptionError} for a bound that cannot be; else what the system says (`ECONNREFUSED`, `ENOTFOUND`, ...),
 *   {@link DialTimeoutError}, or the reason of the signal
 */
export async function dialTcp ({ host, port, signal, timeout, lookup, ...init }: Address & SocketInit & DialInit & { timeout?: number }): Promise<WireLink> {
  verifySocket(init)
  if (timeout !== undefined) verifyMilliseconds('timeout', timeout)
  const { socket } = await race({
    to: { host, port },
    open: (address) => connect({ ...address, noDelay: true, allowHalfOpen: true }),
    signal,
    clock: init.clock,
    limit: timeout === undefined ? undefined : { milliseconds: timeout, clock: init.clock, error: () => new DialTimeoutError(`no connection within ${timeout} ms`) },
    lookup
  })
  keepAlive(socket, init)
  return wireLink(socket, init)
}

/** Listens on a TCP port. Throws `OptionError` for options that cannot be. */
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

export const tcp: Transport = { capabilities: { halfClose: true }, dial: dialTcp, listen: listenTcp }
