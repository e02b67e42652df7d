/**
 * Which requests a page of this machine answers: those of its own pages, and of programs. A browser sends requests of every site that its
 * user visits to the loopback as well, and a site can give its own name any address (DNS rebinding).
 */
import type { IncomingHttpHeaders } from 'node:http'
import { isLoopback, normalizeAddress } from '../../../../net/client-address.ts'
import { readEndpoint, readHost } from '../../../../net/endpoint.ts'

/** What a request has to fit. */
export interface PageAddress {
  /** The name or address that the page listens on. */
  readonly host: string
  /** The address that the client has connected to. */
  readonly local: string
}

/** Why a request is refused; undefined when it is not. */
export function refusalOf (method: string | undefined, headers: IncomingHttpHeaders, address: PageAddress): string | undefined {
  const { host = '', origin } = headers
  if (!isOwnHost(host, address)) return 'this page has another address'
  if (origin !== undefined && !isOrigin(origin, host)) return 'a request of another site'
  if (!isOwnFetch(method, headers)) return 'a request of another site'
  return undefined
}

/** The loopback, by name or address, and the address that the page listens on. Ports do not matter: they may be forwarded. */
function isOwnHost (header: string, { host, local }: PageAddress): boolean {
  const name = (readHost(header) ?? readEndpoint(header)?.host)?.toLowerCase()
  if (name === undefined) return false
  return name === 'localhost' || name === host.toLowerCase() || isLoopback(name) || normalizeAddress(name) === normalizeAddress(local)
}

/** RFC 6454, section 7; `null` is no origin of ours. A proxy in front may speak TLS. */
const isOrigin = (origin: string, host: string): boolean => /^https?:\/\/(.+)$/.exec(origin.toLowerCase())?.[1] === host.toLowerCase()

/** Fetch Metadata (W3C), section 2; programs and old browsers send none. A link on another page of this machine may lead here. */
function isOwnFetch (method: string | undefined, headers: IncomingHttpHeaders): boolean {
  const site = headers['sec-fetch-site']
  if (site === undefined || site === 'same-origin' || site === 'none') return true
  return site === 'same-site' && method === 'GET' && headers['sec-fetch-mode'] === 'navigate' && headers['sec-fetch-dest'] === 'document'
}
