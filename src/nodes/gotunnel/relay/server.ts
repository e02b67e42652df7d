/** A gotunnel relay on a port: the transport, and who serves its links, which are those of bytes. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { GotunnelRelay } from './relay.ts'
import { KEEP_ALIVE } from './port.ts'
import { readRelay, type GotunnelRelayInit, type GotunnelRelayOptions } from './settings.ts'
import type { BindOptions } from '../../common/rebindable-listener.ts'
import { serve, type ListenOptions, type ConfigureResult, type Served } from '../../common/serve.ts'
import { endpointText, readEndpoint } from '../../../net/endpoint.ts'
import { OptionError } from '../../../errors.ts'
import type { ProtocolMismatch } from '../../../transports/first-read.ts'
import { listenTcp, type AcceptedLink } from '../../../transports/tcp.ts'
import { listenTls } from '../../../transports/tls.ts'

/** What may change while it runs. `listen` is `host:port`, IPv6 in brackets. The original's clients do not speak TLS. */
export type GotunnelServerOptions = GotunnelRelayOptions & ListenOptions

export interface GotunnelServer extends Served<GotunnelServerOptions, ConfigureResult> {
  readonly relay: GotunnelRelay
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option cannot work; what the system says (`EADDRINUSE`, `EACCES`, ...) when it cannot listen, with
 *   the `key` `bind` when that is where mapped ports are to
 */
export async function serveGotunnel (init: GotunnelRelayInit & ListenOptions): Promise<GotunnelServer> {
  const { firstFrameTimeout: handshakeTimeout, log, clock } = init
  const at = readBindOptions(init)
  await tryBind(init.bind)
  const relay = new GotunnelRelay(init)
  const shared = { limiter: relay.limiter, keepAlive: KEEP_ALIVE, handshakeTimeout, log, clock, onProtocolMismatch: (mismatch: ProtocolMismatch) => { relay.protocolMismatch(mismatch) } }
  const server = await serve({
    transport: { listen: ({ tls, ...at }) => tls === undefined ? listenTcp({ ...at, ...shared }) : listenTls({ ...at, ...shared, ...tls }) },
    layers: (link: AcceptedLink) => link, // a first frame says what a connection is for, and which layers it has from there on
    accept: (link) => { void relay.accept(link) },
    at,
    urlOf: ({ host, tls }: BindOptions, port) => `${tls === undefined ? 'tcp' : 'tls'}://${endpointText({ host, port })}`,
    verify (options: GotunnelServerOptions) {
      const at = readBindOptions(options)
      readRelay(options)
      return at
    },
    configure: (options) => relay.configure(options),
    close: () => relay.close()
  })
  return Object.assign(server, { relay })
}

/** Looks whether mapped ports can listen at that address at all; else every one of them would be told to be in use. */
async function tryBind (host: string | undefined): Promise<void> {
  if (host === undefined) return
  const server = createServer().listen({ host, port: 0 })
  await once(server, 'listening').catch((err) => { throw Object.assign(err as NodeJS.ErrnoException, { key: 'bind' }) })
  await new Promise((resolve) => { server.close(resolve) })
}

/** Throws `OptionError`. */
function readBindOptions ({ listen, tls, trustedProxies }: ListenOptions): BindOptions {
  const endpoint = readEndpoint(listen)
  if (endpoint === undefined) throw new OptionError(`listen has the form host:port, not ${listen}`)
  return { ...endpoint, tls, trustedProxies }
}
