/** Where a connection comes from, as limits see it: one key for everything that one party can easily have many of. */
import { isIPv4 } from 'node:net'
import ipaddr from 'ipaddr.js'

/** What a socket of IPv6 shows before an address of IPv4. */
const MAPPED = '::ffff:'

/** An address of a link alone ends with the name of an interface, which no parser of addresses need know: `fe80::1%br-lan`. */
export const withoutZone = (host: string): string => host.includes('%') ? host.slice(0, host.indexOf('%')) : host

/** The address of IPv4 that nearly every connection has, without a parser; undefined for all else. */
function plainIPv4 (host: string): string | undefined {
  const bare = host.startsWith(MAPPED) ? host.slice(MAPPED.length) : host
  return isIPv4(bare) ? bare : undefined
}

/**
 * The source that an address counts as: an IPv4 address for itself, an IPv6 address for its /64, since that is what a single
 * host is given. What is no address (a link in memory) is a source of its own name.
 */
export function clientKey (host: string): string {
  const plain = plainIPv4(host)
  if (plain !== undefined) return plain
  const bare = withoutZone(host)
  if (!ipaddr.isValid(bare)) return host
  const address = ipaddr.process(bare) // ::ffff:192.0.2.1 is 192.0.2.1
  if (address.kind() === 'ipv4') return address.toString()
  return `${(address as ipaddr.IPv6).parts.slice(0, 4).map((part) => part.toString(16)).join(':')}::/64`
}

/** This machine itself: whoever is here is no stranger, and a proxy here stands for many. */
export function isLoopback (host: string): boolean {
  const plain = plainIPv4(host)
  return plain === undefined ? ipaddr.isValid(withoutZone(host)) && ipaddr.process(withoutZone(host)).range() === 'loopback' : plain.startsWith('127.')
}

/**
 * The one form in which an address is shown: that of RFC 5952, IPv4 as such also where it came mapped into IPv6, and without a zone.
 * What is no address (a link in memory) is shown as it is.
 */
export function normalizeAddress (host: string): string {
  const plain = plainIPv4(host)
  if (plain !== undefined) return plain
  const bare = withoutZone(host)
  return ipaddr.isValid(bare) ? ipaddr.process(bare).toString() : host
}
