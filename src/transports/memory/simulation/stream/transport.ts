/** TCP of a simulated host, as a transport. */
import type { ConnectionLimits } from './connection-init.ts'
import type { StreamLinkInit } from '../../../stream-link.ts'
import type { ConnectionLimiter, ConnectionSlot } from '../../../../limits/connection-limiter.ts'
import type { Address, Delivery, Endpoint, Link, Transport } from '../../../../types.ts'

/** A link between two simulated hosts. */
export interface SimulatedLink extends Link {
  readonly local: Endpoint
  readonly remote: Endpoint
  /** Only of a listener with a limiter. */
  readonly slot?: ConnectionSlot
  delivery (): Delivery
}

/** Options of one link, in place of those of the transport. */
export interface SimulatedLinkInit extends StreamLinkInit, Pick<ConnectionLimits, 'keepAlive'> {}

/** Where to connect to, and from where. */
export interface DialSimulatedInit extends Address, SimulatedLinkInit {
  /** Milliseconds until `DialTimeoutError`. Default: as long as SYN is sent again. */
  timeout?: number
  /** The local address, of the same family. Default: the one that leads there. */
  localHost?: string
  /** The local port. Default: a free one. */
  localPort?: number
  /**
   * Others that say so as well may have the same local port, a listener too: for two hosts behind NATs that connect to each other.
   * Default: false.
   */
  sharesPort?: boolean
}

/** Where to listen. */
export interface ListenSimulatedInit extends Endpoint, SimulatedLinkInit {
  /** Dials that say so as well may have this local port. Default: false. */
  sharesPort?: boolean
  /** Bounds connections, from when their handshake is complete until they end. Default: no bounds. */
  limiter?: ConnectionLimiter
}

/** Options of the transport of a simulated host. */
export interface SimulatedTransportInit extends ConnectionLimits, StreamLinkInit {}

/** Connections of a simulated host. Names have no addresses there, besides `localhost`. */
export interface SimulatedTransport extends Transport<SimulatedLink, ListenSimulatedInit> {
  /**
   * @throws {OptionError} when an option is out of range; else the error of a system (`ECONNREFUSED`, `ETIMEDOUT`, `EHOSTUNREACH`,
   *   `ENETUNREACH`, `ENOTFOUND`, `EINVAL`, `EADDRINUSE`, `EADDRNOTAVAIL`), `DialTimeoutError`, or the reason of the signal
   */
  dial (to: DialSimulatedInit): Promise<SimulatedLink>
}
