/**
 * Messages about IPv4 routes to and from the kernel, rtnetlink(7), without the socket: a header, a `struct rtmsg`, then
 * attributes with a length in front of each. Numbers stand in the order of the machine, addresses in that of the network.
 */
import { endianness } from 'node:os'
import { TunError } from './device.ts'

const LITTLE = endianness() === 'LE'

/** Who has made a route, as the kernel remembers it; rtnetlink(7) leaves the numbers above 4 to programs. `ip` shows it as `proto 202`. */
export const ROUTE_PROTOCOL = 202

// struct nlmsghdr: length (4 bytes, header included), type (2), flags (2), sequence number (4), sender (4)
const HEADER = 16
const AT_TYPE = 4
const AT_FLAGS = 6
const AT_SEQUENCE = 8

// struct rtmsg: family, bits of destination and source, TOS, table, protocol, scope, type (1 byte each), flags (4)
const RTMSG = 12
const AT_FAMILY = HEADER
const AT_PREFIX = HEADER + 1
const AT_TABLE = HEADER + 4
const AT_PROTOCOL = HEADER + 5
const AT_KIND = HEADER + 7
const AT_ROUTE_FLAGS = HEADER + 8

/** struct rtattr: length (2 bytes, these four included), type (2). */
const ATTRIBUTE = 4

const NLMSG_ERROR = 2 // carries a negative errno, or 0: done as asked
const NLMSG_DONE = 3 // the end of a list, with such a number as well
const RTM_NEWROUTE = 24
const RTM_DELROUTE = 25
const RTM_GETROUTE = 26

const NLM_F_REQUEST = 0x1
const NLM_F_ACK = 0x4
const NLM_F_DUMP = 0x300
const NLM_F_EXCL = 0x200
const NLM_F_CREATE = 0x400
const NLM_F_APPEND = 0x800

const AF_INET = 2
const RT_TABLE_MAIN = 254
const RTN_UNICAST = 1
/** The gateway counts as reachable through the interface, whatever addresses that has. */
const RTNH_F_ONLINK = 4

const RTA_DST = 1
const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_PRIORITY = 6

/** The rest of the type of an attribute are flags. */
const ATTRIBUTE_TYPE = 0x3fff

/** A route of the main table; addresses are unsigned 32-bit numbers. */
export interface KernelRoute {
  network: number
  /** 0 to 32. */
  prefix: number
  gateway: number
  /** Of several routes to one network that with the smallest one is used. */
  metric: number
  /** The index of the interface. */
  device: number
}

/** What the kernel says to a request: any number of routes, and then how it ended, as an errno or 0. */
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
 * Asks for a new route.
 *
 * @param beside - also where there is a route to that network with that metric, which goes on to be the one that is used;
 *   otherwise that is refused with EEXIST
 */
export function addRoute (sequence: number, route: KernelRoute, beside: boolean): Uint8Array {
  return change(RTM_NEWROUTE, NLM_F_CREATE | (beside ? NLM_F_APPEND : NLM_F_EXCL), sequence, route)
}

/** Asks to remove a route that {@link addRoute} made; no other one fits. */
export function removeRoute (sequence: number, route: KernelRoute): Uint8Array {
  return change(RTM_DELROUTE, 0, sequence, route)
}

/** Asks for the routes through an interface that {@link addRoute} made. A kernel that is not told to be strict answers with all that it has. */
export function listRoutes (sequence: number, device: number): Uint8Array {
  return bytesOf(request(RTM_GETROUTE, NLM_F_DUMP, sequence, [[RTA_OIF, device]]))
}

/**
 * Reads what one read from the socket has brought. Answers to other requests, and routes that are not of {@link addRoute},
 * are left out. Throws `TunError` for what cannot come from a kernel: lengths that do not fit.
 */
export function decodeAnswers (bytes: Uint8Array, sequence: number): Answer[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const answers: Answer[] = []
  let length
  for (let at = 0; at < bytes.length; at += aligned(length)) {
    const left = bytes.length - at
    length = left < HEADER ? 0 : view.getUint32(at, LITTLE)
    if (length < HEADER || length > left) throw malformed(`a message of ${length} bytes where there are ${left}`)
    if (view.getUint32(at + AT_SEQUENCE, LITTLE) !== sequence) continue
    const answer = decodeAnswer(new DataView(view.buffer, view.byteOffset + at, length))
    if (answer !== undefined) answers.push(answer)
  }
  return answers
}

/** Everything begins at a multiple of four bytes. */
const aligned = (length: number): number => (length + 3) & ~3

const malformed = (what: string): TunError => new TunError('ERR_TUN_SYSTEM', `rtnetlink: ${what}`)

function decodeAnswer (message: DataView): Answer | undefined {
  const type = message.getUint16(AT_TYPE, LITTLE)
  if (type === NLMSG_ERROR || type === NLMSG_DONE) {
    if (message.byteLength < HEADER + 4) throw malformed(`an end of ${message.byteLength} bytes`)
    const error = message.getInt32(HEADER, LITTLE)
    if (error > 0) throw malformed(`an end with the error ${error}`)
    return { errno: Math.abs(error) }
  }
  const route = type === RTM_NEWROUTE ? decodeRoute(message) : undefined
  return route && { route }
}

/** Undefined when it is none of ours. */
function decodeRoute (message: DataView): KernelRoute | undefined {
  if (message.byteLength < HEADER + RTMSG) throw malformed(`a route of ${message.byteLength} bytes`)
  const prefix = message.getUint8(AT_PREFIX)
  const isOurs = message.getUint8(AT_FAMILY) === AF_INET && message.getUint8(AT_TABLE) === RT_TABLE_MAIN &&
    message.getUint8(AT_PROTOCOL) === ROUTE_PROTOCOL && message.getUint8(AT_KIND) === RTN_UNICAST
  if (!isOurs || prefix > 32) return undefined
  const route = { network: 0, prefix, gateway: 0, metric: 0, device: 0 }
  let length
  for (let at = HEADER + RTMSG; at < message.byteLength; at += aligned(length)) {
    const left = message.byteLength - at
    length = left < ATTRIBUTE ? 0 : message.getUint16(at, LITTLE)
    if (length < ATTRIBUTE || length > left) throw malformed(`an attribute of ${length} bytes where there are ${left}`)
    const type = message.getUint16(at + 2, LITTLE) & ATTRIBUTE_TYPE
    const field = FIELDS[type]
    if (field !== undefined && length >= ATTRIBUTE + 4) route[field] = message.getUint32(at + ATTRIBUTE, isAddress(type) ? false : LITTLE)
  }
  return route
}

const FIELDS: Partial<Record<number, keyof KernelRoute>> = { [RTA_DST]: 'network', [RTA_OIF]: 'device', [RTA_GATEWAY]: 'gateway', [RTA_PRIORITY]: 'metric' }
