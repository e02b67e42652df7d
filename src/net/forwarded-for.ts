/** `X-Forwarded-For`: each HTTP proxy appends the address that it received the request from. */
import { isIPv4, isIPv6 } from 'node:net'
import type { CidrList } from './cidr-list.ts'
import { normalizeAddress } from './client-address.ts'
import type { Endpoint } from '../types.ts'

/** Maximum number of trusted proxies in a row. */
export const MAX_HOPS = 32

/**
 * The client of a request from a trusted proxy: the rightmost address that is not that of a trusted proxy, since the client itself may
 * have written what is left of it. The last trusted proxy counts as the client when it appended something else than an address, or when
 * there are more than {@link MAX_HOPS}.
 *
 * @param header the values of all such headers, joined by commas
 * @param proxy the remote endpoint of the connection
 * @returns the client, with port 0 where the header has none
 */
export function forwardedSource (header: string, proxy: Endpoint, trusted: CidrList): Endpoint {
  let source = proxy
  let end = header.length
  for (let hops = 0; hops < MAX_HOPS; hops++) {
    const comma = header.lastIndexOf(',', end - 1)
    const hop = parseHop(header.slice(comma + 1, end).trim())
    if (hop === undefined) break
    source = hop
    if (comma < 0 || !trusted.includes(hop.host)) break
    end = comma
  }
  return source
}

/** `192.0.2.1`, `2001:db8::1`, `[2001:db8::1]`, the first and the last also with a port. */
function parseHop (text: string): Endpoint | undefined {
  const [, bracketed, plain, digits = '0'] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/i.exec(text) ?? []
  const host = bracketed ?? plain ?? text
  const port = Number(digits)
  const isAddress = plain !== undefined ? isIPv4(host) : isIPv6(host) && !host.includes('%') // the zone of another machine means nothing here
  return isAddress && port <= 0xffff ? { host: normalizeAddress(host), port } : undefined
}
