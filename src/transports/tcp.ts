/** TCP: the transport with nothing around the bytes. */
import { connect, createServer, type Socket } from 'node:net'
import { acceptQueue, serverListener } from './acceptor.ts'
import { opened } from './connecting.ts'
import { streamLink, type StreamLinkInit } from './stream-link.ts'
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
}

export const endpointOf = (socket: Socket): Endpoint => ({ host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 })

export const wireLink = (socket: Socket, init?: StreamLinkInit): WireLink => Object.assign(streamLink(socket, init), { remote: endpointOf(socket) })

/**
 * Connects to a TCP port.
 *
 * @throws what the system says (`ECONNREFUSED`, `ENOTFOUND`, ...), or the reason of the signal
 */
export async function dialTcp ({ host, port, signal, ...init }: Address & StreamLinkInit): Promise<WireLink> {
  return wireLink(await opened(connect({ host, port, noDelay: true, allowHalfOpen: true }), 'connect', signal), init)
}

/** Listens on a TCP port. */
export function listenTcp ({ host, port, ...init }: ListenInit): Listener<WireLink> {
  const server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => {
    if (!queue.offer(wireLink(socket, init))) socket.destroy()
  })
  const queue = acceptQueue<WireLink>(() => { server.close() })
  const listener = serverListener(server, queue)
  server.listen({ host, port })
  return listener
}

export const tcp: Transport = { capabilities: { halfClose: true }, dial: dialTcp, listen: listenTcp }
