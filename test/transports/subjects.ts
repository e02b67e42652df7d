/** The wire transports, for suites that all of them have to pass. */
import type { Subject } from './contract.ts'
import { ca, cert, key } from '../helpers/certificates.ts'
import { rawTcp, rawTls, upgrade } from '../helpers/raw-sockets.ts'
import { dialTcp, listenTcp, tcp, type ListenInit } from '../../src/transports/tcp.ts'
import { dialTls, listenTls, tls } from '../../src/transports/tls.ts'
import { dialWebSocket, listenWebSocket, websocket } from '../../src/transports/websocket.ts'

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
