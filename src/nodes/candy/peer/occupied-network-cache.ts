/** What the machine around a peer uses itself, as the system tells at the moment: a server may lead none of it elsewhere. */
import type { OccupiedNetwork, Tun } from '../../../tun/device.ts'
import { systemClock } from '../../../streams/clock.ts'
import type { Clock } from '../../../types.ts'
import { inNetwork, parseCidr, type Cidr } from '../../../net/ipv4.ts'

/** Milliseconds for which an answer of the system is believed: a server may push as often as it likes. */
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

  /** The next question is put to the system, however soon it comes. */
  forget (): void { this.#readAt = -Infinity }

  /**
   * The network of this machine that equals this one, contains it or lies in it; undefined when there is none, or the interface is none
   * of the system. Throws `Error` when the system does not tell: then nothing is known to be free.
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
      throw new Error(`the networks of this machine cannot be read: ${(cause as Error).message}`, { cause }) // no fault of the interface, whose errors end the peer
    }
  }
}

/** `overlaps 192.168.1.0/24 of eth0`. */
export const overlapText = ({ network, owner }: OccupiedNetwork): string => `overlaps ${network} of ${owner}`
