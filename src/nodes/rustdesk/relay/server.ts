/** A RustDesk relay on its ports: TCP, and WebSocket on another one. */
import { listenOptions } from './options.ts'
import { proxiedClient } from './proxied-client.ts'
import { RustdeskRelay } from './relay.ts'
import { readRelay, type RustdeskRelayInit, type RustdeskRelayOptions } from './settings.ts'
import type { RustdeskRelayStatus } from './status.ts'
import { withoutCommands } from '../protocol/console-connection.ts'
import { MAX_MESSAGE } from '../protocol/messages.ts'
import type { BindOptions } from '../../common/rebindable-listener.ts'
import { readOptions, type InitOf } from '../../common/options/option.ts'
import { serve, type ConfigureResult, type Served } from '../../common/serve.ts'
import { isLoopback } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { systemClock } from '../../../streams/clock.ts'
import { websocketFrames } from '../../../transforms/websocket-frames/index.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { listenTcp, type AcceptedLink } from '../../../transports/tcp.ts'
import { listenUpgraded, type UpgradedLink } from '../../../transports/upgrade.ts'
import type { Link, ReadAhead } from '../../../types.ts'

/** Where to listen. */
export type RustdeskRelayListenOptions = InitOf<typeof listenOptions>

/** Options that can change at run time. */
export type RustdeskRelayServerOptions = RustdeskRelayOptions & RustdeskRelayListenOptions

/** A RustDesk relay on its ports; `url` is that of TCP. */
export interface RustdeskRelayServer extends Served<RustdeskRelayServerOptions, ConfigureResult, RustdeskRelayStatus & { websocketUrl: string }> {
  readonly relay: RustdeskRelay
  readonly websocketUrl: string
}

/** Bytes read ahead of a busy reader: none before a connection belongs to a pair, and then what the budget of all allows. */
const UNPAIRED: ReadAhead = { limit: 0, waiting () {} }

/** Fragments of one message of WebSocket: browsers cut large ones into many. */
const MAX_FRAGMENTS = 65_536

/** The first byte of the tag of request_relay. */
const TAGS: ReadonlySet<number> = new Set([0x92])

/** All options of {@link serveRustdeskRelay}. */
export type ServeRustdeskRelayInit = RustdeskRelayInit & RustdeskRelayListenOptions & {
  /** Commands from the loopback on the port of TCP. Default: false. */
  console?: boolean
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option is invalid; an error of the system (`EADDRINUSE`, `EACCES`, ...) when it cannot listen, or cannot
 *   read a list of addresses
 */
export async function serveRustdeskRelay ({ console = false, ...init }: ServeRustdeskRelayInit): Promise<RustdeskRelayServer> {
  const { log, clock = systemClock } = init
  const at = readListen(init)
  const relay = new RustdeskRelay(init)
  const close = (): Promise<void> => relay.close()
  const shared = { limiter: relay.limiter, log, clock, onProtocolMismatch: (mismatch: ProtocolMismatch) => { relay.protocolMismatch(mismatch) } }
  const frames = websocketFrames({ role: 'server', maxPayload: MAX_MESSAGE, maxFragments: MAX_FRAGMENTS, clock })
  const verify = (options: RustdeskRelayServerOptions): ReturnType<typeof readListen> => {
    readRelay(options)
    return readListen(options)
  }
  const acceptTcp = async (link: AcceptedLink): Promise<void> => {
    const isOfOperator = console && isLoopback(link.remote.host)
    const rest = isOfOperator ? await withoutCommands(link, { tags: TAGS, command: (text) => relay.command(text), clock }) : link
    if (rest !== undefined) await relay.acceptTcp(rest)
  }
  try {
    await relay.refreshLists()
  } catch (err) {
    await close()
    throw err
  }
  const tcp = await serve({
    transport: { listen: (at: BindOptions) => listenTcp({ ...at, ...shared }) },
    layers: (link: AcceptedLink) => sparing(link), // bytes: a first frame, and then what two ends say to each other
    accept: (link) => { void acceptTcp(link) },
    at: at.tcp,
    log,
    urlOf: (at: BindOptions, port) => `tcp://${endpointText({ host: at.host, port })}`,
    verify: (options: RustdeskRelayServerOptions) => verify(options).tcp,
    configure: (options) => relay.configure(options),
    status: () => relay.status(),
    close
  })
  const websocket = await serve({
    transport: { listen: (at: BindOptions) => listenUpgraded({ ...at, ...shared, ...(at.trustedProxies?.length ? { clientOf: proxiedClient(at.trustedProxies) } : {}) }) },
    layers: (link: UpgradedLink) => frames(sparing(link)), // bytes -> messages
    accept: (link) => { void relay.acceptWebSocket(link) },
    at: at.websocket,
    log,
    urlOf: (at: BindOptions, port) => `ws://${endpointText({ host: at.host, port })}`,
    verify: (options: RustdeskRelayServerOptions) => verify(options).websocket,
    configure: () => {},
    status: () => ({}),
    close
  }).catch(async (err: Error) => {
    await tcp.close()
    throw err
  })
  return {
    relay,
    get url () { return tcp.url },
    get websocketUrl () { return websocket.url },
    async configure (options) {
      await websocket.configure(options)
      return await tcp.configure(options)
    },
    status: () => ({ ...tcp.status(), websocketUrl: websocket.url }),
    async close () { await Promise.all([tcp.close(), websocket.close()]) }
  }
}

function sparing<L extends Link> (link: L): L {
  link.readAhead?.(UNPAIRED)
  return link
}

/** @throws {OptionError} when an address, a port or a proxy is invalid */
function readListen (init: RustdeskRelayListenOptions): { tcp: BindOptions, websocket: BindOptions } {
  const { host, port, websocketPort = port === 0 ? 0 : port + 2, trustedProxies } = readOptions(listenOptions, init)
  return { tcp: { host, port, trustedProxies }, websocket: { host, port: websocketPort, trustedProxies } }
}
