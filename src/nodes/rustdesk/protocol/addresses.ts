/** Addresses of clients as keys: one client has one form, whatever socket it came by (RustDesk protocol, section 3.3). */
import ipaddr from 'ipaddr.js'
import { normalizeAddress } from '../../../net/client-address.ts'
import { endpointText } from '../../../net/endpoint.ts'
import type { Endpoint } from '../../../types.ts'

/** Words of IPv6 in front of the two that an address of IPv4 fills. */
const LEADING_WORDS = 6

/**
 * An address in the one form that it has here: IPv4 for `::ffff:192.0.2.1` and `::192.0.2.1`, else RFC 5952 without a zone. `::1` stays.
 * Text that is no address stays as well.
 */
export function foldAddress (host: string): string {
  const plain = normalizeAddress(host)
  if (!plain.startsWith('::') || plain === '::1' || !ipaddr.IPv6.isValid(plain)) return plain
  const words = ipaddr.IPv6.parse(plain).parts
  if (words.slice(0, LEADING_WORDS).some((word) => word !== 0)) return plain
  return words.slice(LEADING_WORDS).flatMap((word) => [word >>> 8, word & 0xff]).join('.')
}

/** The key of an endpoint in tables: `192.0.2.1:443`, `[2001:db8::1]:443`. */
export const endpointKey = ({ host, port }: Endpoint): string => endpointText({ host: foldAddress(host), port })
