/** A gateway that translates nothing: a stateful firewall (RFC 6092), or a plain router. */
import { Gateway, verifyBehaviour, verifyTable, type GatewayInit } from './gateway.ts'
import { MappingTable, type Behaviour, type OutsideEndpoints } from './mapping-table.ts'
import { familyOf, type Family } from './packet.ts'
import type { Simulation } from './simulation.ts'
import { OptionError } from '../../../errors.ts'

/** Options of a firewall. */
export interface FirewallInit extends GatewayInit {
  /** What it connects. Default: `ipv6`, as it is that which needs no NAT. */
  family?: Family
  /** Who may send to an endpoint inside that has sent before; `none`: everybody may at any time. Default: `address-and-port-dependent`. */
  filtering?: Behaviour | 'none'
  /** Milliseconds without a packet until that ends, for UDP. Default: 120,000. */
  timeout?: number
  /** The same for TCP. Default: 7,440,000. */
  tcpTimeout?: number
  /** Packets from outside keep it, too. Default: false. */
  inboundRefresh?: boolean
  /** Endpoints inside, and permissions of remote ones, of a protocol. Default: 65,536 of each. */
  maxEntries?: number
}

/** Hosts inside are known by their own endpoints. */
const OWN: OutsideEndpoints = { allocate: (inside) => inside, release: () => {} }

/** A gateway that translates nothing. Made by `network.firewall`. */
export class SimulatedFirewall extends Gateway {
  /**
   * @throws {OptionError} when an option is out of range; when the inside has a gateway for this family already
   * @internal
   */
  constructor (simulation: Simulation, init: FirewallInit & { name: string }) {
    const { family = 'ipv6', filtering = 'address-and-port-dependent', timeout = 120_000, tcpTimeout = 7_440_000, inboundRefresh = false, maxEntries = 65_536, inside } = init
    if (family !== 'ipv4' && family !== 'ipv6') throw new OptionError(`family is ipv4 or ipv6, not ${String(family)}`)
    const networks = inside.networks.filter((network) => familyOf(network) === family)
    if (networks.length === 0) throw new OptionError(`${inside.name} has no network of ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`)
    verifyTable({ timeout, tcpTimeout, maxEntries })
    const table = (timeout: number): MappingTable | undefined => filtering === 'none'
      ? undefined
      : new MappingTable({ mapping: 'endpoint-independent', filtering: verifyBehaviour('filtering', filtering), timeout, inboundRefresh, unsolicitedTimeout: undefined, maxEntries, endpoints: OWN })
    const [udp, tcp] = [table(timeout), table(tcpTimeout)]
    super(simulation, init.name, init, { family, tables: udp === undefined || tcp === undefined ? undefined : { udp, tcp }, routes: networks })
  }
}
