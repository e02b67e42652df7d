/** What a NAT and a firewall have in common: an interface inside and one outside, and tables that say what passes. */
import type { Behaviour, MappingTable } from './mapping-table.ts'
import type { Directions, NetworkInterface } from './network-interface.ts'
import { errorAbout, type Device, type Family, type Packet, type PacketProtocol } from './packet.ts'
import type { Simulation } from './simulation.ts'
import type { Subnet } from './subnet.ts'
import { OptionError } from '../../../errors.ts'
import { verifyMilliseconds } from '../../../options.ts'

/** Where a gateway is, with the conditions of its interface outside. */
export interface GatewayInit extends Directions {
  inside: Subnet
  outside: Subnet
  /** For the trace. Default: `nat-1`, `firewall-1` and so on. */
  name?: string
}

export type Tables = Readonly<Record<PacketProtocol, MappingTable>>

/** What makes one gateway differ from another. */
export interface GatewayRules {
  family: Family
  /** Undefined: all passes. */
  tables: Tables | undefined
  /** The address outside that stands for all inside. Default: each has its own one, and `routes` lead to them. */
  address?: string
  /** Networks inside that are known outside. Default: none. */
  routes?: readonly string[]
  /** Default: false. */
  hairpin?: boolean
}

/** What leads from one subnet to another: a NAT or a firewall. */
export class Gateway implements Device {
  readonly name: string
  readonly #simulation: Simulation
  readonly #tables: Tables | undefined
  readonly #address: string | undefined
  readonly #hairpin: boolean
  readonly #inside: NetworkInterface
  readonly #outside: NetworkInterface

  /**
   * @throws {OptionError} when the address is in use; when the inside has a gateway already, or is the outside; when a condition is out of range
   * @internal
   */
  constructor (simulation: Simulation, name: string, { inside, outside, up, down }: GatewayInit, { family, tables, address, routes, hairpin = false }: GatewayRules) {
    if (inside === outside) throw new OptionError(`${inside.name} is both the inside and the outside`)
    inside.verifyNoGateway(family)
    this.name = name
    this.#simulation = simulation
    this.#tables = tables
    this.#hairpin = hairpin
    this.#outside = outside.join({ device: this, addresses: address === undefined ? [] : [address], up, down, onArrived: (packet) => { if (this.#passes(packet)) this.#fromOutside(packet) } })
    this.#inside = inside.join({ device: this, addresses: [], onArrived: (packet) => { if (this.#passes(packet)) this.#fromInside(packet) } })
    this.#address = this.#outside.addresses[0]
    inside.setGateway(family, this.#inside)
    if (routes !== undefined) outside.addRoute(routes, this.#outside)
  }

  /**
   * Changes some conditions of the interface outside, for packets from now on.
   *
   * @throws {OptionError} when one is out of range
   */
  setConditions (directions: Directions): void { this.#outside.setConditions(directions) }

  /** Forgets all mappings and permissions, as a restart does. */
  forget (): void {
    this.#tables?.udp.clear()
    this.#tables?.tcp.clear()
  }

  /** Mappings of a protocol. */
  mappings (protocol: PacketProtocol): number { return this.#tables?.[protocol].size(this.#simulation.now) ?? 0 }

  #passes (packet: Packet): boolean {
    if (packet.hops > 1) return true
    this.#simulation.record('hopsExceeded', this.name, packet)
    return false
  }

  #fromInside (packet: Packet): void {
    const isHairpin = packet.destination.host === this.#address
    if (isHairpin && !this.#hairpin) {
      this.#simulation.record('noHairpin', this.name, packet)
    } else if (packet.error !== undefined) {
      this.#errorFromInside(packet)
    } else {
      const source = this.#tables?.[packet.protocol].outbound(this.#simulation.now, packet.source, packet.destination) ?? packet.source
      if (typeof source === 'string') this.#simulation.record(source, this.name, packet)
      else this.#pass(packet, { ...packet, source, hops: packet.hops - 1 }, isHairpin)
    }
  }

  /** A packet of the inside, as it is outside. */
  #pass (packet: Packet, translated: Packet, isHairpin: boolean): void {
    if (this.#address !== undefined) this.#simulation.record('translated', this.name, translated)
    if (isHairpin) this.#fromOutside(translated, packet, this.#inside)
    else this.#send(this.#outside, translated, packet, this.#inside)
  }

  #errorFromInside (packet: Packet): void {
    const { error, protocol, destination } = packet
    if (error === undefined) return
    const replaced = [...packet.replaced ?? []]
    const of = this.#tables === undefined ? error.of : this.#tables[protocol].outsideOf(this.#simulation.now, error.of, destination, replaced.pop())
    if (of === undefined) this.#simulation.record('filtered', this.name, packet)
    else this.#pass(packet, { ...packet, source: { host: this.#address ?? packet.source.host, port: 0 }, error: { ...error, of }, replaced, hops: packet.hops - 1 }, destination.host === this.#address)
  }

  /**
   * @param original - the packet as its sender knows it, which an answer of ICMP is about
   * @param from - where that goes
   */
  #fromOutside (packet: Packet, original = packet, from = this.#outside): void {
    const { protocol, source, destination, error, replaced } = packet
    const { now } = this.#simulation
    const table = this.#tables?.[protocol]
    const inside = table === undefined
      ? destination
      : error === undefined ? table.inbound(now, destination, source) : table.insideOf(now, destination, error.of) ?? 'filtered'
    if (typeof inside === 'string') {
      this.#simulation.record(inside, this.name, packet)
      return
    }
    const translated = { ...packet, destination: inside, replaced: table === undefined || error !== undefined ? replaced : [...replaced ?? [], destination], hops: packet.hops - 1 }
    if (this.#address !== undefined) this.#simulation.record('translated', this.name, translated)
    this.#send(this.#inside, translated, original, from)
  }

  #send (to: NetworkInterface, packet: Packet, original: Packet, from: NetworkInterface): void {
    if (packet.size <= to.mtu) {
      to.send(packet)
      return
    }
    this.#simulation.record('tooLarge', this.name, packet)
    if (original.error !== undefined) return
    const answer = errorAbout(original, this.#simulation.newId(), { host: this.#address ?? original.destination.host, origin: this }, { kind: 'tooLarge', mtu: to.mtu })
    this.#simulation.record('sent', this.name, answer)
    from.send(answer)
  }
}

const BEHAVIOURS: readonly string[] = ['endpoint-independent', 'address-dependent', 'address-and-port-dependent'] satisfies Behaviour[]

/** The given value; throws `OptionError` when it is no behaviour. */
export function verifyBehaviour (name: string, value: Behaviour): Behaviour {
  if (!BEHAVIOURS.includes(value)) throw new OptionError(`${name} is one of ${BEHAVIOURS.join(', ')}, not ${String(value)}`)
  return value
}

/** Checks the times of tables and their bound. */
export function verifyTable ({ timeout, tcpTimeout, maxEntries }: { timeout: number, tcpTimeout: number, maxEntries: number }): void {
  verifyMilliseconds('timeout', timeout)
  verifyMilliseconds('tcpTimeout', tcpTimeout)
  if (!Number.isSafeInteger(maxEntries) || maxEntries < 1) throw new OptionError(`maxEntries is a whole number, at least 1, not ${String(maxEntries)}`)
}
