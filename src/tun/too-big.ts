/** ICMP "fragmentation needed" (RFC 792, RFC 1191): tells a sender which size a path takes. */
import { newPacket } from './device.ts'
import { addWords, fold } from '../net/checksum.ts'
import { destinationOf, HEADER_LENGTH, headerLengthOf, isIpv4, protocolOf, protocols, readU16, sourceOf, writeHeader, writeU16 } from '../net/ipv4.ts'

const ICMP_HEADER = 8
const UNREACHABLE = 3
const FRAGMENTATION_NEEDED = 4

/** Bytes behind the header of the packet that the message quotes. */
const QUOTED = 8

const ECHO_REPLY = 0
const ECHO_REQUEST = 8

/**
 * Whether the sender of a packet looks for the size of the path, by DF, and may be told: no message answers one about an error, or a later
 * fragment (RFC 1122, section 3.2.2). False for what is not IPv4.
 */
export function wantsSize (packet: Uint8Array): boolean {
  if (!isIpv4(packet) || (readU16(packet, 6) & 0x5fff) !== 0x4000) return false
  if (protocolOf(packet) !== protocols.icmp) return true
  const type = packet[headerLengthOf(packet)]
  return type === ECHO_REPLY || type === ECHO_REQUEST
}

/**
 * The message that a router on the path sends.
 *
 * @param packet a whole IPv4 packet
 * @param mtu bytes of the longest packet that passes
 * @param from the router. Default: the destination of the packet
 */
export function fragmentationNeeded (packet: Uint8Array, mtu: number, from = destinationOf(packet)): Uint8Array {
  const quoted = Math.min(packet.length, headerLengthOf(packet) + QUOTED)
  const message = newPacket(HEADER_LENGTH + ICMP_HEADER + quoted)
  writeHeader(message, { protocol: protocols.icmp, source: from, destination: sourceOf(packet), totalLength: message.length })
  message[HEADER_LENGTH] = UNREACHABLE
  message[HEADER_LENGTH + 1] = FRAGMENTATION_NEEDED
  writeU16(message, HEADER_LENGTH + 6, mtu)
  message.set(packet.subarray(0, quoted), HEADER_LENGTH + ICMP_HEADER)
  writeU16(message, HEADER_LENGTH + 2, fold(addWords(message, HEADER_LENGTH)))
  return message
}
