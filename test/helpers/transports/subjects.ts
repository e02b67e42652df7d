/** The wire transports, for suites that all of them have to pass; and their listeners, for clients that are no links. */
import type { Subject } from './contract.ts'
import { ca, cert, key } from '../certificates.ts'
import { rawTcp, rawTls, upgrade, type RawClient, type RawInit } from '../raw-sockets.ts'
import type { ConnectionInfo } from '../../../src/transports/connection-guard.ts'
import { dialTcp, listenTcp, tcp, type ListenInit } from '../../../src/transports/tcp.ts'
import { dialTls, listenTls, tls } from '../../../src/transports/tls.ts'
import { dialWebSocket, listenWebSocket, websocket } from '../../../src/transports/websocket.ts'
import type { Link, Listener } from '../../../src/types.ts'

const frames = { closeTimeout: 20_000 } // nothing here may depend on it

/** @param common what every listener is given besides */
export const wireSubjects = (common: Partial<ListenInit> = {}): Subject[] => [
  {
    name: 'tcp',
    keepsMessages: false,
    overhead: 0,
    make: (init) => ({ ...tcp, dial: (to) => dialTcp({ ...init, ...to }), listen: (at) => listenTcp({ ...common, ...init, ...at }) }),
    dialRaw: (_transport, port) => rawTcp(port)
  },
  {
    name: 'tls',
    keepsMessages: false,
    overhead: 0,
    make: (init) => ({ ...tls({ cert, key }), dial: (to) => dialTls({ ca, ...init, ...to }), listen: (at) => listenTls({ cert, key, ...common, ...init, ...at }) }),
    dialRaw: (_transport, port) => rawTls(port)
  },
  {
    name: 'websocket',
    keepsMessages: true,
    overhead: 14,
    make: (init) => ({
      ...websocket,
      dial: ({ host, port, signal }) => dialWebSocket(`ws://${host}:${port}`, { frames, signal, ...init }),
      listen: (at) => listenWebSocket({ frames, ...common, ...init, ...at })
    }),
    dialRaw: async (_transport, port) => upgrade(await rawTcp(port))
  },
  {
    name: 'websocket over tls',
    keepsMessages: true,
    overhead: 14,
    make: (init) => ({
      ...websocket,
      dial: ({ host, port, signal }) => dialWebSocket(`wss://${host}:${port}`, { ca, frames, signal, ...init }),
      listen: (at) => listenWebSocket({ frames, tls: { cert, key }, ...common, ...init, ...at })
    }),
    dialRaw: async (_transport, port) => upgrade(await rawTls(port))
  }
]

export interface RawSubject {
  name: 'tcp' | 'tls' | 'ws' | 'wss'
  listen (init: ListenInit): Listener<Link & ConnectionInfo>
  /** The connection of a client below WebSocket, if there is one: it makes the request. */
  connect (port: number, init?: RawInit): Promise<RawClient>
  /** A client as the listener accepts it. */
  dial (port: number, init?: RawInit): Promise<RawClient>
}

export const rawSubjects: RawSubject[] = [
  { name: 'tcp', listen: listenTcp, connect: rawTcp, dial: rawTcp },
  { name: 'tls', listen: (init) => listenTls({ cert, key, ...init }), connect: rawTls, dial: rawTls },
  { name: 'ws', listen: listenWebSocket, connect: rawTcp, dial: async (port, init) => upgrade(await rawTcp(port, init)) },
  { name: 'wss', listen: (init) => listenWebSocket({ tls: { cert, key }, ...init }), connect: rawTls, dial: async (port, init) => upgrade(await rawTls(port, init)) }
]
