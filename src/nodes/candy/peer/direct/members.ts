/** The members of the network that this peer has heard of, and their sessions. */
import type { DirectSession } from './direct-session.ts'
import type { RemotePeer } from './remote-peer.ts'
import type { Endpoint } from '../../../../types.ts'

/** Members; beyond it those without a path are forgotten. */
const MAX_MEMBERS = 1024

/** Endpoints of members that are found without a search. */
const MAX_SOURCES = 1024

/** A session, and whose it is. */
export interface SessionOf {
  readonly session: DirectSession
  readonly peer: RemotePeer
}

export class Members implements Iterable<RemotePeer> {
  readonly #peers = new Map<number, RemotePeer>()
  readonly #sessions = new Map<number, SessionOf>()
  readonly #sources = new Map<string, RemotePeer>()

  get size (): number { return this.#peers.size }

  [Symbol.iterator] (): IterableIterator<RemotePeer> { return this.#peers.values() }

  get (address: number): RemotePeer | undefined { return this.#peers.get(address) }

  /** Adds a member. False when there are too many, and all of them have a path or look for one. */
  add (peer: RemotePeer): boolean {
    if (this.#peers.size >= MAX_MEMBERS && !this.#evict()) return false
    this.#peers.set(peer.address, peer)
    return true
  }

  /** The session with this index. */
  sessionAt (index: number): SessionOf | undefined { return this.#sessions.get(index) }

  register (entry: SessionOf): void { this.#sessions.set(entry.session.indexIn, entry) }

  forget (session: DirectSession): void {
    if (this.#sessions.get(session.indexIn)?.session === session) this.#sessions.delete(session.indexIn) // else a later one of the attempt has its index
    session.close()
  }

  /** The member whose datagrams, sealed as existing clients do, come from there. Looks at each when it is not found at once. */
  at (from: Endpoint): RemotePeer | undefined {
    for (const peer of this) if (peer.knows(from)) return peer
    return undefined
  }

  /** The same, of those found before. */
  seenAt ({ host, port }: Endpoint): RemotePeer | undefined { return this.#sources.get(`${host}:${port}`) }

  see ({ host, port }: Endpoint, peer: RemotePeer): void {
    if (this.#sources.size >= MAX_SOURCES) this.#sources.clear()
    this.#sources.set(`${host}:${port}`, peer)
  }

  /** Endpoints have changed. */
  forgetSources (): void { this.#sources.clear() }

  clear (): void {
    for (const peer of this) peer.close()
    for (const { session } of [...this.#sessions.values()]) this.forget(session)
    this.#peers.clear()
    this.#sources.clear()
  }

  #evict (): boolean {
    for (const peer of this) {
      if (peer.state !== 'init' && peer.state !== 'waiting' && peer.state !== 'failed') continue
      peer.close()
      this.#peers.delete(peer.address)
      return true
    }
    return false
  }
}
