/** A natpass relay on a port: it listens with the transport, and its frames go to the relay. */
import { listenOptions } from './options.ts'
import { NatpassRelay } from './relay.ts'
import { readRelay, type NatpassRelayInit, type NatpassRelayOptions } from './settings.ts'
import type { NatpassRelayStatus } from './status.ts'
import { rawFrames } from '../protocol/frames.ts'
import { bindOptionsOf } from '../../common/options/groups.ts'
import { readOptions, type InitOf } from '../../common/options/option.ts'
import type { BindOptions } from '../../common/rebindable-listener.ts'
import { serve, type ConfigureResult, type Served } from '../../common/serve.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { listenTcp } from '../../../transports/tcp.ts'
import { listenTls } from '../../../transports/tls.ts'

/** `listen` is `host:port` or `tls://host:port`, IPv6 in brackets. */
export type NatpassListenOptions = InitOf<typeof listenOptions>

/** Options that can change at run time. */
export type NatpassServerOptions = NatpassRelayOptions & NatpassListenOptions

/** A natpass relay on a port. */
export interface NatpassServer extends Served<NatpassServerOptions, ConfigureResult, NatpassRelayStatus> {
  readonly relay: NatpassRelay
}

/** Milliseconds of silence until the system asks a client whether it is still there. */
const KEEP_ALIVE = 30_000

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option is invalid; an error of the system (`EADDRINUSE`, `EACCES`, ...) when it cannot listen
 */
export async function serveNatpass (init: NatpassRelayInit & NatpassListenOptions): Promise<NatpassServer> {
  const { handshakeTimeout, log, clock } = init
  const at = readBindOptions(init)
  const relay = new NatpassRelay(init)
  const shared = { limiter: relay.limiter, keepAlive: KEEP_ALIVE, handshakeTimeout, log, clock, onProtocolMismatch: (mismatch: ProtocolMismatch) => { relay.protocolMismatch(mismatch) } }
  const server = await serve({
    transport: { listen: ({ tls, ...at }: BindOptions) => tls === undefined ? listenTcp({ ...at, ...shared }) : listenTls({ ...at, ...shared, ...tls }) },
    layers: rawFrames, // bytes -> frames with length and checksum, which the router reads in place
    accept: (link) => { void relay.accept(link) }, // frames -> handshake or router -> outboxes
    at,
    log,
    urlOf: ({ host, tls }: BindOptions, port) => `${tls === undefined ? 'tcp' : 'tls'}://${endpointText({ host, port })}`,
    verify (options: NatpassServerOptions) {
      const at = readBindOptions(options)
      readRelay(options)
      return at
    },
    configure: (options) => relay.configure(options),
    status: () => relay.status(),
    close: () => relay.close()
  })
  return Object.assign(server, { relay })
}

/** @throws {OptionError} when `listen`, `tls` or a proxy is invalid */
const readBindOptions = (init: NatpassListenOptions): BindOptions => bindOptionsOf(readOptions(listenOptions, init))
