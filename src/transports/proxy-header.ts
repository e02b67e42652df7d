/**
 * What a proxy says in front of a connection that it passes on: the PROXY protocol, versions 1 and 2, as HAProxy specifies it
 * (https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt; the sections below are those of this text). No I/O.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { normalizeAddress, withoutZone } from '../net/client-address.ts'
import type { Endpoint } from '../types.ts'

/** The longest line of version 1 in bytes, CRLF included (section 2.1). */
export const MAX_V1_LINE = 107

/**
 * The most that the length of version 2 may say, in bytes. Addresses take 12 or 36; what a proxy adds about TLS, names and its
 * cloud has been some hundreds. nginx reads as much, so whoever stays within that gets through here too.
 */
export const MAX_V2_LENGTH = 4096

/** Section 2.1: the line begins with it. */
const V1_SIGNATURE = Buffer.from('PROXY ')

/** Section 2.2: no protocol begins like that. */
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n')

/** Signature, version and command, family and protocol, two bytes of length (section 2.2). */
const V2_HEAD = 16

/** Versions and commands: the proxy speaks for itself, as in a health check, or for another. */
const Command = { LOCAL: 0x20, PROXY: 0x21 } as const

/** Address family and protocol. Others (datagrams, Unix sockets, unspecified) tell no source that is of use here. */
const Family = { TCP4: 0x11, TCP6: 0x21 } as const

/** Source and destination address, source and destination port. */
const V4_ADDRESSES = { address: 4, port: 8, size: 12 } as const
const V6_ADDRESSES = { address: 16, port: 32, size: 36 } as const

const V1_LINE = /^PROXY (?:UNKNOWN(?: .*)?|TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))$/s

export interface ProxyHeader {
  /** Bytes; what the client sent begins behind them. */
  length: number
  /** Who connected to the proxy. Undefined when it does not say, or speaks for itself: then it is the proxy's own address. */
  source?: Endpoint
}

/** A connection begins like a PROXY header and goes on in another way. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError'
  readonly code = 'ERR_PROXY_HEADER'
}

/**
 * Reads the header at the beginning of a connection. What it says of a beginning does not change with more bytes, unless it is
 * `more`.
 *
 * @returns `none` when there is no header, `more` when that, or the end of the header, takes more bytes to know: never when
 *   there are 4112 of them
 * @throws {ProxyHeaderError} for a header that is malformed or too long
 */
export function decodeProxyHeader (bytes: Uint8Array): ProxyHeader | 'none' | 'more' {
  if (agrees(bytes, V2_SIGNATURE)) return bytes.length < V2_SIGNATURE.length ? 'more' : decodeV2(bytes)
  if (agrees(bytes, V1_SIGNATURE)) return bytes.length < V1_SIGNATURE.length ? 'more' : decodeV1(bytes)
  return 'none'
}

/** As far as there are bytes. */
function agrees (bytes: Uint8Array, signature: Uint8Array): boolean {
  const end = Math.min(bytes.length, signature.length)
  for (let i = 0; i < end; i++) if (bytes[i] !== signature[i]) return false
  return true
}

function decodeV1 (bytes: Uint8Array): ProxyHeader | 'more' {
  const start = Buffer.from(bytes.subarray(0, MAX_V1_LINE)).toString('latin1')
  const end = start.indexOf('\r\n')
  if (end < 0) {
    if (start.length === MAX_V1_LINE) throw new ProxyHeaderError(`a line that does not end within ${MAX_V1_LINE} bytes`)
    return 'more'
  }
  const [line, version, host, destination, port, destinationPort] = V1_LINE.exec(start.slice(0, end)) ?? []
  if (line === undefined) throw new ProxyHeaderError('a line in another form than the protocol has')
  const length = end + 2
  if (version === undefined) return { length } // UNKNOWN: what follows it on the line is to be ignored
  const isAddress = version === '4' ? isIPv4 : isPlainIPv6
  if (!isAddress(host) || !isAddress(destination)) throw new ProxyHeaderError(`a line of TCP${version} without two addresses of IPv${version}`)
  if (Number(port) > 0xffff || Number(destinationPort) > 0xffff) throw new ProxyHeaderError('a port over 65535')
  return { length, source: { host: normalizeAddress(host), port: Number(port) } }
}

/** A zone has a meaning only on the machine that wrote it. */
const isPlainIPv6 = (host: string): boolean => isIPv6(host) && !host.includes('%')

function decodeV2 (bytes: Uint8Array): ProxyHeader | 'more' {
  const [command, family] = bytes.subarray(V2_SIGNATURE.length, V2_HEAD - 2)
  if (command === undefined) return 'more'
  if (command !== Command.LOCAL && command !== Command.PROXY) throw new ProxyHeaderError(`version and command 0x${command.toString(16)}`)
  if (bytes.length < V2_HEAD) return 'more'
  const size = bytes[V2_HEAD - 2] << 8 | bytes[V2_HEAD - 1]
  if (size > MAX_V2_LENGTH) throw new ProxyHeaderError(`${size} bytes behind the length, limit ${MAX_V2_LENGTH}`)
  const layout = command === Command.LOCAL ? undefined : layoutOf(family)
  if (layout !== undefined && size < layout.size) throw new ProxyHeaderError(`${size} bytes behind the length, ${layout.size} are addresses`)
  const length = V2_HEAD + size
  if (bytes.length < length) return 'more'
  if (layout === undefined) return { length }
  // What follows the addresses is extensions (section 2.2, TLV), of which none is needed.
  const { address, port } = layout
  const host = ipaddr.fromByteArray([...bytes.subarray(V2_HEAD, V2_HEAD + address)])
  return { length, source: { host: normalizeAddress(host.toString()), port: bytes[V2_HEAD + port] << 8 | bytes[V2_HEAD + port + 1] } }
}

function layoutOf (family: number): typeof V4_ADDRESSES | typeof V6_ADDRESSES | undefined {
  if (family === Family.TCP4) return V4_ADDRESSES
  return family === Family.TCP6 ? V6_ADDRESSES : undefined
}

/**
 * A header of version 2 (section 2.2) that tells who is behind a connection, for a service that reads such headers.
 *
 * @param source who has connected. Undefined, or no address and port: the header says that nothing is known (command LOCAL)
 * @param destination what it has connected to. Default: the unspecified address, port 0
 */
export function encodeProxyHeader (source?: Endpoint, destination?: Endpoint): Buffer {
  const [from, to] = [addressOf(source), addressOf(destination)]
  const isV4 = from?.length === V4_ADDRESSES.address
  const { address, size } = isV4 ? V4_ADDRESSES : V6_ADDRESSES
  const header = Buffer.alloc(V2_HEAD + (from === undefined ? 0 : size))
  header.set(V2_SIGNATURE)
  header[V2_SIGNATURE.length] = from === undefined ? Command.LOCAL : Command.PROXY
  if (from === undefined) return header
  header[V2_SIGNATURE.length + 1] = isV4 ? Family.TCP4 : Family.TCP6
  header.writeUInt16BE(size, V2_HEAD - 2)
  header.set(from, V2_HEAD)
  // Both are of the family of the source: an IPv4 address may stand for itself in IPv6, not the other way round.
  const fitting = to === undefined || to.length === address ? to : isV4 ? undefined : [...Array(10).fill(0), 0xff, 0xff, ...to]
  header.set(fitting ?? [], V2_HEAD + address)
  header.writeUInt16BE(source?.port ?? 0, header.length - 4)
  header.writeUInt16BE(to === undefined ? 0 : destination?.port ?? 0, header.length - 2)
  return header
}

/** The bytes of an address, IPv4 also where it came mapped into IPv6; undefined when it, or the port, can be none. */
function addressOf (endpoint: Endpoint | undefined): number[] | undefined {
  if (endpoint === undefined || isIP(endpoint.host) === 0 || !(Number.isInteger(endpoint.port) && endpoint.port >= 0 && endpoint.port <= 0xffff)) return undefined
  return ipaddr.process(withoutZone(endpoint.host)).toByteArray()
}
