/** The table of a NAT or a firewall in the terms of RFC 4787: which endpoint outside stands for one inside, and who may send to it. No clock of its own. */
import { ExpiringMap } from './expiring-map.ts'
import type { Endpoint } from '../../../types.ts'

/** What a mapping, or a filter, depends on (RFC 4787, sections 4.1 and 5). */
export type Behaviour = 'endpoint-independent' | 'address-dependent' | 'address-and-port-dependent'

export interface MappingTableInit {
  mapping: Behaviour
  filtering: Behaviour
  /** Milliseconds without a packet, until a mapping or the permission of a remote endpoint ends. */
  timeout: number
  /** Packets from outside count for that as well. */
  inboundRefresh: boolean
  /** Milliseconds for which a packet that nobody inside has asked for keeps its endpoints from connections of the inside; undefined: it keeps none. */
  unsolicitedTimeout: number | undefined
  /** Mappings, permissions, connections and unsolicited packets: so many of each. */
  maxEntries: number
  endpoints: OutsideEndpoints
}

/** Where a table gets its endpoints outside. */
export interface OutsideEndpoints {
  /** One for an endpoint inside; undefined when there is none left. */
  allocate: (inside: Endpoint, isUsable: (outside: Endpoint) => boolean) => Endpoint | undefined
  /** The mapping of an endpoint is over. */
  release: (outside: Endpoint) => void
}

interface Mapping {
  /** The endpoint inside, and the part of the remote one that counts. */
  readonly key: string
  readonly inside: Endpoint
  readonly outside: Endpoint
}

const keyOf = ({ host, port }: Endpoint): string => `${host} ${port}`

const connectionKey = (own: Endpoint, remote: Endpoint): string => `${keyOf(own)} - ${keyOf(remote)}`

/** The part of a remote endpoint that counts. */
const remoteKey = (behaviour: Behaviour, remote: Endpoint): string =>
  behaviour === 'endpoint-independent' ? '' : behaviour === 'address-dependent' ? remote.host : keyOf(remote)

export class MappingTable {
  readonly #init: MappingTableInit
  /** By the endpoint outside. */
  readonly #mappings = new ExpiringMap<Mapping>()
  /** The mapping for remote endpoints that have none yet. */
  readonly #current = new Map<string, Mapping>()
  /** All that there are of a key, the oldest first. More than one only where unsolicited packets are remembered. */
  readonly #ofKey = new Map<string, Set<Mapping>>()
  /** To which remote endpoints, or addresses, a mapping has sent. */
  readonly #permissions = new ExpiringMap<true>()
  /** Where unsolicited packets are remembered: what a pair of an inside and a remote endpoint has keeps its mapping, also when there is a newer one. */
  readonly #connections = new ExpiringMap<Mapping>()
  /** Packets that nobody had asked for, by destination and source. */
  readonly #unsolicited = new ExpiringMap<true>()

  constructor (init: MappingTableInit) { this.#init = init }

  /** How many mappings there are. */
  size (now: number): number {
    this.#expire(now)
    return this.#mappings.size
  }

  /**
   * A packet from inside.
   *
   * @returns its source outside, or why there is none
   */
  outbound (now: number, inside: Endpoint, remote: Endpoint): Endpoint | 'portsExhausted' | 'tableFull' {
    this.#expire(now)
    const known = this.#known(inside, remote)
    const isUsable = known !== undefined && !this.#isUnsolicited(known.outside, remote)
    if (this.#isFull(isUsable ? known : undefined, inside, remote)) return 'tableFull'
    const mapping = isUsable ? known : this.#create(inside, remote)
    if (mapping === undefined) return 'portsExhausted'
    this.#use(now, mapping, remote)
    return mapping.outside
  }

  /**
   * A packet from outside.
   *
   * @returns its destination inside, or why there is none
   */
  inbound (now: number, outside: Endpoint, remote: Endpoint): Endpoint | 'filtered' | 'unmapped' {
    this.#expire(now)
    const mapping = this.#mappings.get(keyOf(outside))
    if (mapping === undefined || !this.#isPermitted(mapping, remote)) {
      this.#remember(now, outside, remote)
      return mapping === undefined ? 'unmapped' : 'filtered'
    }
    if (this.#init.inboundRefresh && !this.#isFull(mapping, mapping.inside, remote)) this.#use(now, mapping, remote)
    return mapping.inside
  }

  /**
   * The endpoint outside that an inside one has for a remote one; for errors, which neither make nor keep a mapping (RFC 5508, section 3.2).
   *
   * @param sentTo - where the packet of the remote one had gone: it may be another one than that for packets to there
   */
  outsideOf (now: number, inside: Endpoint, remote: Endpoint, sentTo?: Endpoint): Endpoint | undefined {
    if (sentTo === undefined) {
      this.#expire(now)
      return this.#known(inside, remote)?.outside
    }
    const there = this.insideOf(now, sentTo, remote)
    return there !== undefined && keyOf(there) === keyOf(inside) ? sentTo : undefined
  }

  /** Which endpoint inside has one outside, when a remote one may send to that; for errors as well. */
  insideOf (now: number, outside: Endpoint, remote: Endpoint): Endpoint | undefined {
    this.#expire(now)
    const mapping = this.#mappings.get(keyOf(outside))
    return mapping !== undefined && this.#isPermitted(mapping, remote) ? mapping.inside : undefined
  }

  /** As after a restart. */
  clear (): void {
    this.#mappings.expire(Infinity, 0, this.#over)
    for (const map of [this.#permissions, this.#connections, this.#unsolicited]) map.clear()
  }

  get #remembers (): boolean { return this.#init.unsolicitedTimeout !== undefined }

  get #filters (): boolean { return this.#init.filtering !== 'endpoint-independent' }

  #key (inside: Endpoint, remote: Endpoint): string { return `${keyOf(inside)} > ${remoteKey(this.#init.mapping, remote)}` }

  #permissionKey ({ outside }: Mapping, remote: Endpoint): string { return `${keyOf(outside)} < ${remoteKey(this.#init.filtering, remote)}` }

  #isPermitted (mapping: Mapping, remote: Endpoint): boolean { return !this.#filters || this.#permissions.has(this.#permissionKey(mapping, remote)) }

  #known (inside: Endpoint, remote: Endpoint): Mapping | undefined {
    return this.#connections.get(connectionKey(inside, remote)) ?? this.#current.get(this.#key(inside, remote))
  }

  /** Whether there is no room for what a packet needs, beside what is there already. */
  #isFull (mapping: Mapping | undefined, inside: Endpoint, remote: Endpoint): boolean {
    const { maxEntries } = this.#init
    return (mapping === undefined && this.#mappings.size >= maxEntries) ||
      (this.#filters && this.#permissions.size >= maxEntries && (mapping === undefined || !this.#permissions.has(this.#permissionKey(mapping, remote)))) ||
      (this.#remembers && this.#connections.size >= maxEntries && !this.#connections.has(connectionKey(inside, remote)))
  }

  #isUnsolicited (outside: Endpoint, remote: Endpoint): boolean {
    return this.#unsolicited.size > 0 && this.#unsolicited.has(connectionKey(outside, remote))
  }

  #remember (now: number, outside: Endpoint, remote: Endpoint): void {
    if (!this.#remembers) return
    const key = connectionKey(outside, remote)
    if (this.#unsolicited.has(key) || this.#unsolicited.size < this.#init.maxEntries) this.#unsolicited.set(key, true, now)
  }

  /**
   * A mapping for all remote endpoints from now on that have none yet. Where unsolicited packets are remembered it may be an older one of the
   * endpoint inside: so does Linux, which takes the newest mapping for the next connection, or else the port that is preserved.
   */
  #create (inside: Endpoint, remote: Endpoint): Mapping | undefined {
    const key = this.#key(inside, remote)
    const older = this.#ofKey.get(key)
    const isUsable = (outside: Endpoint): boolean => {
      const there = this.#mappings.get(keyOf(outside))
      return (there === undefined || (this.#remembers && there.key === key)) && !this.#isUnsolicited(outside, remote)
    }
    const outside = this.#init.endpoints.allocate(inside, isUsable) ?? [...older ?? []].find((one) => isUsable(one.outside))?.outside
    if (outside === undefined) return undefined
    const mapping = this.#mappings.get(keyOf(outside)) ?? { key, inside, outside }
    this.#current.set(key, mapping)
    this.#ofKey.set(key, (older ?? new Set()).add(mapping))
    return mapping
  }

  readonly #over = (mapping: Mapping): void => {
    const { key, outside } = mapping
    this.#init.endpoints.release(outside)
    if (this.#current.get(key) === mapping) this.#current.delete(key)
    const all = this.#ofKey.get(key)
    if (all?.delete(mapping) === true && all.size === 0) this.#ofKey.delete(key)
  }

  #use (now: number, mapping: Mapping, remote: Endpoint): void {
    this.#mappings.set(keyOf(mapping.outside), mapping, now)
    if (this.#filters) this.#permissions.set(this.#permissionKey(mapping, remote), true, now)
    if (this.#remembers) this.#connections.set(connectionKey(mapping.inside, remote), mapping, now)
  }

  #expire (now: number): void {
    const { timeout, unsolicitedTimeout = 0 } = this.#init
    this.#permissions.expire(now, timeout)
    this.#connections.expire(now, timeout)
    this.#mappings.expire(now, timeout, this.#over)
    this.#unsolicited.expire(now, unsolicitedTimeout)
  }
}
