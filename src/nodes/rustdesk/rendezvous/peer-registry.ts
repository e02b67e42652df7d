/** All peers in memory, within bounds: by address, and in total. Those that are not in memory are read from the store when they are asked for. */
import type { AllowedPeers } from './allowed-peers.ts'
import { Peer } from './peer.ts'
import { PushLimiter } from './push-limiter.ts'
import { isId } from './registration.ts'
import type { PeerRecord } from '../store/peer-record.ts'
import { clientKey } from '../../../net/client-address.ts'

/** Where peers are kept for good. */
export interface PeerStore {
  /** Rejects when the store cannot be read. */
  find (id: string): Promise<PeerRecord | undefined>
  /** Settles when the peer is kept for good; rejects when it is not. */
  put (peer: PeerRecord): Promise<void>
}

export interface PeerLimits {
  /** Peers in memory. */
  readonly maxPeers: number
  /** Those of one address; an IPv6 /64 is one. */
  readonly maxPeersPerAddress: number
  /** Who may be one. Default: all. */
  readonly allowed?: Pick<AllowedPeers, 'has'> | undefined
}

/** Peers that are looked at to make room for one. */
const LOOKS = 64

export class PeerRegistry {
  /** Peers that were let go, as there were too many in memory. They are still in the store. */
  evicted = 0
  readonly #store: Pick<PeerStore, 'find'>
  readonly #peers = new Map<string, Peer>()
  /** Peers of each address, see `clientKey`. */
  readonly #counts = new Map<string, number>()
  /** Look-ups that have not settled. */
  readonly #finding = new Map<string, Promise<Peer | undefined>>()
  readonly #pushes = new PushLimiter()
  #limits: PeerLimits
  /** Goes round to find peers to let go. */
  #hand: Iterator<Peer> | undefined

  constructor (store: Pick<PeerStore, 'find'>, limits: PeerLimits) {
    this.#store = store
    this.#limits = limits
  }

  /** Peers that are not allowed any more are forgotten, as if nobody had their ids. */
  configure (limits: PeerLimits): void {
    this.#limits = limits
    if (limits.allowed === undefined) return
    for (const peer of this.#peers.values()) if (!this.isAllowed(peer)) this.#forget(peer)
  }

  /** Whether the peer of this id and key may take part. */
  isAllowed (peer: Pick<PeerRecord, 'id' | 'pk'>): boolean { return this.#limits.allowed?.has(peer) !== false }

  get size (): number { return this.#peers.size }

  /** A peer in memory. */
  get (id: string): Peer | undefined { return this.#peers.get(id) }

  [Symbol.iterator] (): Iterator<Peer> { return this.#peers.values() }

  /**
   * A peer in memory or in the store; a promise when the store is read.
   *
   * @param now milliseconds of a monotonic clock
   */
  find (id: string, now: number): Peer | undefined | Promise<Peer | undefined> {
    const known = this.#peers.get(id) ?? this.#finding.get(id)
    return known !== undefined || !isId(id) ? known : this.#load(id, now)
  }

  /** Whether one more peer of this address fits. */
  hasRoom (ip: string, now: number): boolean {
    const { maxPeers, maxPeersPerAddress } = this.#limits
    return (this.#counts.get(clientKey(ip)) ?? 0) < maxPeersPerAddress && (this.#peers.size < maxPeers || this.#makeRoom(now))
  }

  /** Adds a peer that is in the store. Undefined: there is no room. */
  add (stored: PeerRecord, now: number): Peer | undefined {
    const known = this.#peers.get(stored.id)
    if (known !== undefined) return known
    if (!this.hasRoom(stored.ip, now)) return undefined
    const peer = new Peer(stored)
    this.#peers.set(peer.id, peer)
    this.#count(peer.ip, 1)
    return peer
  }

  /**
   * Whether a peer may be sent one more message for a client, which is counted.
   *
   * @param source of the client, see `clientKey`
   */
  mayPush (peer: Peer, source: string, now: number): boolean { return this.#pushes.allows(peer, source, now) }

  /** Changes the identity of a peer that is in memory. */
  identify (peer: Peer, identity: Omit<PeerRecord, 'id'>): void {
    this.#count(peer.ip, -1)
    peer.identify(identity)
    this.#count(peer.ip, 1)
  }

  async #load (id: string, now: number): Promise<Peer | undefined> {
    const finding = this.#store.find(id).then((stored) => {
      // One that there is no room for is known for this question alone.
      return stored === undefined || !this.isAllowed(stored) ? undefined : this.add(stored, now) ?? new Peer(stored)
    }).finally(() => { this.#finding.delete(id) })
    this.#finding.set(id, finding)
    return await finding
  }

  /** Lets a peer go that is offline. */
  #makeRoom (now: number): boolean {
    for (let looks = 0; looks < LOOKS; looks++) {
      const { value: peer } = (this.#hand ??= this.#peers.values()).next() as { value: Peer | undefined }
      if (peer === undefined) {
        this.#hand = undefined
      } else if (!peer.isOnline(now)) {
        this.#forget(peer)
        this.evicted++
        return true
      }
    }
    return false
  }

  #forget (peer: Peer): void {
    this.#peers.delete(peer.id)
    this.#count(peer.ip, -1)
  }

  #count (ip: string, change: 1 | -1): void {
    const key = clientKey(ip)
    const count = (this.#counts.get(key) ?? 0) + change
    if (count > 0) this.#counts.set(key, count)
    else this.#counts.delete(key)
  }
}
