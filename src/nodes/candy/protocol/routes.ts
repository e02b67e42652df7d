/** ROUTE: the relay tells a client which networks lie behind which node of the virtual network; candy protocol, section 1.9. */
import { cidrOf, formatAddress, prefixOf, readU32, type Cidr } from '../../../net/ipv4.ts'
import { CandyMessageError, checkMessage, MIN_LENGTH, newMessage, writeAddress } from './messages.ts'

const ENTRY_LENGTH = 12

/** The existing server sends one more, and another implementation wraps its count at 256. This many is 1204 bytes. */
export const MAX_ROUTES = 100

export interface Route {
  /** Packets to this network ... */
  destination: Cidr
  /** ... go to the node that has this virtual address. A client skips routes whose next hop it is itself. */
  nexthop: number
}

/** As many messages as it takes, at most 100 routes each, in the given order; none for no routes. */
export function encodeRoutes (routes: readonly Route[]): Uint8Array[] {
  const messages: Uint8Array[] = []
  for (let at = 0; at < routes.length; at += MAX_ROUTES) messages.push(encodeRoute(routes.slice(at, at + MAX_ROUTES)))
  return messages
}

function encodeRoute (routes: readonly Route[]): Uint8Array {
  const message = newMessage('ROUTE', routes.length * ENTRY_LENGTH)
  message[1] = routes.length
  routes.forEach(({ destination, nexthop }, i) => {
    const at = MIN_LENGTH.ROUTE + i * ENTRY_LENGTH
    writeAddress(message, at, 'destination', destination.network)
    writeAddress(message, at + 4, 'mask', destination.mask)
    writeAddress(message, at + 8, 'nexthop', nexthop)
  })
  return message
}

/**
 * The routes of one message, at most 255, in their order; the first that matches a packet is the one. Host bits of a
 * destination are cleared. Throws `CandyMessageError` when the count announces more than there is or a mask has holes; then
 * the whole message is void.
 */
export function decodeRoute (message: Uint8Array): Route[] {
  checkMessage(message, 'ROUTE')
  const count = message[1]
  if (message.length < MIN_LENGTH.ROUTE + count * ENTRY_LENGTH) {
    throw new CandyMessageError(`ROUTE of ${count} entries in ${message.length} bytes`)
  }
  return Array.from({ length: count }, (_, i) => {
    const at = MIN_LENGTH.ROUTE + i * ENTRY_LENGTH
    return { destination: readDestination(message, at), nexthop: readU32(message, at + 8) }
  })
}

function readDestination (message: Uint8Array, at: number): Cidr {
  const mask = readU32(message, at + 4)
  const prefix = prefixOf(mask)
  if (prefix === undefined) throw new CandyMessageError(`ROUTE with the mask ${formatAddress(mask)}`)
  return cidrOf((readU32(message, at) & mask) >>> 0, prefix)
}
