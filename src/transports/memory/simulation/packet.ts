/** Packets of a simulated network. They carry what their protocol makes of them, and have the size that they would have on the wire. */
import type { Endpoint } from '../../../types.ts'

/** What is above IP. */
export type PacketProtocol = 'udp' | 'tcp'

/** What has its place in the network: a host, a NAT, a firewall. */
export interface Device {
  readonly name: string
}

/** What ICMP says of a packet that did not arrive. */
export interface PacketError {
  readonly kind: 'portUnreachable' | 'hostUnreachable' | 'tooLarge'
  /** Where the packet was to go. */
  readonly of: Endpoint
  /** Bytes of the largest packet that passes; with `tooLarge` only. */
  readonly mtu?: number
}

export interface Packet {
  /** Counts from 1; copies and translated packets keep it. */
  readonly id: number
  /** Of an error: that of the packet that it is about. */
  readonly protocol: PacketProtocol
  readonly source: Endpoint
  /** Of an error: the source of the packet that it is about. */
  readonly destination: Endpoint
  /** Bytes with all headers, those of IP included. */
  readonly size: number
  readonly payload: unknown
  /** Gateways that it may still pass. */
  readonly hops: number
  /** Where it was made; undefined for errors of a subnet. */
  readonly origin: Device | undefined
  readonly error?: PacketError
  /** Destinations outside for which gateways have set those inside, the last one last. Of an error: those of the packet that it is about. */
  readonly replaced?: readonly Endpoint[]
}

/** Gateways that a packet passes at most, as hosts set it by default (RFC 1700). */
export const HOPS = 64

const IP_HEADER: Readonly<Record<Family, number>> = { ipv4: 20, ipv6: 40 }
const HEADER: Readonly<Record<PacketProtocol, number>> = { udp: 8, tcp: 20 }
const ICMP_HEADER = 8

/** Of addresses. */
export type Family = 'ipv4' | 'ipv6'

export const familyOf = (host: string): Family => host.includes(':') ? 'ipv6' : 'ipv4'

/** Bytes of the headers of a packet to an address, without options. */
export const headersOf = (protocol: PacketProtocol, host: string): number => IP_HEADER[familyOf(host)] + HEADER[protocol]

/** The answer of ICMP to a packet, with the headers of that packet in it (RFC 792). */
export function errorAbout ({ protocol, source, destination, replaced }: Packet, id: number, from: { host: string, origin: Device | undefined }, error: Omit<PacketError, 'of'>): Packet {
  const size = IP_HEADER[familyOf(source.host)] * 2 + 2 * ICMP_HEADER
  return { id, protocol, source: { host: from.host, port: 0 }, destination: source, size, payload: undefined, hops: HOPS, origin: from.origin, replaced, error: { ...error, of: destination } }
}

/** What a host does with packets of a protocol. */
export interface ProtocolHandler {
  /** Takes a packet. Returns false when nobody is at its port, which ICMP then tells the sender. */
  receive (packet: Packet): boolean
  /** ICMP has an error about a packet that was sent. */
  fail (packet: Packet, error: PacketError): void
}

/** A packet as its protocol hands it to its host. */
export interface PacketInit {
  protocol: PacketProtocol
  source: Endpoint
  destination: Endpoint
  /** Bytes behind the headers of IP and of the protocol, options of the protocol included. */
  bytes: number
  payload: unknown
}
