/** TCP: the transport with nothing around the bytes. */
import { connect, createServer, type Socket } from 'node:net'
import { acceptQueue, serverListener, type AcceptQueue } from './acceptor.ts'
import { opened } from './connecting.ts'
import { accepted, endpointOf, entrance, type Accepted, type Entrance } from './entrance.ts'
import type { Gate } from './gate.ts'
import { DEFAULT_QUEUE_LIMIT, streamLink, type StreamLinkInit } from './stream-link.ts'
import type { Logger } from '../log.ts'
import { verifyBytes } from '../options.ts'
import type { Address, Endpoint, Link, Listener, Transport } from '../types.ts'

/** A link of a wire transport: it knows who is at the other end. */
export interface WireLink extends Link {
  readonly remote: Endpoint
}

export interface ListenInit extends StreamLinkInit {
  /** The local address. Default: all of them. */
  host?: string
  /** 0 takes a free one. */
  port: number
  /** Who is let in, from when the system has accepted the connection until its end. Default: everybody. */
  gate?: Gate
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
}

/** A link that a listener has accepted. */
export interface AcceptedLink extends Link, Accepted {}

export const wireLink = (socket: Socket, init?: StreamLinkInit): WireLink => Object.assign(streamLink(socket, init), { remote: endpointOf(socket) })

/** Makes a link of a connection and offers it to whoever accepts; ends it when it has ended, or is one too many. */
export function acceptSocket (socket: Socket, door: Entrance, queue: AcceptQueue<AcceptedLink>, queueLimit: number): void {
  const arrival = door.take(socket)
  if (arrival === undefined || !queue.offer(accepted(streamLink(socket, { queueLimit }), arrival))) socket.destroy()
}

/**
 * Connects to a TCP port.
 *
 * @throws {OptionError} for a bound that cannot be; else what the system says (`ECONNREFUSED`, `ENOTFOUND`, ...), or the
 *   reason of the signal
 */
export async function dialTcp ({ host, port, signal, queueLimit = DEFAULT_QUEUE_LIMIT }: Address & StreamLinkInit): Promise<WireLink> {
  verifyBytes('queueLimit', queueLimit)
  return wireLink(await opened(connect({ host, port, noDelay: true, allowHalfOpen: true }), 'connect', signal), { queueLimit })
}

/** Listens on a TCP port. Throws `OptionError` for options that cannot be. */
export function listenTcp ({ host, port, queueLimit = DEFAULT_QUEUE_LIMIT, log, ...init }: ListenInit): Listener<AcceptedLink> {
  verifyBytes('queueLimit', queueLimit)
  const door = entrance({ ...init, log })
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => { acceptSocket(socket, door, queue, queueLimit) })
  door.guard(server)
  const queue = acceptQueue<AcceptedLink>(() => {
    server.close()
    door.close()
  })
  const listener = serverListener(server, queue, log)
  server.listen({ host, port })
  return listener
}

export const tcp: Transport = { capabilities: { halfClose: true }, dial: dialTcp, listen: listenTcp }
