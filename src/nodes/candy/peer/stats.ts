/** Counters of a peer, incremented in the packet path. */

/** Counters, except `routes`, a gauge. "In" is what the interface gets; those of direct paths are counted among all, and once more. */
export interface CandyPeerStats {
  /** Installed routes of the server. They stay while there is no connection. */
  routes: number
  packetsIn: number
  bytesIn: number
  packetsOut: number
  bytesOut: number
  directPacketsIn: number
  directBytesIn: number
  directPacketsOut: number
  directBytesOut: number
  /** Packets of other members, carried to others. */
  carried: number
  /** Connections that were lost or could not be made. */
  failures: number
  /** How often address, routes or state of the interface were restored after another program had removed them. */
  restored: number
  /**
   * Packets: `offline`, without a connection; `queue`, the server read too slowly; `malformed`, not IPv4 or, in either direction, too
   * long; `destination`, received with the header of a route, for an address to which no route through this peer leads; `interface`, it
   * was closed. Messages: `route`, malformed ones of type ROUTE; `message`, others that are malformed. And datagrams: `short`, too short to
   * be one; `sealed`, with a wrong tag; `replayed`; `flood`, too many from endpoints of no member; `source`, from no member, or with a
   * packet of another one; `heartbeat`, from a member whose path is not looked for, or that proves itself in another way; `memberRoute`, ROUTE of
   * a member that cannot be. Packets of others: `unreachable`, no path leads on; `hops`, their TTL has ended. And `tooBig`,
   * for a direct path: the sender was told the size that passes.
   */
  drops: { offline: number, queue: number, malformed: number, destination: number, interface: number, route: number, message: number, short: number, sealed: number, replayed: number, flood: number, source: number, heartbeat: number, memberRoute: number, unreachable: number, hops: number, tooBig: number }
}

export const newPeerStats = (): CandyPeerStats => ({
  routes: 0,
  packetsIn: 0,
  bytesIn: 0,
  packetsOut: 0,
  bytesOut: 0,
  directPacketsIn: 0,
  directBytesIn: 0,
  directPacketsOut: 0,
  directBytesOut: 0,
  carried: 0,
  failures: 0,
  restored: 0,
  drops: { offline: 0, queue: 0, malformed: 0, destination: 0, interface: 0, route: 0, message: 0, short: 0, sealed: 0, replayed: 0, flood: 0, source: 0, heartbeat: 0, memberRoute: 0, unreachable: 0, hops: 0, tooBig: 0 }
})
