/** Peers whose address has changed, for the operator. */
import { wholeSeconds } from './seconds.ts'

/** Whole seconds from the first address of a peer, after which it begins again. */
const WINDOW = 180

/** Whole seconds after which a peer is not shown any more. */
const SHOWN = 2 * WINDOW

/** Peers that are kept, and addresses of each. */
const MOST_PEERS = 16_384
const MOST_ADDRESSES = 64

interface Changes {
  since: number
  /** How often each address was changed to. */
  readonly addresses: Map<string, number>
}

export class IpChanges {
  /** By id, the oldest first. */
  readonly #peers = new Map<string, Changes>()

  /** Peers with several addresses, as far as they were not pruned. */
  get size (): number { return this.#peers.size }

  /** @param now milliseconds of a monotonic clock */
  add (id: string, ip: string, now: number): void {
    const known = this.#peers.get(id)
    if (known !== undefined && wholeSeconds(now - known.since) <= WINDOW) {
      const { addresses } = known
      if (addresses.has(ip) || addresses.size < MOST_ADDRESSES) addresses.set(ip, (addresses.get(ip) ?? 0) + 1)
      return
    }
    this.#peers.delete(id)
    this.#peers.set(id, { since: now, addresses: new Map([[ip, 1]]) })
    if (this.#peers.size <= MOST_PEERS) return
    const [oldest] = this.#peers.keys()
    this.#peers.delete(oldest)
  }

  /** Forgets what is not shown any more: peers with one address, and old ones. */
  prune (now: number): void {
    for (const [id, { since, addresses }] of this.#peers) {
      if (wholeSeconds(now - since) >= SHOWN || addresses.size < 2) this.#peers.delete(id)
    }
  }

  /** Whole seconds since the first change of a peer, and how often it has changed to each address. */
  get (id: string, now: number): { age: number, addresses: ReadonlyMap<string, number> } | undefined {
    const changes = this.#peers.get(id)
    return changes === undefined ? undefined : { age: wholeSeconds(now - changes.since), addresses: changes.addresses }
  }

  ids (): IterableIterator<string> { return this.#peers.keys() }

  delete (id: string): void { this.#peers.delete(id) }
}
