/** What members send each other, as the relay handles it: FORWARD, and CONN, DISCOVERY and GENERAL (candy protocol, sections 1.6 and 1.8). */
import { isMulticast, LIMITED_BROADCAST, readU32 } from '../../tun/ipv4.ts'
import { forwardDestination, forwardSource, innerSource, isWrapped } from './forward.ts'
import { MIN_LENGTH, type MessageName } from './messages.ts'
import type { Network } from './network.ts'
import { ownsSource } from './sdwan.ts'
import type { Session } from './session.ts'

/** Where the sender and the receiver stand in the messages that name both; candy protocol, section 1.2. */
const ADDRESSES = {
  CONN: { source: 1, destination: 5 },
  DISCOVERY: { source: 1, destination: 5 },
  GENERAL: { source: 4, destination: 8 }
} as const satisfies Partial<Record<MessageName, object>>

export type AddressedName = keyof typeof ADDRESSES

/** FORWARD: to the holder of the destination, or to all others, or nowhere. Runs once a packet. */
export function forward (session: Session, message: Uint8Array): void {
  if (message.length < MIN_LENGTH.FORWARD) {
    session.refuse('malformed')
    return
  }
  if (session.address === 0) {
    session.refuse('unauthenticated')
    return
  }
  if (!count(session, message)) return
  const { network } = session
  if (!maySend(session, forwardSource(message)) || (isWrapped(message) && !maySendInside(session, message))) {
    session.traffic.drops.source++
    return
  }
  const destination = forwardDestination(message)
  if (network.unicast(session, destination, message)) return
  if (isForAll(network, destination)) broadcast(session, message)
  else session.traffic.drops.destination++
}

/** CONN, DISCOVERY and GENERAL: passed on as they are, confusion included, when the sender is who it says. */
export function addressed (session: Session, message: Uint8Array, name: AddressedName): void {
  if (message.length < MIN_LENGTH[name]) {
    session.refuse('malformed')
    return
  }
  const at = ADDRESSES[name]
  if (session.address === 0 || readU32(message, at.source) !== session.address) {
    session.refuse(session.address === 0 ? 'unauthenticated' : 'foreign')
    return
  }
  if (!count(session, message)) return
  const { network } = session
  const destination = readU32(message, at.destination)
  if (name === 'DISCOVERY' && destination === LIMITED_BROADCAST) network.broadcast(session, message) // without it members could not find each other
  else if (name === 'GENERAL' && destination === LIMITED_BROADCAST) broadcast(session, message)
  else if (!network.unicast(session, destination, message)) session.traffic.drops.destination++
}

/** False when the sender has sent more than it may. */
function count (session: Session, message: Uint8Array): boolean {
  const { traffic } = session
  traffic.packetsIn++
  traffic.bytesIn += message.length
  if (session.mayPay(message.length)) return true
  traffic.drops.rate++
  return false
}

function broadcast (session: Session, message: Uint8Array): void {
  if (session.network.settings.broadcast) session.network.broadcast(session, message)
  else session.traffic.drops.broadcast++
}

function maySend (session: Session, source: number): boolean {
  if (source === session.address) return true
  const { network } = session
  const { sourceCheck } = network.settings
  if (sourceCheck === 'off') return true
  // A gateway to everything (0.0.0.0/0) is still none of the members.
  return sourceCheck === 'routes' && ownsSource(session.behind, source) && network.holder(source) === undefined
}

/** The receiver takes the first header off: what is behind it counts as much. */
function maySendInside (session: Session, message: Uint8Array): boolean {
  if (session.network.settings.sourceCheck === 'off') return true
  const source = innerSource(message)
  return source !== undefined && maySend(session, source)
}

function isForAll ({ settings: { range } }: Network, destination: number): boolean {
  return destination === LIMITED_BROADCAST || destination === range?.broadcast || isMulticast(destination)
}
