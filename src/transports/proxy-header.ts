/**
 * Headers of the PROXY protocol, versions 1 and 2, which a proxy sends in front of a connection. Sections below are those of
 * https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt. No I/O.
 */
import { isIP, isIPv4, isIPv6 } from 'node:net'
import ipaddr from 'ipaddr.js'
import { normalizeAddress, withoutZone } from '../net/client-address.ts'
import type { Endpoint } from '../types.ts'

/** Maximum bytes of a line of version 1, CRLF included (section 2.1). */
export const MAX_V1_LINE = 107

/**
 * Maximum of the length field of version 2, in bytes. Addresses take 12 or 36, extensions about TLS, names and cloud some hundreds. nginx
 * has the same limit.
 */
export const MAX_V2_LENGTH = 4096

/** The beginning of version 1 (section 2.1). */
const V1_SIGNATURE = Buffer.from('PROXY ')

/** The beginning of version 2 (section 2.2), which no other protocol has. */
const V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n')

/** Signature, version and command, family and protocol, two bytes of length (section 2.2). */
const V2_HEAD = 16

/** Version and command: a connection of the proxy itself, as for a health check, or of a client. */
const Command = { LOCAL: 0x20, PROXY: 0x21 } as const

/** Address family and protocol. Others (datagrams, Unix sockets, unspecified) have no usable source. */
const Family = { TCP4: 0x11, TCP6: 0x21 } as const

/** Offsets of source and destination address, source and destination port. */
const V4_ADDRESSES = { address: 4, port: 8, size: 12 } as const
const V6_ADDRESSES = { address: 16, port: 32, size: 36 } as const

const V1_LINE = /^PROXY (?:UNKNOWN(?: .*)?|TCP([46]) (\S+) (\S+) (0|[1-9]\d{0,4}) (0|[1-9]\d{0,4}))$/s

export interface ProxyHeader {
  /** Bytes of the header; the data of the client follows. */
  length: number
  /** The client of the proxy. Undefined when the proxy does not report it, or the connection is its own: then use the address of the proxy. */
  source?: Endpoint
}

/** A connection begins with the signature of a PROXY header, but the header is malformed. */
export class ProxyHeaderError extends Error {
  override readonly name = 'ProxyHeaderError'
  readonly code = 'ERR_PROXY_HEADER'
}

/**
 * Decodes the header at the beginning of a connection. The result for a prefix is final unless it is `more`.
 *
 * @returns `none` when there is no header, `more` when more bytes are needed; never with 4112 bytes
 * @throws {ProxyHeaderError} when the header is malformed or too long
 */
export function decodeProxyHeader (bytes: Uint8Array): ProxyHeader | 'none' | 'more' {
  if (agrees(bytes, V2_SIGNATURE)) return bytes.length < V2_SIGNATURE.length ? 'more' : decodeV2(bytes)
  if (agrees(bytes, V1_SIGNATURE)) return bytes.length < V1_SIGNATURE.length ? 'more' : decodeV1(bytes)
  return 'none'
}

/** Compares as many bytes as there are. */
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
  if (version === undefined) return { length } // UNKNOWN: the rest of the line is ignored
  const isAddress = version === '4' ? isIPv4 : isPlainIPv6
  if (!isAddress(host) || !isAddress(destination)) throw new ProxyHeaderError(`a line of TCP${version} without two addresses of IPv${version}`)
  if (Number(port) > 0xffff || Number(destinationPort) > 0xffff) throw new ProxyHeaderError('a port over 65535')
  return { length, source: { host: normalizeAddress(host), port: Number(port) } }
}

/** A zone has a meaning only on the machine of the proxy. */
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
  // Extensions follow the addresses (section 2.2, TLV); none is needed.
  const { address, port } = layout
  const host = ipaddr.fromByteArray([...bytes.subarray(V2_HEAD, V2_HEAD + address)])
  return { length, source: { host: normalizeAddress(host.toString()), port: bytes[V2_HEAD + port] << 8 | bytes[V2_HEAD + port + 1] } }
}

function layoutOf (family: number): typeof V4_ADDRESSES | typeof V6_ADDRESSES | undefined {
  if (family === Family.TCP4) return V4_ADDRESSES
  return family === Family.TCP6 ? V6_ADDRESSES : undefined
}

/**
 * Encodes a header of version 2 (section 2.2), for services that read such headers.
 *
 * @param source the client. Undefined, or no address and port: the header has the command LOCAL, and no address
 * @param destination the address that the client has connected to. Default: the unspecified address, port 0
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
  // Both addresses are of the family of the source: an IPv4 destination can be mapped to IPv6, not the other way round.
  const fitting = to === undefined || to.length === address ? to : isV4 ? undefined : [...Array(10).fill(0), 0xff, 0xff, ...to]
  header.set(fitting ?? [], V2_HEAD + address)
  header.writeUInt16BE(source?.port ?? 0, header.length - 4)
  header.writeUInt16BE(to === undefined ? 0 : destination?.port ?? 0, header.length - 2)
  return header
}

/** The bytes of an address, of IPv4 also when it is mapped to IPv6; undefined when address or port are invalid. */
function addressOf (endpoint: Endpoint | undefined): number[] | undefined {
  if (endpoint === undefined || isIP(endpoint.host) === 0 || !(Number.isInteger(endpoint.port) && endpoint.port >= 0 && endpoint.port <= 0xffff)) return undefined
  return ipaddr.process(withoutZone(endpoint.host)).toByteArray()
}
