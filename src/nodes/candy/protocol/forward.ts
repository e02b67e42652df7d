/**
 * FORWARD: a raw IPv4 packet behind one type byte, and the pseudo IP-in-IP header around packets to a pushed route.
 *
 * The relay reads source and destination in place for each packet; it looks at nothing else, not even the version.
 */
import { HEADER_LENGTH, isIpv4, protocolOf, protocols, readU32, totalLengthOf, versionOf, writeU32 } from '../../../net/ipv4.ts'
import { CandyMessageError, checkMessage, MAX_LENGTH, MessageType, MIN_LENGTH } from './messages.ts'

/** Where a FORWARD message has the source of its packet; candy protocol, section 1.2. */
export const FORWARD_SOURCE = 13
/** Where a FORWARD message has the destination of its packet. */
export const FORWARD_DESTINATION = 17
/** Where the packet of a FORWARD message begins. */
export const FORWARD_PACKET = 1

/** Bytes that {@link writeOuter} puts before a routed packet. */
export const OUTER_LENGTH = HEADER_LENGTH

/** Where a FORWARD message has the source of the packet behind an outer header, and how long it is at least. */
const INNER_SOURCE = FORWARD_SOURCE + OUTER_LENGTH
const MIN_WRAPPED = MIN_LENGTH.FORWARD + OUTER_LENGTH

/** Reads without a check: ask for `MIN_LENGTH.FORWARD` bytes first. */
export const forwardSource = (message: Uint8Array): number => readU32(message, FORWARD_SOURCE)

/** Reads without a check: ask for `MIN_LENGTH.FORWARD` bytes first. */
export const forwardDestination = (message: Uint8Array): number => readU32(message, FORWARD_DESTINATION)

/**
 * Whether there is another packet behind the first header: that of a pushed route, or a tunnel of a user. Existing clients cannot
 * tell these apart, and hand what is behind it to their interface in either case. Reads without a check.
 */
export const isWrapped = (message: Uint8Array): boolean => message[FORWARD_PACKET + 9] === protocols.ipip

/** The source of the packet behind the outer header; undefined when there is none. */
export const innerSource = (message: Uint8Array): number | undefined => message.length < MIN_WRAPPED ? undefined : readU32(message, INNER_SOURCE)

/** Where the packet behind the outer header is to go; undefined when there is none. */
export const innerDestination = (message: Uint8Array): number | undefined => message.length < MIN_WRAPPED ? undefined : readU32(message, INNER_SOURCE + 4)

/** Whether the first header is that of a pushed route, which `stripOuter` removes, and no tunnel of a user. Reads without a check. */
export const isRouted = (message: Uint8Array): boolean => isWrapped(message) && versionOf(message, FORWARD_PACKET) === 0

function newForward (length: number): Uint8Array {
  if (length < MIN_LENGTH.FORWARD || length > MAX_LENGTH) {
    throw new CandyMessageError(`FORWARD of ${length} bytes, not ${MIN_LENGTH.FORWARD} to ${MAX_LENGTH}`)
  }
  const message = new Uint8Array(length)
  message[0] = MessageType.FORWARD
  return message
}

/** A FORWARD message of a copy of this packet. Throws `CandyMessageError` when it has under 20 or over 1499 bytes. */
export function wrapForward (packet: Uint8Array): Uint8Array {
  const message = newForward(FORWARD_PACKET + packet.length)
  message.set(packet, FORWARD_PACKET)
  return message
}

/** The packet of a FORWARD message: a view. Throws `CandyMessageError`. */
export function unwrapForward (message: Uint8Array): Uint8Array {
  checkMessage(message, 'FORWARD')
  return message.subarray(FORWARD_PACKET)
}

/**
 * Writes the 20 bytes that go before a packet to a pushed route, candy protocol, section 1.10: zeros but for the protocol
 * (4), our own address as source and the next hop as destination. That is no valid IPv4 header; version and lengths stay 0.
 */
export function writeOuter (target: Uint8Array, at: number, own: number, nexthop: number): void {
  target.fill(0, at, at + OUTER_LENGTH)
  target[at + 9] = protocols.ipip
  writeU32(target, at + 12, own)
  writeU32(target, at + 16, nexthop)
}

/** A FORWARD message to the next hop of a pushed route, around a copy of this packet. Throws `CandyMessageError` when that passes 1500 bytes. */
export function wrapRouted (packet: Uint8Array, own: number, nexthop: number): Uint8Array {
  const message = newForward(FORWARD_PACKET + OUTER_LENGTH + packet.length)
  writeOuter(message, FORWARD_PACKET, own, nexthop)
  message.set(packet, FORWARD_PACKET + OUTER_LENGTH)
  return message
}

/**
 * What of a received packet goes to the TUN device: a view of it without the pseudo header, if it has one, and without bytes
 * behind its total length.
 *
 * Existing clients cut 20 bytes off everything of protocol 4, which destroys real IP-in-IP tunnels of their users. The pseudo
 * header is told from a real one by its version, 0.
 *
 * @returns undefined when the packet is malformed and has to be dropped: no IPv4, lengths that do not fit, or nothing inside.
 */
export function stripOuter (packet: Uint8Array): Uint8Array | undefined {
  const tunnelled = protocolOf(packet) === protocols.ipip
  if (tunnelled && packet.length <= OUTER_LENGTH) return undefined
  const at = tunnelled && versionOf(packet) === 0 ? OUTER_LENGTH : 0
  return isIpv4(packet, at) ? packet.subarray(at, at + totalLengthOf(packet, at)) : undefined
}
