/** Bounds what is sent to one target by datagrams, whose addresses nobody has proved. */
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import type { TokenBucketInit } from '../../../limits/token-bucket.ts'
import { clientKey } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** Messages a second, and at once. */
export interface TargetLimits {
  /** To one port of an address. */
  readonly port: TokenBucketInit
  /** To one address, behind which there may be many; an IPv6 /64 is one. */
  readonly address: TokenBucketInit
}

export class TargetLimiter {
  readonly #ports: KeyedTokenBuckets
  readonly #addresses: KeyedTokenBuckets

  constructor ({ port, address }: TargetLimits) {
    this.#ports = new KeyedTokenBuckets(port)
    this.#addresses = new KeyedTokenBuckets(address)
  }

  /**
   * Counts a message. False: it is one too many.
   *
   * @param now milliseconds of a monotonic clock
   */
  allows (to: Readonly<Endpoint>, now: number): boolean {
    return this.#ports.take(endpointText(to), now) && this.#addresses.take(clientKey(to.host), now)
  }
}
