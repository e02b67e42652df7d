/**
 * Messages about IPv4 routes, rtnetlink(7), without the socket: a header, a `struct rtmsg`, then attributes with a length in front of each.
 * Numbers are in host byte order, addresses in network order.
 */
import { answersIn, ATTRIBUTE, attributesIn, AT_FLAGS, AT_SEQUENCE, AT_TYPE, endOf, HEADER, LITTLE, malformed, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST } from './netlink.ts'
import { AF_INET } from '../net/native/socket-numbers.ts'

/** The origin of a route, which the kernel stores; rtnetlink(7) leaves numbers above 4 to programs. `ip` shows it as `proto 202`. */
const ROUTE_PROTOCOL = 202

// struct rtmsg: family, bits of destination and source, TOS, table, protocol, scope, type (1 byte each), flags (4)
const RTMSG = 12
const AT_FAMILY = HEADER
const AT_PREFIX = HEADER + 1
const AT_TABLE = HEADER + 4
const AT_PROTOCOL = HEADER + 5
const AT_KIND = HEADER + 7
const AT_ROUTE_FLAGS = HEADER + 8

const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const RTM_GETROUTE = 26

const NLM_F_EXCL = 0x200
const NLM_F_CREATE = 0x400
const NLM_F_APPEND = 0x800

const RT_TABLE_MAIN = 254
const RTN_UNICAST = 1
/** Treat the gateway as reachable through the interface, whatever its addresses. */
const RTNH_F_ONLINK = 4

const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6

/** A route of the main table; addresses are unsigned 32-bit numbers. */
export interface KernelRoute {
  network: number
  /** 0 to 32. */
  prefix: number
  gateway: number
  /** Of several routes to one network the one with the smallest metric is used. */
  metric: number
  /** The index of the interface. */
  device: number
}

/** The answer to a request: any number of routes, then the result as an errno or 0. */
export type Answer = { route: KernelRoute } | { errno: number }

function request (type: number, flags: number, sequence: number, attributes: ReadonlyArray<readonly [type: number, value: number]>): DataView {
  const message = new DataView(new ArrayBuffer(HEADER + RTMSG + attributes.length * (ATTRIBUTE + 4)))
  message.setUint32(0, message.byteLength, LITTLE)
  message.setUint16(AT_TYPE, type, LITTLE)
  message.setUint16(AT_FLAGS, NLM_F_REQUEST | flags, LITTLE)
  message.setUint32(AT_SEQUENCE, sequence, LITTLE)
  message.setUint8(AT_FAMILY, AF_INET)
  message.setUint8(AT_TABLE, RT_TABLE_MAIN)
  message.setUint8(AT_PROTOCOL, ROUTE_PROTOCOL)
  message.setUint8(AT_KIND, RTN_UNICAST)
  attributes.forEach(([type, value], i) => {
    const at = HEADER + RTMSG + i * (ATTRIBUTE + 4)
    message.setUint16(at, ATTRIBUTE + 4, LITTLE)
    message.setUint16(at + 2, type, LITTLE)
    message.setUint32(at + ATTRIBUTE, value, isAddress(type) ? false : LITTLE)
  })
  return message
}

const isAddress = (type: number): boolean => type === RTA_DST || type === RTA_GATEWAY

const bytesOf = ({ buffer }: DataView): Uint8Array => new Uint8Array(buffer)

function change (type: number, flags: number, sequence: number, { network, prefix, gateway, metric, device }: KernelRoute): Uint8Array {
  const message = request(type, NLM_F_ACK | flags, sequence, [[RTA_DST, network], [RTA_GATEWAY, gateway], [RTA_PRIORITY, metric], [RTA_OIF, device]])
  message.setUint8(AT_PREFIX, prefix)
  message.setUint32(AT_ROUTE_FLAGS, RTNH_F_ONLINK, LITTLE)
  return bytesOf(message)
}

/**
 * Requests a new route.
 *
 * @param beside add it also where another route to that network has that metric, which stays the one in use; otherwise that fails with
 *   EEXIST
 */
export function addRoute (sequence: number, route: KernelRoute, beside: boolean): Uint8Array {
  return change(RTM_NEWROUTE, NLM_F_CREATE | (beside ? NLM_F_APPEND : NLM_F_EXCL), sequence, route)
}

/** Requests to remove a route of {@link addRoute}; other routes do not match. */
export function removeRoute (sequence: number, route: KernelRoute): Uint8Array {
  return change(RTM_DELROUTE, 0, sequence, route)
}

/** Requests the routes of {@link addRoute} through an interface. A kernel without strict checking lists all routes. */
export function listRoutes (sequence: number, device: number): Uint8Array {
  return bytesOf(request(RTM_GETROUTE, NLM_F_DUMP, sequence, [[RTA_OIF, device]]))
}

/**
 * Decodes one read. Answers to other requests, and routes that are not of {@link addRoute}, are left out.
 *
 * @throws {TunError} for invalid lengths
 */
export function decodeAnswers (bytes: Uint8Array, sequence: number): Answer[] {
  return answersIn(bytes, sequence).flatMap((message) => decodeAnswer(message) ?? [])
}

function decodeAnswer (message: DataView): Answer | undefined {
  const errno = endOf(message)
  if (errno !== undefined) return { errno }
  const route = message.getUint16(AT_TYPE, LITTLE) === RTM_NEWROUTE ? decodeRoute(message) : undefined
  return route && { route }
}

/** Undefined for routes of other programs. */
function decodeRoute (message: DataView): KernelRoute | undefined {
  if (message.byteLength < HEADER + RTMSG) throw malformed(`a route of ${message.byteLength} bytes`)
  const prefix = message.getUint8(AT_PREFIX)
  const isOurs = message.getUint8(AT_FAMILY) === AF_INET && message.getUint8(AT_TABLE) === RT_TABLE_MAIN &&
    message.getUint8(AT_PROTOCOL) === ROUTE_PROTOCOL && message.getUint8(AT_KIND) === RTN_UNICAST
  if (!isOurs || prefix > 32) return undefined
  const route = { network: 0, prefix, gateway: 0, metric: 0, device: 0 }
  for (const [type, value] of attributesIn(message, HEADER + RTMSG)) {
    const field = FIELDS[type]
    if (field !== undefined && value.byteLength >= 4) route[field] = value.getUint32(0, isAddress(type) ? false : LITTLE)
  }
  return route
}

const FIELDS: Partial<Record<number, keyof KernelRoute>> = { [RTA_DST]: 'network', [RTA_OIF]: 'device', [RTA_GATEWAY]: 'gateway', [RTA_PRIORITY]: 'metric' }
