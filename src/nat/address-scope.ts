/** Where an address of IPv4 can be reached from. */
import { cidrOf, inNetwork, parseCidr, type Cidr } from '../net/ipv4.ts'

/**
 * `private`: in a LAN (RFC 1918), or on one link (169.254/16). `shared`: behind the NAT of a provider, 100.64/10 (RFC 6598). `special`: no host on
 * a path has it: 0/8, loopback, multicast and what is reserved. `public`: all others.
 */
export type AddressScope = 'public' | 'shared' | 'private' | 'special'

const networks = (...texts: string[]): Cidr[] => texts.map((text) => parseCidr(text) ?? cidrOf(0, 0))

const LINK_LOCAL = networks('169.254.0.0/16')
const LAN = networks('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16')
const SHARED = networks('100.64.0.0/10')
const SPECIAL = networks('0.0.0.0/8', '127.0.0.0/8', '224.0.0.0/3')

const isIn = (address: number, all: readonly Cidr[]): boolean => all.some((network) => inNetwork(address, network))

/**
 * Where this address can be reached from.
 *
 * @param address as an unsigned 32-bit number
 */
export function scopeOf (address: number): AddressScope {
  if (isLocalAddress(address)) return 'private'
  if (isIn(address, SHARED)) return 'shared'
  return isIn(address, SPECIAL) ? 'special' : 'public'
}

/**
 * Whether who has this address is in the same LAN: 10/8, 172.16/12, 192.168/16, 169.254/16. 100.64/10 is not: between two hosts with such
 * addresses are the network of a provider and often its NATs, so that a path by it is no better than a public one.
 *
 * @param address as an unsigned 32-bit number
 */
export const isLocalAddress = (address: number): boolean => isIn(address, LAN) || isLinkLocal(address)

/** 169.254/16, RFC 3927. */
export const isLinkLocal = (address: number): boolean => isIn(address, LINK_LOCAL)
