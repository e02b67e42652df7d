/** A host of a simulated network: interfaces in subnets, and the protocols above. */
import { MAX_MTU } from './conditions.ts'
import type { HostStack } from './host-stack.ts'
import { verifyDirections, type Directions, type NetworkInterface } from './network-interface.ts'
import { errorAbout, familyOf, headersOf, HOPS, type Device, type Packet, type PacketInit, type PacketProtocol, type ProtocolHandler } from './packet.ts'
import { LEAST_DELAY } from './pipe.ts'
import type { Simulation } from './simulation.ts'
import type { Subnet } from './subnet.ts'
import { StreamPorts } from './stream/stream-ports.ts'
import type { SimulatedTransport, SimulatedTransportInit } from './stream/transport.ts'
import { UdpPorts } from './udp-ports.ts'
import type { BindUdpInit } from '../../udp/bind.ts'
import type { UdpSocket } from '../../udp/socket.ts'
import { OptionError } from '../../../errors.ts'

/** Where a host is connected. */
export interface JoinSubnetInit extends Directions {
  on: Subnet
  /** One address, or several, of the subnet. */
  address: string | readonly string[]
}

/** Options of a host. */
export interface HostInit extends JoinSubnetInit {
  /** For the trace. Default: `host-1` and so on. */
  name?: string
}

interface Attachment {
  readonly subnet: Subnet
  readonly joined: NetworkInterface
}

const isLoopback = (address: string): boolean => address === '::1' || address.startsWith('127.')

/** A host, with sockets of its own. Made by `network.host`. */
export class SimulatedHost implements Device {
  readonly name: string
  readonly #simulation: Simulation
  readonly #attachments: Attachment[] = []
  readonly #handlers = new Map<PacketProtocol, ProtocolHandler>()
  readonly #stack: HostStack
  readonly #udp: UdpPorts
  readonly #tcp: StreamPorts

  /** @internal */
  constructor (simulation: Simulation, name: string) {
    this.name = name
    this.#simulation = simulation
    this.#stack = {
      simulation,
      name,
      addresses: () => this.addresses,
      isOwn: (address) => this.#isOwn(address),
      sourceFor: (destination) => this.#isOwn(destination) ? destination : this.#addressOf(this.#wayTo(destination)?.joined, destination),
      mtuTo: (destination, source) => this.#isOwn(destination) ? MAX_MTU : this.#wayTo(destination, source)?.joined.mtu,
      send: (packet) => this.#sendNew(packet)
    }
    this.#udp = new UdpPorts(this.#stack)
    this.#handlers.set('udp', this.#udp)
    this.#tcp = new StreamPorts(this.#stack)
    this.#handlers.set('tcp', this.#tcp)
  }

  /** In the order in which they were added. */
  get interfaces (): NetworkInterface[] { return this.#attachments.map(({ joined }) => joined) }

  /** Of all interfaces. */
  get addresses (): string[] { return this.#attachments.flatMap(({ joined }) => joined.addresses) }

  /**
   * One more interface.
   *
   * @throws {OptionError} when an address is in use already, or none of the subnet; when a condition is out of range
   */
  join ({ on, address, ...directions }: JoinSubnetInit): NetworkInterface {
    verifyDirections(directions)
    const addresses = typeof address === 'string' ? [address] : address
    if (!Array.isArray(addresses) || addresses.length === 0) throw new OptionError('a host has an address in its subnet')
    const joined = on.join({ ...directions, device: this, addresses, onArrived: this.#receive })
    this.#attachments.push({ subnet: on, joined })
    return joined
  }

  /** Removes an interface, as when a device moves on to another network. Sockets stay, and get nothing on its addresses any more. */
  leave (gone: NetworkInterface): void {
    const at = this.#attachments.findIndex(({ joined }) => joined === gone)
    if (at < 0) return
    this.#attachments[at].subnet.leave(gone)
    this.#attachments.splice(at, 1)
  }

  /**
   * Changes some conditions of all interfaces, for packets from now on.
   *
   * @throws {OptionError} when one is out of range
   */
  setConditions (directions: Directions): void {
    for (const { joined } of this.#attachments) joined.setConditions(directions)
  }

  /**
   * Binds a UDP socket.
   *
   * @param init - as of `bindUdp`, where what is for the kernel changes nothing; `host` is by default the first address, `0.0.0.0` means all
   *   of IPv4, and `::` all; `port` is by default a free one
   * @throws {OptionError} when an option is out of range; else the error of a system: `EADDRINUSE`, `EADDRNOTAVAIL`
   */
  async bindUdp (init: Partial<BindUdpInit> = {}): Promise<UdpSocket> { return this.#udp.bind(init) }

  /**
   * TCP of this host. All transports of a host share its ports.
   *
   * @throws {OptionError} when an option is out of range
   */
  transport (init: SimulatedTransportInit = {}): SimulatedTransport { return this.#tcp.transport(init) }

  /** TCP connections of this host, with those that have ended and only keep their addresses for a while. */
  get connections (): number { return this.#tcp.connections }

  /**
   * A protocol gets its packets from now on.
   *
   * @param make - makes what takes them
   * @internal
   */
  attach<H extends ProtocolHandler> (protocol: PacketProtocol, make: (stack: HostStack) => H): H {
    const handler = make(this.#stack)
    this.#handlers.set(protocol, handler)
    return handler
  }

  #sendNew ({ protocol, source, destination, bytes, payload }: PacketInit): number | string {
    const size = bytes + headersOf(protocol, destination.host)
    return this.#send({ id: this.#simulation.newId(), protocol, source, destination, size, payload, hops: HOPS, origin: this })
  }

  #send (packet: Packet): number | string {
    const { host } = packet.destination
    const { now } = this.#simulation
    if (this.#isOwn(host)) {
      this.#simulation.record('sent', this.name, packet)
      return this.#loop(packet)
    }
    const way = this.#wayTo(host, packet.source.host)
    if (way === undefined) {
      this.#simulation.record('noRoute', this.name, packet)
      return 'ENETUNREACH'
    }
    if (packet.size > way.joined.mtu) {
      this.#simulation.record('tooLarge', this.name, packet)
      return 'EMSGSIZE'
    }
    this.#simulation.record('sent', this.name, packet)
    return Math.max(now, way.joined.send(packet))
  }

  #isOwn (address: string): boolean { return isLoopback(address) || this.#attachments.some(({ joined }) => joined.addresses.includes(address)) }

  /** To itself, past all conditions. */
  #loop (packet: Packet): number {
    if (!this.#simulation.reserve(packet.size)) {
      this.#simulation.record('networkFull', this.name, packet)
      return this.#simulation.now
    }
    this.#simulation.schedule(this.#simulation.now + LEAST_DELAY, () => {
      this.#simulation.release(packet.size)
      this.#receive(packet)
    })
    return this.#simulation.now
  }

  /** The interface that leads to an address: one whose subnet has it, else one whose subnet has a gateway. */
  #wayTo (destination: string, source?: string): Attachment | undefined {
    let found: Attachment | undefined
    for (const attachment of this.#attachments) {
      if (source !== undefined ? !attachment.joined.addresses.includes(source) : this.#addressOf(attachment.joined, destination) === undefined) continue
      const way = attachment.subnet.wayTo(destination)
      if (way === 'direct') return attachment
      if (way === 'gateway') found ??= attachment
    }
    return found
  }

  /** The address of an interface of the same family as another one. */
  #addressOf (joined: NetworkInterface | undefined, other: string): string | undefined {
    return joined?.addresses.find((address) => familyOf(address) === familyOf(other))
  }

  readonly #receive = (packet: Packet): void => {
    const handler = this.#handlers.get(packet.protocol)
    if (packet.error !== undefined) {
      this.#simulation.record('delivered', this.name, packet)
      this.#simulation.woke()
      handler?.fail(packet, packet.error)
    } else if (handler?.receive(packet) !== true) {
      this.#simulation.record('noPort', this.name, packet)
      const error = errorAbout(packet, this.#simulation.newId(), { host: packet.destination.host, origin: this }, { kind: 'portUnreachable' })
      this.#send({ ...error, source: { host: packet.destination.host, port: 0 } })
    }
  }
}
