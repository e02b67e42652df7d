/** A NAT between two subnets (RFC 4787). */
import { verifyAddress } from './address.ts'
import { Gateway, verifyBehaviour, verifyTable, type GatewayInit } from './gateway.ts'
import { MappingTable, type Behaviour } from './mapping-table.ts'
import { familyOf } from './packet.ts'
import { PortPool } from './port-pool.ts'
import type { Simulation } from './simulation.ts'
import { OptionError } from '../../../errors.ts'
import { verifyMilliseconds } from '../../../options.ts'

/** The four kinds of RFC 3489, section 5, in the terms of RFC 4787. */
export const NAT_KINDS = {
  'full-cone': { mapping: 'endpoint-independent', filtering: 'endpoint-independent' },
  'restricted-cone': { mapping: 'endpoint-independent', filtering: 'address-dependent' },
  'port-restricted-cone': { mapping: 'endpoint-independent', filtering: 'address-and-port-dependent' },
  symmetric: { mapping: 'address-and-port-dependent', filtering: 'address-and-port-dependent' }
} as const satisfies Record<string, { mapping: Behaviour, filtering: Behaviour }>

/** The four kinds of RFC 3489, section 5, as {@link NAT_KINDS} has them in the terms of RFC 4787. */
export type NatKind = keyof typeof NAT_KINDS

/** Options of a NAT. */
export interface NatInit extends GatewayInit {
  /** The address outside. */
  address: string
  /** Sets `mapping` and `filtering`, where those are not given. Default: `port-restricted-cone`. */
  kind?: NatKind
  mapping?: Behaviour
  filtering?: Behaviour
  /** Packets from inside to a mapping of this NAT get there, with the source that they have outside (REQ-9). Default: false. */
  hairpin?: boolean
  /** Milliseconds without a packet until a mapping of UDP ends. Default: 120,000, the least of REQ-5. */
  timeout?: number
  /** The same for TCP. Default: 7,440,000 (RFC 5382, REQ-5). Ends of connections are not looked at. */
  tcpTimeout?: number
  /** Packets from outside keep a mapping, too (REQ-6). Default: false. */
  inboundRefresh?: boolean
  /** The first and the last port outside. Default: 1024 to 65535. */
  ports?: readonly [first: number, last: number]
  /** A mapping gets the port that it has inside, where that is free (section 4.2.1). Default: false. */
  portPreservation?: boolean
  /** How ports are chosen that are not preserved. Default: `random`. */
  portAssignment?: 'random' | 'sequential'
  /**
   * As Linux does it where its firewall lets packets from outside come to the NAT itself: one that nobody has asked for is remembered. Who
   * then sends to its source, from the port that it has come to, gets another port, and has that for others from then on. With
   * `portPreservation`. Default: false.
   */
  remapsAfterUnsolicited?: boolean
  /** Milliseconds for which such a packet is remembered. Default: 30,000, as of Linux. */
  unsolicitedTimeout?: number
  /** Mappings of a protocol, and permissions of remote endpoints to send to them. Default: 65,536 of each. */
  maxEntries?: number
}

/** A NAT, as {@link NatInit} says. Made by `network.nat`. */
export class SimulatedNat extends Gateway {
  /** The address outside. */
  readonly address: string
  readonly mapping: Behaviour
  readonly filtering: Behaviour

  /**
   * @throws {OptionError} when an option is out of range; when the address is in use; when the inside has a gateway already
   * @internal
   */
  constructor (simulation: Simulation, init: NatInit & { name: string }) {
    const {
      kind = 'port-restricted-cone', hairpin = false, timeout = 120_000, tcpTimeout = 7_440_000, inboundRefresh = false, ports = [1024, 65_535],
      portPreservation = false, portAssignment = 'random', remapsAfterUnsolicited = false, unsolicitedTimeout = 30_000, maxEntries = 65_536
    } = init
    if (!Object.hasOwn(NAT_KINDS, kind)) throw new OptionError(`kind is one of ${Object.keys(NAT_KINDS).join(', ')}, not ${String(kind)}`)
    const mapping = verifyBehaviour('mapping', init.mapping ?? NAT_KINDS[kind].mapping)
    const filtering = verifyBehaviour('filtering', init.filtering ?? NAT_KINDS[kind].filtering)
    verifyTable({ timeout, tcpTimeout, maxEntries })
    verifyMilliseconds('unsolicitedTimeout', unsolicitedTimeout)
    const [first, last] = ports
    if (!isPort(first) || !isPort(last) || first > last) throw new OptionError(`ports are two of 1 to 65535, the lower one first, not ${String(ports)}`)
    if (portAssignment !== 'random' && portAssignment !== 'sequential') throw new OptionError(`portAssignment is random or sequential, not ${String(portAssignment)}`)
    const address = verifyAddress(init.address)
    const table = (timeout: number): MappingTable => new MappingTable({
      mapping,
      filtering,
      timeout,
      inboundRefresh,
      unsolicitedTimeout: remapsAfterUnsolicited ? unsolicitedTimeout : undefined,
      maxEntries,
      endpoints: new PortPool({ address, first, last, portPreservation, random: portAssignment === 'random' ? simulation.random : undefined })
    })
    super(simulation, init.name, init, { family: familyOf(address), tables: { udp: table(timeout), tcp: table(tcpTimeout) }, address, hairpin })
    this.address = address
    this.mapping = mapping
    this.filtering = filtering
  }
}

const isPort = (port: number): boolean => Number.isInteger(port) && port >= 1 && port <= 65_535
