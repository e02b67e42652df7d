/**
 * Packets that a peer accepts behind an outer header: for its own address, and for networks that routes lead to through this peer.
 *
 * A server pushes a rule to the clients of its device network, so a gateway usually knows the rules that lead to it. A gateway that was
 * told of none may still be one for others: then the forwarding setting of the system decides. Multicast and broadcasts are
 * never accepted: every host would answer a single packet.
 */
import { inNetwork, isMulticast, LIMITED_BROADCAST, type Cidr } from '../../../net/ipv4.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'
import { ownNetworks, type OwnNetworks } from '../../../tun/own-networks.ts'

/** Milliseconds for which the system's answer is cached. */
const CACHE_TIME = 1000

export class IngressFilter {
  readonly #read: () => OwnNetworks
  readonly #clock: Clock
  #networks: OwnNetworks | undefined
  #readAt = 0

  /** @param tun name of the interface */
  constructor (tun: string, clock: Clock = systemClock, read: () => OwnNetworks = () => ownNetworks(tun)) {
    this.#read = read
    this.#clock = clock
  }

  /**
   * @param own the peer's address in the virtual network
   * @param through networks that routes of the server lead to through this peer
   */
  accepts (destination: number, own: number, through: readonly Cidr[]): boolean {
    if (destination === own) return true
    if (destination === LIMITED_BROADCAST || isMulticast(destination) || isLocal(destination)) return false
    const { addresses, broadcasts, forwards } = this.#now()
    if (broadcasts.has(destination) && !addresses.has(destination)) return false
    if (through.length > 0) return through.some((network) => inNetwork(destination, network))
    return forwards || addresses.has(destination)
  }

  #now (): OwnNetworks {
    const now = this.#clock.now()
    if (this.#networks === undefined || now - this.#readAt > CACHE_TIME) {
      this.#networks = this.#read()
      this.#readAt = now
    }
    return this.#networks
  }
}

/** "This network" and loopback. */
function isLocal (address: number): boolean {
  const first = address >>> 24
  return first === 0 || first === 127
}
