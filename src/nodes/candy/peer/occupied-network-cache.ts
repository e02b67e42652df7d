/** Networks that the machine of a peer uses itself, as reported by the system: a server must not route them elsewhere. */
import type { OccupiedNetwork, Tun } from '../../../tun/device.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'
import { inNetwork, parseCidr, type Cidr } from '../../../net/ipv4.ts'

/** Milliseconds for which the system's answer is cached, as a server may push routes at any rate. */
const CACHE_TIME = 1000

interface Known extends OccupiedNetwork {
  readonly cidr: Cidr
}

export class OccupiedNetworkCache {
  readonly #tun: Pick<Tun, 'occupied'>
  readonly #clock: Clock
  #known: Known[] = []
  #readAt = -Infinity

  constructor (tun: Pick<Tun, 'occupied'>, clock: Clock = systemClock) {
    this.#tun = tun
    this.#clock = clock
  }

  /** Invalidates the cache. */
  forget (): void { this.#readAt = -Infinity }

  /**
   * A network of this machine that overlaps this one; undefined when there is none, or the interface is not one of the system.
   *
   * @throws when the system's networks cannot be read, as then no network is known to be free
   */
  overlap (network: Cidr): OccupiedNetwork | undefined {
    if (this.#tun.occupied === undefined) return undefined
    const now = this.#clock.now()
    if (now - this.#readAt >= CACHE_TIME) {
      this.#known = this.#read()
      this.#readAt = now
    }
    const found = this.#known.find(({ cidr }) => inNetwork(cidr.network, network) || inNetwork(network.network, cidr))
    return found && { network: found.network, owner: found.owner }
  }

  #read (): Known[] {
    try {
      return (this.#tun.occupied?.() ?? []).flatMap(({ network, owner }) => {
        const cidr = parseCidr(network)
        return cidr === undefined ? [] : [{ network, owner, cidr }]
      })
    } catch (cause) {
      throw new Error(`the networks of this machine cannot be read: ${(cause as Error).message}`, { cause }) // not a TunError, which would end the peer
    }
  }
}

/** `overlaps 192.168.1.0/24 of eth0`. */
export const overlapText = ({ network, owner }: OccupiedNetwork): string => `overlaps ${network} of ${owner}`
