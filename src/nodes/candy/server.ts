/** A candy relay on a port. */
import { CandyRelay, DEFAULT_MAX_CONNECTIONS, type CandyRelayInit } from './relay.ts'
import { MAX_LENGTH } from './messages.ts'
import { OptionError } from '../../errors.ts'
import { Gate } from '../../transports/gate.ts'
import { listenWebSocket } from '../../transports/websocket.ts'
import type { TlsServerInit } from '../../transports/tls.ts'
import type { WebSocketFramesInit } from '../../transforms/websocket-frames/index.ts'

/** What the frame layer of a candy relay allows: one message of at most 1500 bytes (candy protocol, section 1.1), and a second to say goodbye. */
export const RELAY_FRAMES: Omit<WebSocketFramesInit, 'role'> = { maxPayload: MAX_LENGTH, closeTimeout: 1000 }

/** Connections that are no WebSocket yet; and as many besides those of the relay that are one, or are being closed. */
const UPGRADING = 4096

export interface CandyServerInit extends CandyRelayInit {
  /** `ws://host:port`, or `wss://host:port` together with `tls`; port 0 takes a free one. */
  listen: string
  tls?: TlsServerInit
}

export interface CandyServer {
  /** With the port that is really in use. */
  readonly url: string
  readonly relay: CandyRelay
  /** Stops listening, says goodbye to all clients, and settles when they are gone. */
  close (): Promise<void>
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option cannot work; what the system says (`EADDRINUSE`, `EACCES`, ...) when it cannot listen
 */
export async function serveCandy ({ listen, tls, ...init }: CandyServerInit): Promise<CandyServer> {
  const { protocol, hostname, port } = listenUrl(listen)
  if ((protocol === 'wss:') !== (tls !== undefined)) throw new OptionError('wss:// and tls go together')
  const relay = new CandyRelay(init)
  try {
    const maxConnections = (init.maxConnections ?? DEFAULT_MAX_CONNECTIONS) + UPGRADING
    const listener = listenWebSocket({
      host: hostname.replace(/^\[|\]$/g, ''),
      port,
      tls,
      frames: { ...RELAY_FRAMES, tolerate: { unmasked: init.lenient } },
      log: init.log,
      gate: new Gate({ perSource: maxConnections, maxHalfOpen: UPGRADING, maxConnections })
    })
    const accepting = (async () => {
      for await (const link of listener) {
        link.pass?.establish() // from here on the relay has bounds of its own
        void relay.accept(link, link.remote)
      }
    })()
    accepting.catch(() => {}) // told by `port` below
    return {
      url: `${protocol}//${hostname}:${await listener.port()}`,
      relay,
      async close () {
        listener.close()
        await Promise.all([relay.close(), accepting])
      }
    }
  } catch (err) {
    await relay.close()
    throw err
  }
}

function listenUrl (text: string): { protocol: string, hostname: string, port: number } {
  const parts = /^(wss?:)\/\/(\[[0-9a-f:.]+\]|[^\s/:?#@[\]]+)(?::(\d{1,5}))?\/?$/i.exec(text)
  if (parts === null) throw new OptionError(`listen has the form ws://host:port, not ${text}`)
  const [, scheme, hostname, given] = parts
  const protocol = scheme.toLowerCase()
  const port = given ?? (protocol === 'ws:' ? '80' : '443')
  if (Number(port) > 65_535) throw new OptionError(`listen: port ${port} is over 65535`)
  return { protocol, hostname, port: Number(port) }
}
