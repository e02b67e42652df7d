/** Nodes that can be reached through this helper (SHOW CHAIN protocol, section 5.1). */
import { SourceCounts } from '../../../limits/source-counts.ts'
import { idKey } from '../protocol/public-keys.ts'
import type { Endpoint } from '../../../types.ts'

/** Milliseconds of silence after which a node is gone. */
export const SILENCE = 60_000

/** Milliseconds between two answers to keep-alives of one node. */
const ANSWER_INTERVAL = 5000

/** Who is registered where. Its owner is the one who has put it into the table; it is looked up again once it is gone. */
export interface Registration {
  /** Of the id, see `idKey` of the protocol. */
  readonly idKey: string
  /** 32 bytes. */
  readonly id: Uint8Array
  /** The public key, see `derOf`: as a string, which takes a third of the memory of an array. */
  readonly der: string
  host: string
  port: number
  /** Of limits: the address, or an IPv6 /64. */
  source: string
  /** NAT kind, 1 to 4; 0: unknown. */
  kind: number
  heardAt: number
  answeredAt: number
  /** The highest one of the requests that have registered it. */
  seq: number
  /** It has been silent for too long, and is in the table no more. */
  isGone: boolean
}

export interface RegistrationLimits {
  readonly maxNodes: number
  readonly maxNodesPerSource: number
}

export class Registrations implements Iterable<Registration> {
  readonly #nodes = new Map<string, Registration>()
  readonly #sources = new SourceCounts()
  #limits: RegistrationLimits

  constructor (limits: RegistrationLimits) { this.#limits = limits }

  get size (): number { return this.#nodes.size }

  get sources (): number { return this.#sources.size }

  /** Smaller limits count for new nodes. */
  configure (limits: RegistrationLimits): void { this.#limits = limits }

  find (id: Uint8Array): Registration | undefined { return this.get(idKey(id)) }

  /** @param key see `Registration.idKey` */
  get (key: string): Registration | undefined { return this.#nodes.get(key) }

  [Symbol.iterator] (): IterableIterator<Registration> { return this.#nodes.values() }

  /**
   * A request is older than the registration, and from elsewhere: one that was never accepted, as it was challenged or lost, and that somebody
   * else has sent again.
   */
  isOlder (id: Uint8Array, { host, port }: Endpoint, seq: number): boolean {
    const known = this.find(id)
    return known !== undefined && seq < known.seq && (known.host !== host || known.port !== port)
  }

  /** Whether a node could be added, or moved there. */
  hasRoom (id: Uint8Array, source: string): boolean {
    const known = this.find(id)
    if (known !== undefined && known.source === source) return true
    if (known === undefined && this.#nodes.size >= this.#limits.maxNodes) return false
    return this.#sources.hasRoom(source, this.#limits.maxNodesPerSource, known?.source)
  }

  /**
   * A node has proved its id and that it is at this endpoint.
   *
   * @returns undefined when there is no room; one that was registered elsewhere stays there
   */
  register (id: Uint8Array, der: Uint8Array, { host, port }: Endpoint, source: string, kind: number, now: number): Registration | undefined {
    if (!this.hasRoom(id, source)) return undefined
    let node = this.find(id)
    if (node === undefined) {
      node = { idKey: idKey(id), id: Uint8Array.from(id), der: Buffer.from(der).toString('latin1'), host, port, source, kind, heardAt: now, answeredAt: -Infinity, seq: 0, isGone: false }
      this.#nodes.set(node.idKey, node)
      this.#sources.add(source)
    } else if (node.source !== source) {
      this.#sources.remove(node.source)
      this.#sources.add(source)
      node.source = source
    }
    node.host = host
    node.port = port
    if (kind !== 0) node.kind = kind
    node.heardAt = now
    return node
  }

  /** A keep-alive has come. Undefined unless it is of a node at its endpoint. */
  heard (id: Uint8Array, { host, port }: Endpoint, now: number): Registration | undefined {
    const node = this.find(id)
    if (node === undefined || node.host !== host || node.port !== port) return undefined
    node.heardAt = now
    return node
  }

  /** Whether a keep-alive is answered now. */
  answers (node: Registration, now: number): boolean {
    if (now - node.answeredAt < ANSWER_INTERVAL) return false
    node.answeredAt = now
    return true
  }

  /** Forgets those that are silent. */
  tick (now: number, onGone: (node: Registration) => void): void {
    for (const node of this.#nodes.values()) {
      if (now - node.heardAt < SILENCE) continue
      this.#nodes.delete(node.idKey)
      this.#sources.remove(node.source)
      node.isGone = true
      onGone(node)
    }
  }
}

/** The public key of a node, as DER. */
export const derOf = ({ der }: Registration): Uint8Array => Buffer.from(der, 'latin1')
