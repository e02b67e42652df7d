/** The network of the server, whose peers reach each other, and the relay, by private addresses. */
import { inNetwork, parseAddress, parseCidr } from '../../../net/ipv4.ts'
import { OptionError } from '../../../errors.ts'

export interface LanMask {
  /** @param host an address, folded */
  includes (host: string): boolean
}

/**
 * @param text a CIDR of IPv4; empty: no network
 * @throws {OptionError} for anything else
 */
export function lanMask (text: string): LanMask {
  if (text === '') return { includes: () => false }
  const network = parseCidr(text)
  if (network === undefined) throw new OptionError(`mask is a network such as 192.168.0.0/16, not ${text}`)
  return {
    includes (host) {
      const address = parseAddress(host)
      return address !== undefined && inNetwork(address, network)
    }
  }
}
