/** A network made of code: the door to hosts, subnets, NATs and conditions. */
import { changed, DEFAULT_CONDITIONS, type Conditions } from './conditions.ts'
import { SimulatedFirewall, type FirewallInit } from './firewall.ts'
import { SimulatedHost, type HostInit } from './host.ts'
import { SimulatedNat, type NatInit } from './nat.ts'
import type { Device } from './packet.ts'
import { Simulation } from './simulation.ts'
import { Subnet } from './subnet.ts'
import type { Happening, Trace, TraceEvent } from './trace.ts'
import { OptionError } from '../../../errors.ts'
import { VirtualClock } from '../../../streams/virtual-clock.ts'

/** Options of a {@link SimulatedNetwork}. */
export interface SimulatedNetworkInit {
  /** All that is random in the network follows from it, not what programs do by themselves. A whole number. Default: 0. */
  seed?: number
  /** Default: one of its own, at 0. */
  clock?: VirtualClock
  /** Events that the trace keeps; 0 for none. Default: 10,000. */
  trace?: number
  /** Called with each event. */
  onPacket?: (event: TraceEvent) => void
  /** Bytes of the packets that are on their way at once, with 640 for each; what would be more is dropped. Default: 64 MiB. */
  inFlight?: number
}

/** Options of a subnet. */
export interface SubnetInit extends Conditions {
  /** For the trace. Default: its networks. */
  name?: string
}

/**
 * Hosts, subnets and what is between them, on a clock that goes on only when it is told to.
 *
 * ```ts
 * const network = new SimulatedNetwork({ seed: 7 })
 * const internet = network.subnet('0.0.0.0/0', { delay: 20, loss: 0.01 })
 * const home = network.subnet('192.168.1.0/24')
 * network.nat({ inside: home, outside: internet, address: '203.0.113.7', kind: 'symmetric' })
 * const alice = network.host({ on: home, address: '192.168.1.2', name: 'alice' })
 * const socket = await alice.bindUdp()
 * await network.clock.pass(60_000)
 * ```
 */
export class SimulatedNetwork {
  readonly seed: number
  readonly clock: VirtualClock
  readonly #simulation: Simulation
  #hosts = 0
  #nats = 0
  #firewalls = 0

  /** @throws {OptionError} when an option is out of range */
  constructor ({ seed = 0, clock = new VirtualClock(), trace = 10_000, onPacket, inFlight = 64 << 20 }: SimulatedNetworkInit = {}) {
    if (!Number.isSafeInteger(seed)) throw new OptionError(`seed is a whole number, not ${String(seed)}`)
    this.seed = seed
    this.clock = clock
    this.#simulation = new Simulation({ seed, clock, trace, onPacket, inFlight })
  }

  /** What happened to packets, the last of it; `String(network.trace)` is its text. */
  get trace (): Trace { return this.#simulation.trace }

  /** How often what has happened, since the start. */
  get counts (): Readonly<Record<Happening, number>> { return this.#simulation.counts }

  /**
   * A subnet, with the conditions under which packets enter it.
   *
   * @param networks - a CIDR, or several: `['0.0.0.0/0', '::/0']`
   * @throws {OptionError} when a network is none, or a condition out of range
   */
  subnet (networks: string | readonly string[], { name, ...conditions }: SubnetInit = {}): Subnet {
    const all = typeof networks === 'string' ? [networks] : networks
    if (!Array.isArray(all) || all.length === 0) throw new OptionError('a subnet has a network such as 192.168.1.0/24')
    return new Subnet(this.#simulation, { name: name ?? all.join(' '), networks: all, conditions: changed(DEFAULT_CONDITIONS, conditions) })
  }

  /** @throws {OptionError} when an address is in use already, or none of the subnet; when a condition is out of range */
  host ({ name, ...where }: HostInit): SimulatedHost {
    const host = new SimulatedHost(this.#simulation, name ?? `host-${++this.#hosts}`)
    host.join(where)
    return host
  }

  /** @throws {OptionError} when an option is out of range; when the address is in use; when the inside has a gateway already */
  nat (init: NatInit): SimulatedNat { return new SimulatedNat(this.#simulation, { ...init, name: init.name ?? `nat-${++this.#nats}` }) }

  /** @throws {OptionError} when an option is out of range; when the inside has a gateway for this family already */
  firewall (init: FirewallInit): SimulatedFirewall { return new SimulatedFirewall(this.#simulation, { ...init, name: init.name ?? `firewall-${++this.#firewalls}` }) }

  /**
   * From now on nothing gets from one group to the other, whoever has sent it; without a second group: to nobody else. Packets that are on
   * their way are dropped when they arrive.
   *
   * @returns what ends this partition
   */
  partition (one: Iterable<Device>, other?: Iterable<Device>): () => void { return this.#simulation.partition(one, other) }

  /** Ends all partitions. */
  heal (): void { this.#simulation.heal() }
}
