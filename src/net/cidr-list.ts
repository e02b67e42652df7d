/** A list of networks of an option, with a lookup by address. */
import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { withoutZone } from './client-address.ts'
import { OptionError } from '../errors.ts'

type Network = readonly [address: ipaddr.IPv4 | ipaddr.IPv6, prefix: number]

/** Parses an address or a CIDR; undefined for anything else. */
export function parseNetwork (text: string): Network | undefined {
  const [, host = '', length] = /^([0-9a-f.:]+)(?:\/(0|[1-9]\d{0,2}))?$/i.exec(text) ?? []
  if (isIP(host) === 0) return undefined
  const address = ipaddr.parse(host)
  const bits = address.kind() === 'ipv4' ? 32 : 128
  const prefix = length === undefined ? bits : Number(length)
  if (prefix > bits) return undefined
  // `includes` unmaps IPv4-mapped addresses, so a network of those has to become an IPv4 network.
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && prefix >= 96) return [address.toIPv4Address(), prefix - 96]
  return [address, prefix]
}

export class CidrList {
  readonly #cidrs: Network[]

  /**
   * @param name name of the option, for the error
   * @param texts addresses and CIDRs of IPv4 and IPv6; host bits are ignored
   * @throws {OptionError} for anything else
   */
  constructor (name: string, texts: readonly string[]) {
    this.#cidrs = texts.map((text) => {
      const network = parseNetwork(text)
      if (network === undefined) throw new OptionError(`${name} takes addresses and CIDRs such as 10.0.0.0/8 and 2001:db8::/32, not ${String(text)}`)
      return network
    })
  }

  /** Whether an address is in one of the networks; false for anything but an address. `::ffff:192.0.2.1` counts as 192.0.2.1. */
  includes (host: string): boolean {
    if (this.#cidrs.length === 0 || isIP(host) === 0) return false
    const address = ipaddr.process(withoutZone(host))
    return this.#cidrs.some(([network, prefix]) => address.kind() === network.kind() && address.match(network, prefix))
  }
}
