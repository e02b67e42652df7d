/**
 * What may come to a peer behind an outer header: packets for its own address, and for the networks that routes lead to through it.
 *
 * A server pushes a rule to the clients of its device network, so a gateway knows those of its rules that are for itself as well. One
 * that was told of none may still be the gateway of others: then the system decides, by whether it forwards. What means all of a
 * network is never let in: a single packet would be answered by all of them.
 */
import { inNetwork, isMulticast, LIMITED_BROADCAST, type Cidr } from '../../../net/ipv4.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'
import { ownNetworks, type OwnNetworks } from '../../../tun/own-networks.ts'

/** Milliseconds for which what the system says of itself is believed. */
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
   * @param own our address in the virtual network
   * @param through networks that routes lead to through us, as far as the server has told
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
