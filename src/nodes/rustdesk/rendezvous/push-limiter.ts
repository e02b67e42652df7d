/**
 * Bounds what clients can make the server send to one target. A peer is anything that has registered with an address, and a registration
 * proves no address, so that whoever opens many connections could have others flooded.
 */
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import { clientKey } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** Messages a second, and at once: to one port of an address, and to one address, behind which there may be many peers. */
const PORT = { rate: 16, burst: 64 }
const ADDRESS = { rate: 256, burst: 1024 }

export class PushLimiter {
  readonly #ports = new KeyedTokenBuckets(PORT)
  readonly #addresses = new KeyedTokenBuckets(ADDRESS)

  /**
   * Counts a message. False: it is one too many.
   *
   * @param to the address of the peer
   * @param now milliseconds of a monotonic clock
   */
  allows (to: Readonly<Endpoint>, now: number): boolean {
    return this.#ports.take(endpointText(to), now) && this.#addresses.take(clientKey(to.host), now)
  }
}
