/** Messages about IPv4 addresses and all routes, rtnetlink(7), without the socket. For routes of this program see rtnetlink.ts. */
import { answersIn, ATTRIBUTE, attributesIn, AT_FLAGS, AT_SEQUENCE, AT_TYPE, endOf, HEADER, LITTLE, malformed, NLM_F_DUMP, NLM_F_REQUEST } from './netlink.ts'
import { AF_INET } from '../net/native/socket-numbers.ts'

export const RTM_NEWLINK = 16
export const RTM_DELLINK = 17
export const RTM_NEWADDR = 20
export const RTM_DELADDR = 21
const RTM_GETADDR = 22
export const RTM_NEWROUTE = 24
export const RTM_DELROUTE = 25
const RTM_GETROUTE = 26

const RT_TABLE_LOCAL = 255
const RTN_UNICAST = 1
const RTN_LOCAL = 2

// struct ifaddrmsg: family, prefix, flags, scope (1 byte each), interface (4)
// struct ifinfomsg: family (1), padding (1), type (2), interface (4), flags (4), change (4)
const IFADDRMSG = 8
export const AT_INDEX = HEADER + 4
const AT_ADDRESS_PREFIX = HEADER + 1
const IFA_ADDRESS = 1
const IFA_LOCAL = 2

// struct rtmsg: see rtnetlink.ts
export const RTMSG = 12
const AT_ROUTE_PREFIX = HEADER + 1
const AT_TABLE = HEADER + 4
const AT_KIND = HEADER + 7
const RTA_DST = 1
export const RTA_OIF = 4
const RTA_GATEWAY = 5
const RTA_MULTIPATH = 9

/** struct rtnexthop: length (2 bytes, attributes included), flags (1), hops (1), interface (4). */
const RTNEXTHOP = 8

/** An address of an interface. On a point-to-point link `peer` is the other host, and the prefix is that of `peer`. */
export interface KernelAddress {
  address: number
  peer: number
  prefix: number
  /** The index of the interface. */
  device: number
}

/** One next hop of a route of the machine, or a local route. */
export interface KernelHop {
  network: number
  prefix: number
  /** 0: the network is directly on the interface. */
  gateway: number
  device: number
  /** The route of a local address, from the table of such routes. */
  isLocal: boolean
}

type Listed<T> = { item: T } | { errno: number }

function list (type: number, body: number, sequence: number, device = 0): Uint8Array {
  const message = new DataView(new ArrayBuffer(HEADER + body + (device === 0 ? 0 : ATTRIBUTE + 4)))
  message.setUint32(0, message.byteLength, LITTLE)
  message.setUint16(AT_TYPE, type, LITTLE)
  message.setUint16(AT_FLAGS, NLM_F_REQUEST | NLM_F_DUMP, LITTLE)
  message.setUint32(AT_SEQUENCE, sequence, LITTLE)
  message.setUint8(HEADER, AF_INET)
  if (device !== 0) {
    message.setUint16(HEADER + body, ATTRIBUTE + 4, LITTLE)
    message.setUint16(HEADER + body + 2, RTA_OIF, LITTLE)
    message.setUint32(HEADER + body + ATTRIBUTE, device, LITTLE)
  }
  return new Uint8Array(message.buffer)
}

/** Requests all addresses. */
export const listAddresses = (sequence: number): Uint8Array => list(RTM_GETADDR, IFADDRMSG, sequence)

/** Requests the routes of all tables, or those through one interface; a kernel without strict checking lists all in any case. */
export const listHops = (sequence: number, device?: number): Uint8Array => list(RTM_GETROUTE, RTMSG, sequence, device)

/** @throws {TunError} for invalid lengths */
export const decodeAddresses = (bytes: Uint8Array, sequence: number): Array<Listed<KernelAddress>> => decode(bytes, sequence, RTM_NEWADDR, IFADDRMSG, addressesOf)

/** @throws {TunError} for invalid lengths */
export const decodeHops = (bytes: Uint8Array, sequence: number): Array<Listed<KernelHop>> => decode(bytes, sequence, RTM_NEWROUTE, RTMSG, hopsOf)

function decode<T> (bytes: Uint8Array, sequence: number, type: number, body: number, read: (message: DataView) => T[]): Array<Listed<T>> {
  return answersIn(bytes, sequence).flatMap((message): Array<Listed<T>> => {
    const errno = endOf(message)
    if (errno !== undefined) return [{ errno }]
    if (message.getUint16(AT_TYPE, LITTLE) !== type) return []
    if (message.byteLength < HEADER + body) throw malformed(`an entry of ${message.byteLength} bytes`)
    return message.getUint8(HEADER) === AF_INET ? read(message).map((item) => ({ item })) : []
  })
}

function addressesOf (message: DataView): KernelAddress[] {
  const prefix = message.getUint8(AT_ADDRESS_PREFIX)
  let [address, peer]: Array<number | undefined> = []
  for (const [type, value] of attributesIn(message, HEADER + IFADDRMSG)) {
    if (value.byteLength < 4) continue
    if (type === IFA_LOCAL) address = value.getUint32(0)
    else if (type === IFA_ADDRESS) peer = value.getUint32(0)
  }
  const known = address ?? peer
  if (known === undefined || prefix > 32) return []
  return [{ address: known, peer: peer ?? known, prefix, device: message.getUint32(AT_INDEX, LITTLE) }]
}

function hopsOf (message: DataView): KernelHop[] {
  const prefix = message.getUint8(AT_ROUTE_PREFIX)
  const kind = message.getUint8(AT_KIND)
  if (prefix > 32 || (kind !== RTN_UNICAST && kind !== RTN_LOCAL)) return []
  const isLocal = kind === RTN_LOCAL && message.getUint8(AT_TABLE) === RT_TABLE_LOCAL
  const first = { gateway: 0, device: 0 }
  const hops: Array<typeof first> = []
  let network = 0
  for (const [type, value] of attributesIn(message, HEADER + RTMSG)) {
    if (type === RTA_MULTIPATH) hops.push(...severalHops(value))
    else if (type === RTA_DST && value.byteLength >= 4) network = value.getUint32(0)
    else readHop(first, type, value)
  }
  if (first.device !== 0) hops.push(first)
  return hops.map((hop) => ({ network, prefix, isLocal, ...hop }))
}

function severalHops (value: DataView): Array<{ gateway: number, device: number }> {
  const hops: Array<{ gateway: number, device: number }> = []
  let length
  for (let at = 0; at < value.byteLength; at += (length + 3) & ~3) {
    const left = value.byteLength - at
    length = left < RTNEXTHOP ? 0 : value.getUint16(at, LITTLE)
    if (length < RTNEXTHOP || length > left) throw malformed(`a next hop of ${length} bytes where there are ${left}`)
    const hop = { gateway: 0, device: value.getUint32(at + 4, LITTLE) }
    for (const [type, inner] of attributesIn(new DataView(value.buffer, value.byteOffset + at, length), RTNEXTHOP)) {
      if (type === RTA_GATEWAY) readHop(hop, type, inner)
    }
    hops.push(hop)
  }
  return hops
}

function readHop (hop: { gateway: number, device: number }, type: number, value: DataView): void {
  if (value.byteLength < 4) return
  if (type === RTA_GATEWAY) hop.gateway = value.getUint32(0)
  else if (type === RTA_OIF) hop.device = value.getUint32(0, LITTLE)
}
