/** IP packets around datagrams, as captures have them. */
import ipaddr from 'ipaddr.js'
import { addWords, fold } from '../../net/checksum.ts'
import { HEADER_LENGTH, parseAddress, protocols, writeHeader, writeU16 } from '../../net/ipv4.ts'
import type { Endpoint } from '../../types.ts'

const IPV6_HEADER = 40
const UDP_HEADER = 8
const HOP_LIMIT = 64

/** A datagram in a packet of IPv4, or of IPv6 where one of both addresses is one. A name, as in simulated networks, counts as 0.0.0.0. */
export function udpPacket (from: Endpoint, to: Endpoint, data: Uint8Array): Uint8Array {
  const isIpv4 = [from, to].every(({ host }) => ipv4Of(host) !== undefined)
  const at = isIpv4 ? HEADER_LENGTH : IPV6_HEADER
  const packet = new Uint8Array(at + UDP_HEADER + data.length)
  const length = UDP_HEADER + data.length
  if (isIpv4) {
    writeHeader(packet, { protocol: protocols.udp, source: ipv4Of(from.host) ?? 0, destination: ipv4Of(to.host) ?? 0, totalLength: packet.length })
  } else {
    packet[0] = 0x60
    writeU16(packet, 4, length)
    packet[6] = protocols.udp
    packet[7] = HOP_LIMIT
    packet.set(ipv6Of(from.host), 8)
    packet.set(ipv6Of(to.host), 24)
  }
  writeU16(packet, at, from.port)
  writeU16(packet, at + 2, to.port)
  writeU16(packet, at + 4, length)
  packet.set(data, at + UDP_HEADER)
  const addresses = addWords(packet, isIpv4 ? 12 : 8, at, protocols.udp + length) // the pseudo header
  writeU16(packet, at + 6, fold(addWords(packet, at, packet.length, addresses)) || 0xffff)
  return packet
}

/** Undefined for an address of IPv6. A socket on all addresses of both has that of IPv4 for those who send by it. */
function ipv4Of (host: string): number | undefined {
  if (host === '::') return 0
  return host.includes(':') ? undefined : parseAddress(host) ?? 0
}

function ipv6Of (host: string): number[] {
  const [bare] = host.split('%')
  return host.includes(':') ? ipaddr.IPv6.parse(bare).toByteArray() : ipaddr.IPv4.parse(host).toIPv4MappedAddress().toByteArray()
}
