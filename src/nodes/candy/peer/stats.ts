/** Counters of a peer, incremented in the packet path. */

/** Counters, except `routes`, a gauge. "In" is from the server. */
export interface CandyPeerStats {
  /** Installed routes of the server. They stay while there is no connection. */
  routes: number
  packetsIn: number
  bytesIn: number
  packetsOut: number
  bytesOut: number
  /** Connections that were lost or could not be made. */
  failures: number
  /** How often address, routes or state of the interface were restored after another program had removed them. */
  restored: number
  /**
   * Packets: `offline`, without a connection; `queue`, the server read too slowly; `malformed`, not IPv4 or, in either direction, too
   * long; `destination`, received with the header of a route, for an address to which no route through this peer leads; `interface`, it
   * was closed. And messages: `route`, malformed ones of type ROUTE.
   */
  drops: { offline: number, queue: number, malformed: number, destination: number, interface: number, route: number }
}

export const newPeerStats = (): CandyPeerStats => ({
  routes: 0,
  packetsIn: 0,
  bytesIn: 0,
  packetsOut: 0,
  bytesOut: 0,
  failures: 0,
  restored: 0,
  drops: { offline: 0, queue: 0, malformed: 0, destination: 0, interface: 0, route: 0 }
})
