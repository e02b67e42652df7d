/** Tells peers in the network of the server which others of it are online, where no broadcast gets from one to the other (RustDesk protocol, section 7). */
import type { RendezvousState } from './state.ts'
import type { Members, RendezvousInit } from '../protocol/messages.ts'
import { TokenBucket } from '../../../limits/token-bucket.ts'

/** Peers in one answer, and those that are looked at for it. */
const MOST_TOLD = 64
const MOST_LOOKS = 65_536

/** Answers a second, and in a row. */
const RATE = { rate: 1, burst: 4 }

export class Discovery {
  readonly #state: Pick<RendezvousState, 'settings' | 'peers' | 'clock'>
  readonly #bucket: TokenBucket

  constructor (state: Pick<RendezvousState, 'settings' | 'peers' | 'clock'>) {
    this.#state = state
    this.#bucket = new TokenBucket(RATE, state.clock.now())
  }

  /**
   * The answers to a search, one for each peer; undefined where it is not served: from outside of the network, or too often.
   *
   * @param host the address of who searches, folded
   */
  answers ({ cmd, id: own }: Members['peer_discovery'], host: string): RendezvousInit[] | undefined {
    const { settings: { mask, strictOss }, peers, clock } = this.#state
    const now = clock.now()
    this.#bucket.refill(now)
    if (strictOss || cmd !== 'ping' || !mask.includes(host) || !this.#bucket.take(1)) return undefined
    const found: RendezvousInit[] = []
    let looks = 0
    for (const peer of peers) {
      if (++looks > MOST_LOOKS || found.length >= MOST_TOLD) break
      if (peer.id !== own && peer.isOnline(now) && mask.includes(peer.host)) found.push({ peer_discovery: { cmd: 'pong', id: peer.id } })
    }
    return found
  }
}
