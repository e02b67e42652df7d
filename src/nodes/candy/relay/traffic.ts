/** Forwarding between members: FORWARD, and CONN, DISCOVERY and GENERAL (candy protocol, sections 1.6 and 1.8). */
import { formatAddress, isMulticast, LIMITED_BROADCAST, readU32 } from '../../../net/ipv4.ts'
import { forwardDestination, forwardSource, innerDestination, innerSource, isWrapped } from '../protocol/forward.ts'
import { MIN_LENGTH, type MessageName } from '../protocol/messages.ts'
import type { Member, MemberNetwork } from './member.ts'
import { ownsSource } from './sdwan.ts'

/** Offsets of sender and receiver in messages that have both; candy protocol, section 1.2. */
const ADDRESSES = {
  CONN: { source: 1, destination: 5 },
  DISCOVERY: { source: 1, destination: 5 },
  GENERAL: { source: 4, destination: 8 }
} as const satisfies Partial<Record<MessageName, object>>

export type AddressedName = keyof typeof ADDRESSES

/** FORWARD: to the member with the destination address, or to all others, or dropped. Runs once for each packet. */
export function forward (member: Member, message: Uint8Array): void {
  if (message.length < MIN_LENGTH.FORWARD || member.address === 0) {
    reject(member, message, 'FORWARD')
    return
  }
  if (!count(member, message)) return
  const { network } = member
  if (!maySend(member, forwardSource(message)) || (isWrapped(message) && !maySendInside(member, message))) {
    member.discard('source')
    return
  }
  const destination = forwardDestination(message)
  if (isWrapped(message) && !mayRoute(member, message, destination)) {
    member.discard('route')
    return
  }
  if (network.unicast(member, destination, message)) return
  if (isForAll(network, destination)) broadcast(member, message)
  else member.discard('destination')
}

/** CONN, DISCOVERY and GENERAL: forwarded unchanged, including confusion except in a DISCOVERY to all, when the source is the sender's address. */
export function addressed (member: Member, message: Uint8Array, name: AddressedName): void {
  if (message.length < MIN_LENGTH[name] || member.address === 0) {
    reject(member, message, name)
    return
  }
  const at = ADDRESSES[name]
  const source = readU32(message, at.source)
  if (source !== member.address) {
    member.reject('not_owner', `${name} from ${formatAddress(source)}, expected from its own address ${formatAddress(member.address)}`)
    return
  }
  if (!count(member, message)) return
  const { network } = member
  const destination = readU32(message, at.destination)
  // Always forwarded, as members could not find each other without it. The tail is cut, as it would be multiplied by the members.
  if (name === 'DISCOVERY' && destination === LIMITED_BROADCAST) network.broadcast(member, message.subarray(0, MIN_LENGTH.DISCOVERY))
  else if (name === 'GENERAL' && destination === LIMITED_BROADCAST) broadcast(member, message)
  else if (!network.unicast(member, destination, message)) member.discard('destination')
}

/** Rejects a message that is too short, or that arrives before AUTH. */
function reject (member: Member, { length }: Uint8Array, name: AddressedName | 'FORWARD'): void {
  if (length < MIN_LENGTH[name]) member.reject('malformed', `${name} of ${length} bytes, expected at least ${MIN_LENGTH[name]}`)
  else member.reject('unauthenticated', `${name} before AUTH, expected AUTH first`)
}

/** Counts a message; false when the sender exceeds its rate. */
function count (member: Member, message: Uint8Array): boolean {
  const { traffic } = member
  traffic.packetsIn++
  traffic.bytesIn += message.length
  if (member.mayPay(message.length)) return true
  member.discard('rate')
  return false
}

function broadcast (member: Member, message: Uint8Array): void {
  if (member.network.settings.broadcast) member.network.broadcast(member, message)
  else member.discard('broadcast')
}

function maySend (member: Member, source: number): boolean {
  if (source === member.address) return true
  const { network } = member
  const { sourceCheck } = network.settings
  if (sourceCheck === 'off') return true
  // a gateway to everything (0.0.0.0/0) may still not use the addresses of members
  return sourceCheck === 'routes' && ownsSource(member.behind, source) && network.get(source) === undefined
}

/** The receiver removes the first header, so the source behind it is checked as well. */
function maySendInside (member: Member, message: Uint8Array): boolean {
  if (member.network.settings.sourceCheck === 'off') return true
  const source = innerSource(message)
  return source !== undefined && maySend(member, source)
}

/**
 * The receiver forwards the inner packet to its destination: allowed only where a rule leads the sender there. An inner packet for the
 * receiver itself is allowed, as it could be sent without that header as well.
 */
function mayRoute (member: Member, message: Uint8Array, nexthop: number): boolean {
  if (member.network.settings.sourceCheck === 'off') return true
  const destination = innerDestination(message)
  if (destination === undefined || destination === 0 || destination === LIMITED_BROADCAST || isMulticast(destination)) return false
  return (destination === nexthop && member.network.get(nexthop) !== undefined) || member.mayRoute(destination, nexthop)
}

function isForAll ({ settings: { range } }: MemberNetwork, destination: number): boolean {
  return destination === LIMITED_BROADCAST || destination === range?.broadcast || isMulticast(destination)
}
