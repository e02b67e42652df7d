/**
 * FORWARD: a raw IPv4 packet behind one type byte, and the pseudo IP-in-IP header around packets to a pushed route.
 *
 * The relay reads source and destination of each packet in place, and checks nothing else, not even the version.
 */
import { decrementTtl, HEADER_LENGTH, isIpv4, protocolOf, protocols, readU32, totalLengthOf, versionOf, writeU32 } from '../../../net/ipv4.ts'
import { CandyMessageError, checkMessage, MAX_LENGTH, MessageType, MIN_LENGTH } from './messages.ts'

/** Offset of the packet's source in a FORWARD message; candy protocol, section 1.2. */
export const FORWARD_SOURCE = 13
/** Offset of the packet's destination in a FORWARD message. */
const FORWARD_DESTINATION = 17
/** Offset of the packet in a FORWARD message. */
export const FORWARD_PACKET = 1

/** Bytes that {@link writeOuter} puts before a routed packet. */
export const OUTER_LENGTH = HEADER_LENGTH

/** Offset of the inner packet's source behind an outer header, and the shortest such message. */
const INNER_SOURCE = FORWARD_SOURCE + OUTER_LENGTH
const MIN_WRAPPED = MIN_LENGTH.FORWARD + OUTER_LENGTH

/** Not bounds-checked: the message has at least `MIN_LENGTH.FORWARD` bytes. */
export const forwardSource = (message: Uint8Array): number => readU32(message, FORWARD_SOURCE)

/** Not bounds-checked: the message has at least `MIN_LENGTH.FORWARD` bytes. */
export const forwardDestination = (message: Uint8Array): number => readU32(message, FORWARD_DESTINATION)

/**
 * Whether another packet follows the first header: that of a pushed route, or an IP-in-IP tunnel of a user. Existing clients cannot
 * distinguish these, and pass the inner packet to their interface in both cases. Not bounds-checked.
 */
export const isWrapped = (message: Uint8Array): boolean => message[FORWARD_PACKET + 9] === protocols.ipip

/** The source of the inner packet; undefined when there is none. */
export const innerSource = (message: Uint8Array): number | undefined => message.length < MIN_WRAPPED ? undefined : readU32(message, INNER_SOURCE)

/** The destination of the inner packet; undefined when there is none. */
export const innerDestination = (message: Uint8Array): number | undefined => message.length < MIN_WRAPPED ? undefined : readU32(message, INNER_SOURCE + 4)

/** Whether the header at `at` is that of a pushed route, which `stripOuter` removes, and not a user's tunnel. Not bounds-checked. */
export const isRouted = (message: Uint8Array, at = FORWARD_PACKET): boolean => protocolOf(message, at) === protocols.ipip && versionOf(message, at) === 0

function newForward (length: number): Uint8Array {
  if (length < MIN_LENGTH.FORWARD || length > MAX_LENGTH) {
    throw new CandyMessageError(`FORWARD of ${length} bytes, not ${MIN_LENGTH.FORWARD} to ${MAX_LENGTH}`)
  }
  const message = new Uint8Array(length)
  message[0] = MessageType.FORWARD
  return message
}

/** A FORWARD message with a copy of this packet. @throws {CandyMessageError} when it is shorter than 20 or longer than 1499 bytes */
export function wrapForward (packet: Uint8Array): Uint8Array {
  const message = newForward(FORWARD_PACKET + packet.length)
  message.set(packet, FORWARD_PACKET)
  return message
}

/** The packet of a FORWARD message, as a view. @throws {CandyMessageError} when malformed */
export function unwrapForward (message: Uint8Array): Uint8Array {
  checkMessage(message, 'FORWARD')
  return message.subarray(FORWARD_PACKET)
}

/**
 * Writes the 20 bytes ahead of a packet to a pushed route, candy protocol, section 1.10: protocol 4, the own address as source, the
 * next hop as destination, and zeros elsewhere. Version and lengths are 0, so this is not a valid IPv4 header.
 */
export function writeOuter (target: Uint8Array, at: number, own: number, nexthop: number): void {
  target.fill(0, at, at + OUTER_LENGTH)
  target[at + 9] = protocols.ipip
  writeU32(target, at + 12, own)
  writeU32(target, at + 16, nexthop)
}

/** A FORWARD message to the next hop of a pushed route, around a copy of this packet. @throws {CandyMessageError} when it exceeds 1500 bytes */
export function wrapRouted (packet: Uint8Array, own: number, nexthop: number): Uint8Array {
  const message = newForward(FORWARD_PACKET + OUTER_LENGTH + packet.length)
  writeOuter(message, FORWARD_PACKET, own, nexthop)
  message.set(packet, FORWARD_PACKET + OUTER_LENGTH)
  return message
}

/**
 * The part of a received packet that goes to the TUN device: a view without the pseudo header, if it has one, and without bytes
 * after its total length.
 *
 * Existing clients remove 20 bytes from every packet of protocol 4, which destroys IP-in-IP tunnels of their users. Here the pseudo
 * header is recognised by its version, 0.
 *
 * @param from offset of the packet, which ends with `data`
 * @returns undefined when the packet is malformed and has to be dropped: not IPv4, inconsistent lengths, or no inner packet.
 */
export function stripOuter (data: Uint8Array, from = 0): Uint8Array | undefined {
  if (protocolOf(data, from) === protocols.ipip && data.length - from <= OUTER_LENGTH) return undefined
  const at = isRouted(data, from) ? from + OUTER_LENGTH : from
  return isIpv4(data, at) ? data.subarray(at, at + totalLengthOf(data, at)) : undefined
}

/**
 * Takes one hop off the TTL of a packet that a member sends on to another one. Behind a pseudo header it is that of the inner packet.
 *
 * @returns false when the packet has to be dropped: its TTL is 0 or 1, or there is no whole IPv4 packet
 */
export function takeHop (packet: Uint8Array): boolean {
  const at = protocolOf(packet) === protocols.ipip && versionOf(packet) === 0 ? OUTER_LENGTH : 0
  return isIpv4(packet, at) && decrementTtl(packet, at)
}
