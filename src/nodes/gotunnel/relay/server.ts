/** A gotunnel relay on a port: it listens with the transport and serves its links of bytes. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { GotunnelRelay } from './relay.ts'
import { KEEP_ALIVE } from './port.ts'
import { listenOptions } from './options.ts'
import { readRelay, type GotunnelRelayInit, type GotunnelRelayOptions } from './settings.ts'
import type { GotunnelRelayStatus } from './status.ts'
import type { BindOptions } from '../../common/rebindable-listener.ts'
import { bindOptionsOf } from '../../common/options/groups.ts'
import { readOptions, type InitOf } from '../../common/options/option.ts'
import { serve, type ConfigureResult, type Served } from '../../common/serve.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { listenTcp, type AcceptedLink } from '../../../transports/tcp.ts'
import { listenTls } from '../../../transports/tls.ts'

/** `listen` is `host:port` or `tls://host:port`, IPv6 in brackets. The original's clients do not support TLS. */
export type GotunnelListenOptions = InitOf<typeof listenOptions>

/** Options that can change at run time. */
export type GotunnelServerOptions = GotunnelRelayOptions & GotunnelListenOptions

/** A gotunnel relay on a port. */
export interface GotunnelServer extends Served<GotunnelServerOptions, ConfigureResult, GotunnelRelayStatus> {
  readonly relay: GotunnelRelay
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option is invalid; an error of the system (`EADDRINUSE`, `EACCES`, ...) when it cannot listen, with
 *   the `key` `bind` when the address of mapped ports is at fault
 */
export async function serveGotunnel (init: GotunnelRelayInit & GotunnelListenOptions): Promise<GotunnelServer> {
  const { firstFrameTimeout: handshakeTimeout, log, clock } = init
  const at = readBindOptions(init)
  await tryBind(init.bind)
  const relay = new GotunnelRelay(init)
  const shared = { limiter: relay.limiter, keepAlive: KEEP_ALIVE, handshakeTimeout, log, clock, onProtocolMismatch: (mismatch: ProtocolMismatch) => { relay.protocolMismatch(mismatch) } }
  const server = await serve({
    transport: { listen: ({ tls, ...at }) => tls === undefined ? listenTcp({ ...at, ...shared }) : listenTls({ ...at, ...shared, ...tls }) },
    layers: (link: AcceptedLink) => link, // the relay adds layers once the first frame has told the type of the connection
    accept: (link) => { void relay.accept(link) },
    at,
    log,
    urlOf: ({ host, tls }: BindOptions, port) => `${tls === undefined ? 'tcp' : 'tls'}://${endpointText({ host, port })}`,
    verify (options: GotunnelServerOptions) {
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

/** Checks that mapped ports can listen on that address; otherwise each of them would be reported as in use. */
async function tryBind (host: string | undefined): Promise<void> {
  if (host === undefined) return
  const server = createServer().listen({ host, port: 0 })
  await once(server, 'listening').catch((err) => { throw Object.assign(err as NodeJS.ErrnoException, { key: 'bind' }) })
  await new Promise((resolve) => { server.close(resolve) })
}

/** @throws {OptionError} when `listen`, `tls` or a proxy is invalid */
const readBindOptions = (init: GotunnelListenOptions): BindOptions => bindOptionsOf(readOptions(listenOptions, init))
