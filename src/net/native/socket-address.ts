/** Addresses as sockets have them: `struct sockaddr_in` and `struct sockaddr_in6`, ip(7), ipv6(7). */
import { endianness, networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { errnoOf } from './errno.ts'
import type { Libc } from './libc.ts'
import { AF_INET, AF_INET6 } from './socket-numbers.ts'
import type { Endpoint } from '../../types.ts'

/** Bytes of the two structures. */
export const SOCKADDR_IN = 16
export const SOCKADDR_IN6 = 28

/** Offset of the port in both, in network order. */
export const PORT_AT = 2
/** Offsets of the address in network order. */
const IPV4_AT = 4
const IPV6_AT = 8
/** Offset of the scope id of an IPv6 address, in host order. */
const SCOPE_AT = 24

const LITTLE = endianness() === 'LE'

/** The end of an address of IPv6 in the form of IPv4, and the same as words: the parser takes `::192.0.2.1` for `::ffff:192.0.2.1`. */
const DOTS = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/
const wordsOfDots = (_dots: string, a: string, b: string, c: string, d: string): string => `${(Number(a) << 8 | Number(b)).toString(16)}:${(Number(c) << 8 | Number(d)).toString(16)}`

/** The structure of an address; `host` is one of IPv4 or IPv6, maybe with a zone. */
export function socketAddress (host: string, port: number): Uint8Array {
  const [plain, zone] = host.split('%')
  const address = ipaddr.parse(plain.includes(':') ? plain.replace(DOTS, wordsOfDots) : plain)
  const isIPv4 = address.kind() === 'ipv4'
  const bytes = Buffer.alloc(isIPv4 ? SOCKADDR_IN : SOCKADDR_IN6)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  view.setUint16(0, isIPv4 ? AF_INET : AF_INET6, LITTLE)
  view.setUint16(PORT_AT, port)
  bytes.set(address.toByteArray(), isIPv4 ? IPV4_AT : IPV6_AT)
  if (zone !== undefined) view.setUint32(SCOPE_AT, scopeOf(zone), LITTLE)
  return bytes
}

/** The host of a structure, in the form that Node gives it. */
export function hostOf (address: Uint8Array): string {
  const view = new DataView(address.buffer, address.byteOffset, address.byteLength)
  if (view.getUint16(0, LITTLE) === AF_INET) return address.subarray(IPV4_AT, IPV4_AT + 4).join('.')
  const host = ipaddr.fromByteArray([...address.subarray(IPV6_AT, IPV6_AT + 16)]) as ipaddr.IPv6
  const { parts } = host
  const scope = view.getUint32(SCOPE_AT, LITTLE)
  // As Node prints them: those of IPv4, mapped or compatible (RFC 4291, section 2.5.5), with dots.
  const isIPv4 = parts.slice(0, 5).every((part) => part === 0) && (parts[5] === 0xffff || (parts[5] === 0 && parts[6] !== 0))
  const text = isIPv4 ? `::${parts[5] === 0 ? '' : 'ffff:'}${address.subarray(IPV6_AT + 12, IPV6_AT + 16).join('.')}` : host.toRFC5952String()
  return scope === 0 ? text : `${text}%${zoneOf(scope)}`
}

export const portOf = (address: Uint8Array): number => address[PORT_AT] << 8 | address[PORT_AT + 1]

/**
 * The address that a socket is bound to.
 *
 * @throws a system error
 */
export const localEndpoint = (libc: Libc, fd: number): Endpoint => endpointBy(libc, 'getsockname', fd)

/** The address that a socket is connected to. @throws as `localEndpoint` */
export const remoteEndpoint = (libc: Libc, fd: number): Endpoint => endpointBy(libc, 'getpeername', fd)

function endpointBy (libc: Libc, call: 'getsockname' | 'getpeername', fd: number): Endpoint {
  const address = Buffer.alloc(SOCKADDR_IN6)
  const length = new Uint8Array(new Uint32Array([address.length]).buffer)
  if (libc[call](fd, address, length) < 0) throw callError(libc.errno(), call)
  return { host: hostOf(address), port: portOf(address) }
}

/** An error in the form of Node's own system errors. */
export function callError (errno: number, syscall: string, { host: address = '', port = 0 }: Partial<Endpoint> = {}): NodeJS.ErrnoException {
  const [code, text] = errnoOf(errno)
  const place = port === 0 ? { address } : { address, port }
  return Object.assign(new Error(`${syscall} ${code}: ${text} ${Object.values(place).join(':')}`), { errno: -errno, code, syscall, ...place })
}

/** The interface index of the zone of an address, given as name or number; 0 for none. */
function scopeOf (zone: string): number {
  // Addresses of wider scope have none, on the same interface.
  const found = networkInterfaces()[zone]?.find((address) => address.family === 'IPv6' && address.scopeid !== 0)
  if (found?.scopeid !== undefined) return found.scopeid
  return /^\d{1,10}$/.test(zone) && Number(zone) <= 0xffffffff ? Number(zone) : 0
}

/** Milliseconds for which the names of interfaces are taken as known: to list them costs more than all else about a datagram. */
const NAMES_TIME = 1000

let names = new Map<number, string>()
let namesUntil = -Infinity

/** The name of an interface, or its index where it has none any more. */
function zoneOf (scope: number): string {
  // eslint-disable-next-line no-restricted-properties -- it bounds what is kept, and this folder knows no streams
  const now = performance.now()
  const known = now < namesUntil ? names.get(scope) : undefined
  if (known !== undefined) return known
  namesUntil = now + NAMES_TIME
  names = new Map()
  for (const [name, addresses = []] of Object.entries(networkInterfaces())) {
    for (const address of addresses) if (address.family === 'IPv6' && address.scopeid !== 0) names.set(address.scopeid, name)
  }
  const name = names.get(scope) ?? String(scope)
  names.set(scope, name)
  return name
}
