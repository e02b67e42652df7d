/** Addresses of clients: the key by which limits count them, and the form in which they are shown. */
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** The prefix of IPv4-mapped IPv6 addresses. */
const MAPPED = '::ffff:'

/** The end of the key of an IPv6 client. */
const NETWORK = '::/64'

/** An address without its zone (RFC 4007): `fe80::1%br-lan` is `fe80::1`. */
export const withoutZone = (host: string): string => host.includes('%') ? host.slice(0, host.indexOf('%')) : host

/** Fast path: the IPv4 address of nearly every connection, without a parser; undefined for anything else. */
function plainIPv4 (host: string): string | undefined {
  const bare = host.startsWith(MAPPED) ? host.slice(MAPPED.length) : host
  return isIPv4(bare) ? bare : undefined
}

/**
 * The key of a client for limits: the address for IPv4, the /64 for IPv6, since a single host usually has one. The name itself for a
 * link in memory.
 */
export function clientKey (host: string): string {
  const plain = plainIPv4(host)
  if (plain !== undefined) return plain
  const bare = withoutZone(host)
  if (!ipaddr.isValid(bare)) return host
  const address = ipaddr.process(bare) // ::ffff:192.0.2.1 is 192.0.2.1
  if (address.kind() === 'ipv4') return address.toString()
  return `${(address as ipaddr.IPv6).parts.slice(0, 4).map((part) => part.toString(16)).join(':')}${NETWORK}`
}

/**
 * The IPv6 /48 around the /64 of a client, as whoever has one such network often has all of them; undefined for IPv4 and for names.
 *
 * @param key see {@link clientKey}
 */
export function siteOf (key: string): string | undefined {
  return key.endsWith(NETWORK) ? `${key.slice(0, key.lastIndexOf(':', key.length - NETWORK.length - 1))}::/48` : undefined
}

/** Whether an address is the loopback, which limits by source exempt: it is local, or a proxy for many clients. */
export function isLoopback (host: string): boolean {
  const plain = plainIPv4(host)
  return plain === undefined ? ipaddr.isValid(withoutZone(host)) && ipaddr.process(withoutZone(host)).range() === 'loopback' : plain.startsWith('127.')
}

/**
 * The text form of an address: RFC 5952, with IPv4-mapped addresses as IPv4 and without a zone. The name itself for a link in memory.
 */
export function normalizeAddress (host: string): string {
  const plain = plainIPv4(host)
  if (plain !== undefined) return plain
  const bare = withoutZone(host)
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : host
}
