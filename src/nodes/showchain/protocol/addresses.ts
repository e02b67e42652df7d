/** IP addresses in messages: 4 or 16 bytes, an IPv4 address never in its mapped form (SHOW CHAIN protocol, section 2.2). */
import ipaddr from 'ipaddr.js'
import { formatAddress, parseAddress, readU32 } from '../../../net/ipv4.ts'
import { normalizeAddress } from '../../../net/client-address.ts'

const IPV4_BYTES = 4

/** @param ip 4 or 16 bytes */
export const addressText = (ip: Uint8Array): string => ip.length === IPV4_BYTES ? formatAddress(readU32(ip, 0)) : ipaddr.fromByteArray([...ip]).toString()

/** Undefined for a name. */
export function addressBytes (host: string): Uint8Array | undefined {
  const address = normalizeAddress(host)
  const value = parseAddress(address)
  if (value !== undefined) return Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value)
  return ipaddr.isValid(address) ? Uint8Array.from(ipaddr.parse(address).toByteArray()) : undefined
}
