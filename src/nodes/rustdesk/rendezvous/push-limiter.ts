/**
 * Bounds what clients can make the server send to one target. A peer is anything that has registered with an address, and a registration
 * proves no address, so that whoever opens many connections could have others flooded. What one client may have sent to a peer is much
 * less than what all may, so that none of them uses up what is for the others.
 */
import { TargetLimiter } from './target-limiter.ts'
import { KeyedTokenBuckets } from '../../../limits/keyed-token-buckets.ts'
import type { Endpoint } from '../../../types.ts'

/** Messages a second, and at once: of one client to one peer; a real one sends up to 6 in half a minute, and there may be several behind its address. */
const CLIENT = { rate: 2, burst: 16 }

/** Of all clients. */
const TARGET = { port: { rate: 64, burst: 256 }, address: { rate: 1024, burst: 4096 } }

/** A peer: the address is for datagrams, which it gets unless it has a connection. */
export interface PushTarget extends Readonly<Endpoint> {
  readonly id: string
  readonly connection?: object | undefined
}

export class PushLimiter {
  readonly #clients = new KeyedTokenBuckets(CLIENT)
  readonly #targets = new TargetLimiter(TARGET)
  /** Peers with a connection, by id. */
  readonly #connected = new KeyedTokenBuckets(TARGET.port)

  /**
   * Counts a message. False: it is one too many. A connection proves its address, so that its peer alone counts.
   *
   * @param source of the client, see `clientKey`
   * @param now milliseconds of a monotonic clock
   */
  allows (to: PushTarget, source: string, now: number): boolean {
    if (!this.#clients.take(`${source} ${to.id}`, now)) return false
    return to.connection === undefined ? this.#targets.allows(to, now) : this.#connected.take(to.id, now)
  }
}
