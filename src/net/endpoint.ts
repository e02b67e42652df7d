/**
 * Hosts, endpoints and URLs as text: one grammar for all options. A host is a name, an IPv4 address or an IPv6 address, in brackets where
 * a port may follow. A link-local address may have a zone (RFC 4007): `[fe80::1%eth0]:443`; in a URL the `%` may be `%25` (RFC 6874).
 */
import { isIPv4, isIPv6 } from 'node:net'
import type { Endpoint } from '../types.ts'

/** `192.0.2.1:443`, `[2001:db8::1]:443`, `name.example:443`. */
export const endpointText = ({ host, port }: Endpoint): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** The same for a remote endpoint; a link in memory has no port, so its name stands alone. */
export const remoteText = (remote: Endpoint): string => remote.port === 0 ? remote.host : endpointText(remote)

const LABEL = '[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?'
const NAME = new RegExp(`^${LABEL}(?:\\.${LABEL})*\\.?$`, 'i')
const MAX_NAME = 253

/** Parses an address without brackets. */
export function readAddress (text: string): string | undefined {
  const bare = /^\[(.*)\]$/.exec(text)?.[1]
  if (bare !== undefined) return isIPv6(bare) ? bare : undefined
  return isIPv4(text) || isIPv6(text) ? text : undefined
}

/** Parses a host as it stands before a port; returns it without brackets. */
export function readHost (text: string): string | undefined {
  if (text.startsWith('[')) return readAddress(text)
  if (/^[\d.]+$/.test(text)) return isIPv4(text) ? text : undefined
  return text.length <= MAX_NAME && NAME.test(text) ? text : undefined
}

/** Parses a port, 0 to 65535. */
export function readPort (digits: string): number | undefined {
  return /^\d{1,5}$/.test(digits) && Number(digits) <= 65_535 ? Number(digits) : undefined
}

/** Parses `host:port`; both are required. */
export function readEndpoint (text: string): Endpoint | undefined {
  const at = text.lastIndexOf(':')
  const host = at < 0 ? undefined : readHost(text.slice(0, at))
  const port = readPort(text.slice(at + 1))
  return host === undefined || port === undefined ? undefined : { host, port }
}

/** The same, with a port that somebody can listen on: not 0. */
export function readRemote (text: string): Endpoint | undefined {
  const at = readEndpoint(text)
  return at === undefined || at.port === 0 ? undefined : at
}

export interface UrlEndpoint extends Endpoint {
  /** Without the zone, which means something on this machine only. */
  readonly url: URL
}

/** Parses a `ws://` or `wss://` URL into the URL and its endpoint. `URL` itself does not accept a zone. */
export function readUrl (text: string): UrlEndpoint | undefined {
  const [, before, zone = '', after] = /^([a-z]+:\/\/(?:[^/?#@]*@)?\[[0-9a-f:.]+)%(?:25)?([^\]]*)(\].*)$/is.exec(text) ?? []
  const plain = before === undefined ? text : `${before}${after}`
  if (!URL.canParse(plain)) return undefined
  const url = new URL(plain)
  const address = url.hostname.replace(/^\[|\]$/g, '')
  const host = before === undefined ? address : `${address}%${zone}`
  if (before !== undefined && !isIPv6(host)) return undefined
  return { url, host, port: url.port === '' ? (url.protocol === 'wss:' ? 443 : 80) : Number(url.port) }
}
