/** A subnet: it brings packets from one of its interfaces to another, by address. */
import { verifyAddress } from './address.ts'
import { changed, NO_CONDITIONS, type AllConditions } from './conditions.ts'
import { NetworkInterface, type Directions } from './network-interface.ts'
import { errorAbout, familyOf, type Device, type Family, type Packet, type PacketError } from './packet.ts'
import type { Simulation } from './simulation.ts'
import { OptionError } from '../../../errors.ts'
import { CidrList } from '../../../net/cidr-list.ts'

/** Addresses whose way is remembered. */
const MAX_KNOWN = 4096

/** Addresses that no interface has: of nobody, of loopback, multicast and broadcast. */
const UNUSABLE = new CidrList('unusable', ['0.0.0.0/32', '127.0.0.0/8', '224.0.0.0/4', '255.255.255.255/32', '::/128', '::1/128', 'ff00::/8'])

export interface JoinInit extends Directions {
  device: Device
  addresses: readonly string[]
  onArrived: (packet: Packet) => void
}

/** A switch with addresses, and gateways to elsewhere. Made by `network.subnet`. */
export class Subnet {
  readonly name: string
  /** CIDRs. */
  readonly networks: readonly string[]
  readonly #simulation: Simulation
  readonly #networks: CidrList
  readonly #conditions: AllConditions
  readonly #interfaces = new Map<string, NetworkInterface>()
  readonly #gateways = new Map<Family, NetworkInterface>()
  readonly #routes: Array<readonly [CidrList, NetworkInterface]> = []
  /** Ways to addresses, as they are looked up for each packet. */
  readonly #known = new Map<string, NetworkInterface | undefined>()

  /**
   * @throws {OptionError} when a network is none
   * @internal
   */
  constructor (simulation: Simulation, { name, networks, conditions }: { name: string, networks: readonly string[], conditions: AllConditions }) {
    this.#simulation = simulation
    this.name = name
    this.#networks = new CidrList('subnet', networks)
    this.#conditions = conditions
    this.networks = networks
  }

  /** Whether an address is one of the subnet. */
  includes (host: string): boolean { return this.#networks.includes(host) }

  /**
   * A new interface.
   *
   * @throws {OptionError} when an address is in use already, or none of the subnet; when a condition is out of range
   * @internal
   */
  join ({ device, addresses, up, down, onArrived }: JoinInit): NetworkInterface {
    const own = addresses.map(verifyAddress)
    for (const [i, address] of own.entries()) {
      if (!this.includes(address)) throw new OptionError(`${address} is not in ${this.name}`)
      if (UNUSABLE.includes(address)) throw new OptionError(`${address} is the address of no host`)
      if (this.#interfaces.has(address) || own.indexOf(address) < i) throw new OptionError(`${address} is in use in ${this.name}`)
    }
    const joined = new NetworkInterface(this.#simulation, {
      device,
      addresses: own,
      conditions: { up: changed(this.#conditions, up ?? {}), down: changed(NO_CONDITIONS, down ?? {}) },
      onSent: this.#forward,
      onArrived
    })
    for (const address of own) this.#interfaces.set(address, joined)
    this.#known.clear()
    return joined
  }

  /**
   * Removes an interface.
   *
   * @internal
   */
  leave (gone: NetworkInterface): void {
    gone.leave()
    for (const address of gone.addresses) this.#interfaces.delete(address)
    this.#known.clear()
  }

  /**
   * @throws {OptionError} when there is a gateway already
   * @internal
   */
  verifyNoGateway (family: Family): void {
    if (this.#gateways.has(family)) throw new OptionError(`${this.name} has a gateway for ${family === 'ipv4' ? 'IPv4' : 'IPv6'} already`)
  }

  /**
   * Packets to other networks go there.
   *
   * @internal
   */
  setGateway (family: Family, gateway: NetworkInterface): void {
    this.#gateways.set(family, gateway)
    this.#known.clear()
  }

  /**
   * Packets to these networks go there, although they may be parts of the subnet.
   *
   * @internal
   */
  addRoute (networks: readonly string[], gateway: NetworkInterface): void {
    this.#routes.push([new CidrList('route', networks), gateway])
    this.#known.clear()
  }

  /**
   * Whether there is a way to an address at all, `direct` where it needs no gateway of last resort.
   *
   * @internal
   */
  wayTo (host: string): 'direct' | 'gateway' | undefined {
    const next = this.#nextTo(host)
    if (next === undefined) return this.includes(host) ? 'direct' : undefined
    return next === this.#gateways.get(familyOf(host)) ? 'gateway' : 'direct'
  }

  /**
   * What ICMP says of a packet of an interface, which gets it back.
   *
   * @internal
   */
  refuse (packet: Packet, from: NetworkInterface, error: Omit<PacketError, 'of'>): void {
    if (packet.error !== undefined) return // of errors there are none
    const answer = errorAbout(packet, this.#simulation.newId(), { host: packet.destination.host, origin: undefined }, error)
    this.#simulation.record('sent', this.name, answer)
    from.arrive(answer)
  }

  readonly #forward = (packet: Packet, from: NetworkInterface): void => {
    const to = this.#nextTo(packet.destination.host)
    if (to === undefined || to === from) {
      this.#simulation.record('noHost', this.name, packet)
      this.refuse(packet, from, { kind: 'hostUnreachable' })
    } else if (this.#simulation.isSeparated(from.device, to.device) || this.#simulation.isSeparated(packet.origin, to.device)) {
      this.#simulation.record('partitioned', this.name, packet)
    } else if (packet.size > to.mtuDown) {
      this.#simulation.record('tooLarge', this.name, packet)
      this.refuse(packet, from, { kind: 'tooLarge', mtu: to.mtuDown })
    } else {
      to.arrive(packet, from.device)
    }
  }

  #nextTo (host: string): NetworkInterface | undefined {
    const there = this.#interfaces.get(host)
    if (there !== undefined) return there
    if (this.#known.has(host)) return this.#known.get(host)
    if (this.#known.size >= MAX_KNOWN) this.#known.clear()
    const next = this.#routes.find(([networks]) => networks.includes(host))?.[1] ?? (this.includes(host) ? undefined : this.#gateways.get(familyOf(host)))
    this.#known.set(host, next)
    return next
  }
}
