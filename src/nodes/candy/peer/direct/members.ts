/** The members of the network that this peer has heard of, their sessions, and where their datagrams come from. */
import type { DirectSession } from './direct-session.ts'
import type { RemotePeer } from './remote-peer.ts'
import type { Endpoint } from '../../../../types.ts'

/** Members; beyond it those without a path are forgotten. */
const MAX_MEMBERS = 1024

/** Those of which only packets have come: many servers do not check from whom these are. */
const MAX_NOTICED = 64

/** Endpoints of members that are found without a search; hosts where members are. */
const MAX_SOURCES = 1024
const MAX_HOSTS = 4096

/** A session, and whose it is. */
export interface SessionOf {
  readonly session: DirectSession
  readonly peer: RemotePeer
}

export class Members implements Iterable<RemotePeer> {
  readonly #peers = new Map<number, RemotePeer>()
  /** Of these, those that have sent no CONN and no DISCOVERY yet. */
  readonly #noticed = new Set<RemotePeer>()
  readonly #sessions = new Map<number, SessionOf>()
  readonly #sources = new Map<string, RemotePeer>()
  readonly #hosts = new Set<string>()
  // The last one that was found in `#sources`: a read often has many datagrams of one member.
  #lastHost = ''
  #lastPort = 0
  #last: RemotePeer | undefined

  get size (): number { return this.#peers.size }

  [Symbol.iterator] (): IterableIterator<RemotePeer> { return this.#peers.values() }

  get (address: number): RemotePeer | undefined { return this.#peers.get(address) }

  /**
   * Makes room for one more. A member that asks takes that of one without a path, first of one that was only noticed; one that is only
   * noticed takes no place of the others.
   *
   * @param isNoticed only packets of the new one have come
   * @returns false when there is no room
   */
  makeRoom (isNoticed: boolean): boolean {
    if (isNoticed && this.#noticed.size >= MAX_NOTICED) return this.#evict(this.#noticed, isIdle)
    if (this.#peers.size < MAX_MEMBERS) return true
    if (isNoticed) return this.#evict(this.#noticed, isIdle)
    return this.#evict(this.#noticed, () => true) || this.#evict(this, isIdle)
  }

  /** Adds a member, for which there is room. @param isNoticed as for `makeRoom` */
  add (peer: RemotePeer, isNoticed: boolean): void {
    this.#peers.set(peer.address, peer)
    if (isNoticed) this.#noticed.add(peer)
  }

  /** The member has sent CONN or DISCOVERY, which servers take only from itself. */
  confirm (peer: RemotePeer): void { this.#noticed.delete(peer) }

  /** Whether an attempt would begin for a member, new or known, that nothing but packets tell of. */
  wouldStartNoticed (address: number): boolean {
    const peer = this.#peers.get(address)
    return peer === undefined || (peer.state === 'init' && this.#noticed.has(peer))
  }

  /** The session with this index. */
  sessionAt (index: number): SessionOf | undefined { return this.#sessions.get(index) }

  register (entry: SessionOf): void { this.#sessions.set(entry.session.indexIn, entry) }

  forget (session: DirectSession): void {
    if (this.#sessions.get(session.indexIn)?.session === session) this.#sessions.delete(session.indexIn) // else a later one of the attempt has its index
    session.close()
  }

  /** A member whose datagrams, sealed as existing clients do, come from there. Looks at each. */
  at (from: Endpoint): RemotePeer | undefined {
    for (const peer of this) if (peer.hasHeard(from)) return peer
    return undefined
  }

  /** The member that was last seen there, if it has not changed since. */
  seenAt ({ host, port }: Endpoint): RemotePeer | undefined {
    if (port !== this.#lastPort || host !== this.#lastHost) this.#remember(host, port, this.#sources.get(`${host}:${port}`))
    return this.#last
  }

  /** An authentic datagram of the member has come from there. */
  see ({ host, port }: Endpoint, peer: RemotePeer): void {
    if (this.seenAt({ host, port }) === peer) return
    if (this.#sources.size >= MAX_SOURCES) this.#sources.clear()
    this.#sources.set(`${host}:${port}`, peer)
    this.#remember(host, port, peer)
    this.expect(host)
  }

  /** Endpoints of this member have changed. */
  forgetSources (peer: RemotePeer): void {
    for (const [source, { address }] of this.#sources) if (address === peer.address) this.#sources.delete(source)
    this.#remember('', 0, undefined)
  }

  /** A member may be at this host, as it has said or as it was seen there. */
  expect (host: string): void {
    if (this.#hosts.size >= MAX_HOSTS) this.#hosts.clear()
    this.#hosts.add(host)
  }

  isExpected (host: string): boolean { return this.#hosts.has(host) }

  clear (): void {
    for (const peer of this) peer.close()
    for (const { session } of [...this.#sessions.values()]) this.forget(session)
    this.#peers.clear()
    this.#noticed.clear()
    this.#sources.clear()
    this.#hosts.clear()
    this.#remember('', 0, undefined)
  }

  #remember (host: string, port: number, peer: RemotePeer | undefined): void {
    this.#lastHost = host
    this.#lastPort = port
    this.#last = peer
  }

  #evict (from: Iterable<RemotePeer>, mayGo: (peer: RemotePeer) => boolean): boolean {
    for (const peer of from) {
      if (!mayGo(peer)) continue
      peer.close()
      this.forgetSources(peer)
      this.#noticed.delete(peer)
      this.#peers.delete(peer.address)
      return true
    }
    return false
  }
}

const isIdle = ({ state }: RemotePeer): boolean => state === 'init' || state === 'waiting' || state === 'failed'
