/** TCP: the transport with nothing around the bytes. */
import { connect, createServer, type Socket } from 'node:net'
import { acceptQueue, serverListener } from './acceptor.ts'
import { opened } from './connecting.ts'
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
  /** Told when the system refuses to accept connections (too many open files). Default: silent. */
  log?: Logger
}

export const endpointOf = (socket: Socket): Endpoint => ({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })

export const wireLink = (socket: Socket, init?: StreamLinkInit): WireLink => Object.assign(streamLink(socket, init), { remote: endpointOf(socket) })

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

/** Listens on a TCP port. Throws `OptionError` for a bound that cannot be. */
export function listenTcp ({ host, port, queueLimit = DEFAULT_QUEUE_LIMIT, log }: ListenInit): Listener<WireLink> {
  verifyBytes('queueLimit', queueLimit)
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (!queue.offer(wireLink(socket, { queueLimit }))) socket.destroy()
  })
  const queue = acceptQueue<WireLink>(() => { server.close() })
  const listener = serverListener(server, queue, log)
  server.listen({ host, port })
  return listener
}

export const tcp: Transport = { capabilities: { halfClose: true }, dial: dialTcp, listen: listenTcp }
