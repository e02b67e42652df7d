/** ICMP "fragmentation needed" (RFC 792, RFC 1191): tells a sender which size a path takes. */
import { newPacket } from './device.ts'
import { addWords, fold } from '../net/checksum.ts'
import { destinationOf, HEADER_LENGTH, headerLengthOf, protocols, sourceOf, writeHeader, writeU16 } from '../net/ipv4.ts'

const ICMP_HEADER = 8
const UNREACHABLE = 3
const FRAGMENTATION_NEEDED = 4

/** Bytes behind the header of the packet that the message quotes. */
const QUOTED = 8

/** Whether a packet has DF set, so that its sender looks for the size of the path. */
export const isUnfragmentable = (packet: Uint8Array): boolean => (packet[6] & 0x40) !== 0

/**
 * The message that a router on the path would send, from the destination of the packet.
 *
 * @param packet a whole IPv4 packet
 * @param mtu bytes of the longest packet that passes
 */
export function fragmentationNeeded (packet: Uint8Array, mtu: number): Uint8Array {
  const quoted = Math.min(packet.length, headerLengthOf(packet) + QUOTED)
  const message = newPacket(HEADER_LENGTH + ICMP_HEADER + quoted)
  writeHeader(message, { protocol: protocols.icmp, source: destinationOf(packet), destination: sourceOf(packet), totalLength: message.length })
  message[HEADER_LENGTH] = UNREACHABLE
  message[HEADER_LENGTH + 1] = FRAGMENTATION_NEEDED
  writeU16(message, HEADER_LENGTH + 6, mtu)
  message.set(packet.subarray(0, quoted), HEADER_LENGTH + ICMP_HEADER)
  writeU16(message, HEADER_LENGTH + 2, fold(addWords(message, HEADER_LENGTH)))
  return message
}
