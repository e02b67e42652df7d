/** The table of a NAT or a firewall in the terms of RFC 4787: which endpoint outside stands for one inside, and who may send to it. No clock of its own. */
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
  /** Milliseconds for which a packet that nobody inside has asked for takes its endpoints from a connection of the inside; undefined: it takes none. */
  unsolicitedTimeout: number | undefined
  /** Mappings, permissions and unsolicited packets, of each kind. */
  maxEntries: number
  /** An endpoint outside for one inside; undefined when there is none left. */
  allocate: (inside: Endpoint, isFree: (outside: Endpoint) => boolean, taken: number) => Endpoint | undefined
}

interface Mapping {
  readonly key: string
  readonly inside: Endpoint
  readonly outside: Endpoint
  used: number
}

const keyOf = ({ host, port }: Endpoint): string => `${host} ${port}`

/** The part of a remote endpoint that counts. */
const remoteKey = (behaviour: Behaviour, remote: Endpoint): string =>
  behaviour === 'endpoint-independent' ? '' : behaviour === 'address-dependent' ? remote.host : keyOf(remote)

/** In the order in which they were used, so that those whose time is over are in front. */
function touch<V> (map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
}

export class MappingTable {
  readonly #init: MappingTableInit
  readonly #mappings = new Map<string, Mapping>()
  readonly #byOutside = new Map<string, Mapping>()
  /** When a mapping has last sent to a remote, by both. */
  readonly #permissions = new Map<string, number>()
  /** When a packet that nobody had asked for came last, by its destination and source. */
  readonly #unsolicited = new Map<string, number>()

  constructor (init: MappingTableInit) { this.#init = init }

  /** Mappings; some of them may be over since the last packet. */
  get size (): number { return this.#mappings.size }

  /**
   * A packet from inside.
   *
   * @returns its source outside, or why there is none
   */
  outbound (now: number, inside: Endpoint, remote: Endpoint): Endpoint | 'portsExhausted' | 'tableFull' {
    this.#expire(now)
    let mapping = this.#mappingOf(inside, remote)
    if (mapping === undefined || this.#isTaken(mapping, remote)) {
      const created = this.#create(now, inside, remote, mapping !== undefined)
      if (typeof created === 'string') return created
      mapping = created
    }
    if (this.#init.filtering !== 'endpoint-independent') {
      const permission = this.#permissionKey(mapping, remote)
      if (!this.#permissions.has(permission) && this.#permissions.size >= this.#init.maxEntries) return 'tableFull'
      touch(this.#permissions, permission, now)
    }
    this.#use(now, mapping)
    return mapping.outside
  }

  /**
   * A packet from outside.
   *
   * @returns its destination inside, or why there is none
   */
  inbound (now: number, outside: Endpoint, remote: Endpoint): Endpoint | 'filtered' | 'unmapped' {
    this.#expire(now)
    const mapping = this.#byOutside.get(keyOf(outside))
    if (mapping === undefined || !this.#isPermitted(mapping, remote)) {
      this.#remember(now, outside, remote)
      return mapping === undefined ? 'unmapped' : 'filtered'
    }
    if (this.#init.inboundRefresh) {
      if (this.#init.filtering !== 'endpoint-independent') touch(this.#permissions, this.#permissionKey(mapping, remote), now)
      this.#use(now, mapping)
    }
    return mapping.inside
  }

  /** The endpoint outside that an inside one has for a remote one; for errors, which neither make nor keep a mapping (RFC 5508, section 3.2). */
  outsideOf (now: number, inside: Endpoint, remote: Endpoint): Endpoint | undefined {
    this.#expire(now)
    return this.#mappingOf(inside, remote)?.outside
  }

  /** The same in the other direction. */
  insideOf (now: number, outside: Endpoint, remote: Endpoint): Endpoint | undefined {
    this.#expire(now)
    const mapping = this.#byOutside.get(keyOf(outside))
    return mapping !== undefined && this.#isPermitted(mapping, remote) ? mapping.inside : undefined
  }

  /** As after a restart. */
  clear (): void {
    for (const map of [this.#mappings, this.#byOutside, this.#permissions, this.#unsolicited]) map.clear()
  }

  #mappingOf (inside: Endpoint, remote: Endpoint): Mapping | undefined {
    const remapped = this.#init.unsolicitedTimeout === undefined ? undefined : this.#mappings.get(this.#remappedKey(inside, remote))
    return remapped ?? this.#mappings.get(this.#key(inside, remote))
  }

  #key (inside: Endpoint, remote: Endpoint): string { return `${keyOf(inside)} > ${remoteKey(this.#init.mapping, remote)}` }

  /** Of a mapping for this remote endpoint alone, whatever mappings depend on. */
  #remappedKey (inside: Endpoint, remote: Endpoint): string { return `${keyOf(inside)} >> ${keyOf(remote)}` }

  #permissionKey ({ outside }: Mapping, remote: Endpoint): string { return `${keyOf(outside)} < ${remoteKey(this.#init.filtering, remote)}` }

  #isPermitted (mapping: Mapping, remote: Endpoint): boolean {
    return this.#init.filtering === 'endpoint-independent' || this.#permissions.has(this.#permissionKey(mapping, remote))
  }

  /** An unsolicited packet has taken the endpoints of this mapping and the remote one. */
  #isTaken (mapping: Mapping, remote: Endpoint): boolean {
    return mapping.key !== this.#remappedKey(mapping.inside, remote) && this.#isUnsolicited(mapping.outside, remote)
  }

  #isUnsolicited (outside: Endpoint, remote: Endpoint): boolean {
    return this.#unsolicited.size > 0 && this.#unsolicited.has(`${keyOf(outside)} < ${keyOf(remote)}`)
  }

  #remember (now: number, outside: Endpoint, remote: Endpoint): void {
    if (this.#init.unsolicitedTimeout === undefined) return
    const key = `${keyOf(outside)} < ${keyOf(remote)}`
    if (this.#unsolicited.has(key) || this.#unsolicited.size < this.#init.maxEntries) touch(this.#unsolicited, key, now)
  }

  #create (now: number, inside: Endpoint, remote: Endpoint, isRemapped: boolean): Mapping | 'portsExhausted' | 'tableFull' {
    const { maxEntries, allocate } = this.#init
    if (this.#mappings.size >= maxEntries || (this.#init.filtering !== 'endpoint-independent' && this.#permissions.size >= maxEntries)) return 'tableFull'
    const isFree = (outside: Endpoint): boolean => !this.#byOutside.has(keyOf(outside))
    let outside = allocate(inside, isFree, this.#byOutside.size)
    if (outside !== undefined && this.#isUnsolicited(outside, remote)) {
      isRemapped = true
      outside = allocate(inside, (other) => isFree(other) && !this.#isUnsolicited(other, remote), this.#byOutside.size)
    }
    if (outside === undefined) return 'portsExhausted'
    const mapping: Mapping = { key: isRemapped ? this.#remappedKey(inside, remote) : this.#key(inside, remote), inside, outside, used: now }
    this.#byOutside.set(keyOf(outside), mapping)
    return mapping
  }

  #use (now: number, mapping: Mapping): void {
    mapping.used = now
    touch(this.#mappings, mapping.key, mapping)
  }

  #expire (now: number): void {
    const { timeout, unsolicitedTimeout = 0 } = this.#init
    for (const [key, used] of this.#permissions) {
      if (used + timeout > now) break
      this.#permissions.delete(key)
    }
    for (const [key, { used, outside }] of this.#mappings) {
      if (used + timeout > now) break
      this.#mappings.delete(key)
      this.#byOutside.delete(keyOf(outside))
    }
    for (const [key, used] of this.#unsolicited) {
      if (used + unsolicitedTimeout > now) break
      this.#unsolicited.delete(key)
    }
  }
}
