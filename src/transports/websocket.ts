/** The WebSocket transport: an HTTP upgrade, then the layer `websocketFrames`. */
import type { TlsListener } from './certificate.ts'
import { overAccepted, type ConnectionInfo } from './connection-guard.ts'
import { dialUpgraded, listenUpgraded, type DialUpgradedInit, type ListenUpgradedInit, type UpgradedLink } from './upgrade.ts'
import type { SocketInit } from './tcp.ts'
import { websocketFrames, type WebSocketFramesInit, type WebSocketLink } from '../transforms/websocket-frames/index.ts'
import { endpointText } from '../net/endpoint.ts'
import { over } from '../layer.ts'
import type { Endpoint, Transport } from '../types.ts'

/** A message link, with the address of its other end. */
export interface WebSocketWireLink extends WebSocketLink {
  readonly remote: Endpoint
}

/** An accepted link, with the path of its request. */
export interface AcceptedWebSocket extends WebSocketLink, ConnectionInfo {
  /** Path and query of the request, as sent. */
  readonly path: string
}

/** Options of both ends of a WebSocket. */
export interface WebSocketInit extends SocketInit {
  /** Options of the frame layer. */
  frames?: Omit<WebSocketFramesInit, 'role'>
}

/** Options of {@link dialWebSocket}. */
export interface DialWebSocketInit extends WebSocketInit, DialUpgradedInit {}

/** Options of {@link listenWebSocket}. */
export interface ListenWebSocketInit extends WebSocketInit, ListenUpgradedInit {}

/** `dialUpgraded` with the layer over it. */
export async function dialWebSocket (url: string | URL, { frames, ...init }: DialWebSocketInit = {}): Promise<WebSocketWireLink> {
  const layer = websocketFrames({ clock: init.clock, ...frames, role: 'client' })
  const link = await dialUpgraded(url, init)
  return Object.assign(over(link, layer), { remote: link.remote })
}

/** `listenUpgraded` with the layer over each link. */
export function listenWebSocket ({ frames, ...init }: ListenWebSocketInit): TlsListener<AcceptedWebSocket> {
  const layer = websocketFrames({ clock: init.clock, ...frames, role: 'server' })
  const listener = listenUpgraded(init)
  return {
    ...listener,
    async * [Symbol.asyncIterator] () {
      for await (const link of listener) yield overAccepted<UpgradedLink, WebSocketLink>(link, layer) as AcceptedWebSocket
    }
  }
}

/** The WebSocket transport as one object, for programs that choose a transport by name. */
export const websocket: Transport = {
  capabilities: { halfClose: false },
  dial: ({ host, port, signal }) => dialWebSocket(`ws://${endpointText({ host, port })}/`, { signal }),
  listen: (at) => listenWebSocket(at)
}
