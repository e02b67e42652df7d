/** `X-Forwarded-For`: each proxy of HTTP appends whom it got the request from. */
import { isIPv4, isIPv6 } from 'node:net'
import type { CidrList } from './cidr-list.ts'
import { normalizeAddress } from './client-address.ts'
import type { Endpoint } from '../types.ts'

/** Proxies in a row that are believed; nobody has that many. */
export const MAX_HOPS = 32

/**
 * Who sent a request that came from a trusted proxy. From the right, where that proxy wrote, to the first address that is none
 * of a trusted proxy: what stands left of it anybody may have written. It goes no further than the last trusted proxy when that
 * wrote something else than an address, or when there are more than {@link MAX_HOPS}.
 *
 * @param header the values of all such headers, joined by commas
 * @param proxy who has sent the request to us
 * @returns port 0 where the header has none
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
  const isAddress = plain !== undefined ? isIPv4(host) : isIPv6(host) && !host.includes('%') // a zone means nothing here
  return isAddress && port <= 0xffff ? { host: normalizeAddress(host), port } : undefined
}
