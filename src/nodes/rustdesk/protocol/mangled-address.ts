/** Addresses inside of messages, in a form that routers do not find and rewrite (RustDesk protocol, section 3). */
import ipaddr from 'ipaddr.js'
import { parseAddress } from '../../../net/ipv4.ts'
import type { Endpoint } from '../../../types.ts'
import { foldAddress } from './addresses.ts'

/** Bytes of IPv6: the address and the port. */
const IPV6_BYTES = 18

/** Maximum bytes of IPv4 in a decoder: those of 128 bits. Encoders need at most 11. */
const IPV4_BYTES = 16
const IPV4_NEEDED = 11

/**
 * Encodes an address; one of IPv6 that holds one of IPv4 is encoded as that.
 *
 * @param micros - any number that changes; RustDesk takes Unix time in microseconds, of which 32 bits are used
 * @throws {TypeError} when the host is no address
 */
export function mangleAddress ({ host, port }: Endpoint, micros: number): Uint8Array {
  const plain = parseAddress(host) // nearly every one
  if (plain !== undefined) return encodeIPv4(plain, port, micros >>> 0)
  const folded = foldAddress(host)
  const ipv4 = parseAddress(folded)
  return ipv4 === undefined ? encodeIPv6(folded, port) : encodeIPv4(ipv4, port, micros >>> 0)
}

function encodeIPv6 (host: string, port: number): Uint8Array {
  if (!ipaddr.IPv6.isValid(host)) throw new TypeError(`${host} is no address`)
  const bytes = Buffer.allocUnsafe(IPV6_BYTES)
  bytes.set(ipaddr.IPv6.parse(host).toByteArray())
  bytes.writeUInt16LE(port, IPV6_BYTES - 2)
  return bytes
}

/** Bits from the lowest: 17 of port and time, 32 of time, 33 of address and time. */
function encodeIPv4 (ipv4: number, port: number, time: number): Uint8Array {
  const sum = swap(ipv4) + time
  const bytes = Buffer.allocUnsafe(IPV4_NEEDED + 1)
  bytes.writeInt32LE(port + (time & 0xffff) | (time & 0x7fff) << 17, 0)
  bytes.writeInt32LE(time >>> 15 | (sum & 0x7fff) << 17, 4)
  bytes.writeInt32LE(Math.floor(sum / 0x8000), 8)
  let length = IPV4_NEEDED
  while (length > 0 && bytes[length - 1] === 0) length--
  return bytes.subarray(0, length)
}

/** Decodes an address. What was invalid is `::`, port 0; what was empty is `0.0.0.0`, port 0: neither can be connected to. */
export function unmangleAddress (bytes: Uint8Array): Endpoint {
  if (bytes.length > IPV4_BYTES) return decodeIPv6(bytes)
  const padded = Buffer.alloc(IPV4_BYTES)
  padded.set(bytes)
  const low = padded.readInt32LE(0)
  const middle = padded.readInt32LE(4)
  const time = low >>> 17 | (middle & 0x1ffff) << 15
  const ipv4 = (middle >>> 17 | padded.readInt32LE(8) << 15) - time
  return { host: [ipv4 & 0xff, ipv4 >>> 8 & 0xff, ipv4 >>> 16 & 0xff, ipv4 >>> 24].join('.'), port: low - time & 0xffff }
}

function decodeIPv6 (bytes: Uint8Array): Endpoint {
  if (bytes.length !== IPV6_BYTES) return { host: '::', port: 0 }
  const host = new ipaddr.IPv6([...bytes.subarray(0, IPV6_BYTES - 2)]).toRFC5952String()
  return { host, port: bytes[IPV6_BYTES - 2] | bytes[IPV6_BYTES - 1] << 8 }
}

/** The same octets in the other order. */
const swap = (word: number): number => (word << 24 | (word & 0xff00) << 8 | word >>> 8 & 0xff00 | word >>> 24) >>> 0
