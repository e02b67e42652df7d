/** Addresses of the network are kept in one form each, so that they compare as texts. */
import { isIP } from 'node:net'
import { OptionError } from '../../../errors.ts'
import { normalizeAddress, withoutZone } from '../../../net/client-address.ts'

/** The normal form of an address of IPv4 or IPv6; undefined for anything else. */
export const normalAddress = (text: string): string | undefined => isIP(withoutZone(text)) === 0 ? undefined : normalizeAddress(text)

/** The same for an option; throws `OptionError` where that is undefined. */
export function verifyAddress (value: string): string {
  const address = typeof value === 'string' ? normalAddress(value) : undefined
  if (address === undefined) throw new OptionError(`an address is one of IPv4 or IPv6, not ${String(value)}`)
  return address
}

/** Whether sockets of one port are in each other's way at these local addresses: `0.0.0.0` is all of IPv4, `::` all. */
export function overlaps (one: string, other: string): boolean {
  if (one === other || one === '::' || other === '::') return true
  return (one === '0.0.0.0' && !other.includes(':')) || (other === '0.0.0.0' && !one.includes(':'))
}
