/** What a peer needs of TCP: connections from an address that it has used before (RustDesk protocol, section 6.5). */
import { dialTcp, listenTcp } from '../../../transports/tcp.ts'
import type { Address, Endpoint, Link, Listener } from '../../../types.ts'

/** A connection, with the addresses of both ends. */
export interface PeerLink extends Link {
  readonly local: Endpoint
  readonly remote: Endpoint
}

/** Where a connection goes, and from where. */
export interface PeerDialInit extends Address {
  /** Milliseconds. */
  timeout?: number
  localHost?: string
  localPort?: number
  /** The local address may be that of others as well. */
  sharesPort?: boolean
}

/** TCP; that of a host of a simulated network is one as well. */
export interface PeerTransport {
  dial (to: PeerDialInit): Promise<PeerLink>
  listen (at: Endpoint & { sharesPort?: boolean }): Listener<PeerLink>
}

/** TCP of the system. */
export const systemTransport: PeerTransport = {
  dial: dialTcp,
  listen: ({ sharesPort, ...at }) => listenTcp(at)
}
