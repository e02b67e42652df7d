/** Counters of a peer, raised in the packet path and read whenever somebody asks. */

/** Plain numbers that only grow, but for `routes`. "In" is from the server. */
export interface CandyPeerStats {
  /** Routes of the server that are in force: networks whose packets the interface gets. They stay while there is no connection. */
  routes: number
  packetsIn: number
  bytesIn: number
  packetsOut: number
  bytesOut: number
  /** Connections that were lost, or could not be made. */
  failures: number
  /** Times that address, routes or state of the interface were put back, as somebody else had taken them away. */
  restored: number
  /**
   * Packets: `offline`, came while there was no connection; `queue`, the server took them too slowly; `malformed`, no IPv4 or, from
   * either side, too long; `destination`, came with the header of a route for
   * an address that no route leads to through this peer; `interface`, it was closed. And `route`: malformed messages that were to tell routes.
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
