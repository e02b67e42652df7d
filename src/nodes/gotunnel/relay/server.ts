/** A gotunnel relay on a port. */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { GotunnelRelay, type Reconfigured } from './relay.ts'
import { KEEP_ALIVE } from './port.ts'
import { readRelay, type GotunnelRelayInit, type GotunnelRelayOptions } from './settings.ts'
import { endpointText, readEndpoint } from '../../../net/endpoint.ts'
import { LinkClosedError, OptionError } from '../../../errors.ts'
import type { Foreigner } from '../../../transports/first-read.ts'
import { Site, type Place } from '../../../transports/site.ts'
import { listenTcp, type AcceptedLink } from '../../../transports/tcp.ts'
import { listenTls, type TlsServerInit } from '../../../transports/tls.ts'

export interface ListenInit {
  /** `host:port`, IPv6 in brackets; port 0 takes a free one. */
  listen: string
  /** Makes it TLS, for control and data connections. The original's clients do not speak it. */
  tls?: TlsServerInit
  /** Whose word is taken for where a connection to the control port comes from, CIDRs or addresses. Default: nobody's. */
  trustedProxies?: readonly string[]
}

export interface GotunnelServer {
  /** `tcp://host:port` or `tls://host:port`, with the port that is really in use. Empty while it listens nowhere, after a change that has failed in the middle. */
  readonly url: string
  readonly relay: GotunnelRelay
  /**
   * Other settings from now on, see `GotunnelRelay.configure`. Where it listens may change as well; connections that are there
   * stay.
   *
   * Rejects with `OptionError` when something cannot work, and with what the system says when it cannot listen; then nothing
   * has changed.
   */
  configure (init: GotunnelRelayOptions & ListenInit): Promise<Reconfigured>
  /** Stops listening, ends clients, gives users a moment to come to their end, and settles when all are gone. */
  close (): Promise<void>
}

/**
 * Listens and serves.
 *
 * @throws {OptionError} when an option cannot work; what the system says (`EADDRINUSE`, `EACCES`, ...) when it cannot listen, with
 *   the `key` `bind` when that is where mapped ports are to
 */
export async function serveGotunnel (init: GotunnelRelayInit & ListenInit): Promise<GotunnelServer> {
  const place = readPlace(init)
  await tryBind(init.bind)
  const relay = new GotunnelRelay(init)
  const server = new Server(relay, place, init)
  try {
    await server.open()
    return server
  } catch (err) {
    await relay.close()
    throw err
  }
}

class Server implements GotunnelServer {
  readonly relay: GotunnelRelay
  readonly #site: Site<AcceptedLink>
  /** Changes come one after the other, and none after the end. */
  #turn: Promise<unknown> = Promise.resolve()
  #isClosed = false

  constructor (relay: GotunnelRelay, place: Place, { firstFrameTimeout: handshakeTimeout, log, clock }: GotunnelRelayInit) {
    this.relay = relay
    const shared = { gate: relay.gate, keepAlive: KEEP_ALIVE, handshakeTimeout, log, clock, onForeign: (foreigner: Foreigner) => { relay.foreign(foreigner) } }
    this.#site = new Site(place, {
      listen: ({ tls, ...at }) => tls === undefined ? listenTcp({ ...at, ...shared }) : listenTls({ ...at, ...shared, ...tls }),
      accept: (link) => { void relay.accept(link, link) }
    })
  }

  get url (): string {
    const { port, place: { host, tls } } = this.#site
    return port === undefined ? '' : `${tls === undefined ? 'tcp' : 'tls'}://${endpointText({ host, port })}`
  }

  async open (): Promise<void> {
    await this.#site.open()
  }

  async configure (init: GotunnelRelayOptions & ListenInit): Promise<Reconfigured> {
    const change = this.#turn.then(async () => {
      if (this.#isClosed) throw new LinkClosedError('the server is closed')
      const place = readPlace(init)
      readRelay(init) // throws before anything has changed
      await this.#site.move(place)
      return this.relay.configure(init)
    })
    this.#turn = change.catch(() => {})
    return await change
  }

  async close (): Promise<void> {
    this.#isClosed = true
    await this.#turn
    this.#site.close()
    await this.relay.close()
  }
}

/** Looks whether mapped ports can listen at that address at all; else every one of them would be told to be in use. */
async function tryBind (host: string | undefined): Promise<void> {
  if (host === undefined) return
  const server = createServer().listen({ host, port: 0 })
  await once(server, 'listening').catch((err) => { throw Object.assign(err as NodeJS.ErrnoException, { key: 'bind' }) })
  await new Promise((resolve) => { server.close(resolve) })
}

/** Throws `OptionError`. */
function readPlace ({ listen, tls, trustedProxies }: ListenInit): Place {
  const endpoint = readEndpoint(listen)
  if (endpoint === undefined) throw new OptionError(`listen has the form host:port, not ${listen}`)
  return { ...endpoint, tls, trustedProxies }
}
