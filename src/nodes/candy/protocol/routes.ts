/** ROUTE: the relay tells a client which networks are behind which node of the virtual network; candy protocol, section 1.9. */
import { cidrOf, formatAddress, prefixOf, readU32, type Cidr } from '../../../net/ipv4.ts'
import { CandyMessageError, checkMessage, MIN_LENGTH, newMessage, writeAddress } from './messages.ts'

const ENTRY_LENGTH = 12

/** The existing server sends one more, and another implementation wraps its count at 256. 100 routes are 1204 bytes. */
const MAX_ROUTES = 100

export interface Route {
  /** Packets to this network ... */
  destination: Cidr
  /** ... go to the node with this virtual address. A client skips routes whose next hop is its own address. */
  nexthop: number
}

/** Splits routes into messages of at most 100 each, in the given order; none for no routes. */
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
 * Decodes the routes of one message, at most 255, in order; the first match applies. Host bits of a destination are cleared.
 *
 * @throws {CandyMessageError} when the count exceeds the message, or a mask is not contiguous; the whole message is invalid then
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
