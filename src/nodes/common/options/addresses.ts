/** Checks of addresses, networks and URLs. */
import { commaList, numeral, text, ValueError } from './checks.ts'
import { parseNetwork } from '../../../net/cidr-list.ts'
import { endpointText, readAddress, readEndpoint, readHost, readPort, readRemote, readUrl } from '../../../net/endpoint.ts'
import { cidrOf, parseCidr, type Cidr } from '../../../net/ipv4.ts'
import { quoted } from '../../../text/phrases.ts'
import type { Endpoint } from '../../../types.ts'

const MAX_URL = 2048

/** A CIDR as `parseCidr` returns it. */
export function isCidr (value: unknown): value is Cidr {
  const { address = -1, prefix = -1 } = value as Partial<Cidr> | undefined ?? {}
  if (!Number.isInteger(address) || address < 0 || address > 0xffff_ffff || !Number.isInteger(prefix) || prefix < 0 || prefix > 32) return false
  return Object.entries(cidrOf(address, prefix)).every(([key, part]) => (value as Cidr)[key as keyof Cidr] === part)
}

/** Excludes "this network", loopback, multicast and reserved addresses. */
function isOfHosts ({ address }: Cidr): boolean {
  const first = address >>> 24
  return first !== 0 && first !== 127 && first < 224
}

/** A range of addresses of hosts. */
export function addressRange (minPrefix: number, maxPrefix: number) {
  return text('a CIDR', `a.b.c.d/${minPrefix} to /${maxPrefix}`, (input) => {
    const cidr = parseCidr(input)
    if (cidr === undefined || cidr.prefix < minPrefix || cidr.prefix > maxPrefix) return undefined
    if (!isOfHosts(cidr)) throw new ValueError(`no addresses of hosts (${quoted(input)}), expected a range outside of 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/3`)
    return cidr
  }, (value): value is Cidr => isCidr(value) && value.prefix >= minPrefix && value.prefix <= maxPrefix && isOfHosts(value))
}

/** The address of a host, and its network. */
export function hostAddress () {
  const expected = 'a host and its network such as 10.77.0.2/24'
  return text('an address', expected, (input) => {
    const cidr = parseCidr(input)
    if (cidr === undefined || cidr.prefix === 0) return undefined
    if (!isOfHosts(cidr)) throw new ValueError(`not the address of a host (${quoted(input)}), expected ${expected}`)
    if (cidr.prefix < 31 && (cidr.address === cidr.network || cidr.address === cidr.broadcast)) {
      const kind = cidr.address === cidr.network ? 'network' : 'broadcast'
      throw new ValueError(`the ${kind} address of its network (${quoted(input)}), expected ${expected}`)
    }
    return cidr
  }, (value): value is Cidr => isCidr(value) && value.prefix > 0 && isOfHosts(value) && (value.prefix >= 31 || (value.address !== value.network && value.address !== value.broadcast)))
}

/** The text before the @ may be a secret: it is rejected first, and not repeated. */
function rejectUser (url: string, expected: string): void {
  if (/^[a-z]*:?\/*[^/?#]*@/i.test(url)) throw new ValueError(`a URL with a user or a password in it, expected ${expected}`)
}

/** An address to listen on with WebSocket. */
export interface ListenUrl extends Endpoint {
  /** `wss:`, with TLS. */
  readonly isSecure: boolean
}

export const listenUrlText = ({ isSecure, ...at }: ListenUrl): string => `${isSecure ? 'wss' : 'ws'}://${endpointText(at)}`

/** `ws://0.0.0.0:8080`. The port is mandatory, as the defaults 80 and 443 would surprise; 0 takes any free one. */
export function listenUrl () {
  const expected = 'ws://HOST:PORT or wss://HOST:PORT'
  return text('an address to listen on', expected, (input): ListenUrl | undefined => {
    rejectUser(input, expected)
    const [, scheme, place = ''] = /^(wss?):\/\/(.+?)\/?$/i.exec(input) ?? []
    const endpoint = readEndpoint(place)
    return endpoint === undefined ? undefined : { isSecure: scheme.toLowerCase() === 'wss', ...endpoint }
  }, (value): value is ListenUrl => isEndpoint(value, 0) && typeof (value as ListenUrl).isSecure === 'boolean')
}

/** The URL of a server. The path is kept: some servers select the network by it. */
export function dialUrl () {
  const expected = 'ws://HOST:PORT/ or wss://HOST:PORT/'
  return text('a WebSocket URL', expected, (input) => {
    rejectUser(input, expected)
    const url = input.length <= MAX_URL ? readUrl(input)?.url : undefined
    if (url === undefined || !/^wss?:\/\//i.test(input) || url.port === '0') return undefined
    if (url.hash !== '') throw new ValueError(`a URL with a fragment (${quoted(url.hash)}), expected ${expected}`)
    return input
  })
}

function isEndpoint (value: unknown, minPort: number): value is Endpoint {
  const { host, port } = value as Partial<Endpoint> | undefined ?? {}
  return typeof host === 'string' && readHost(host.includes(':') ? `[${host}]` : host) !== undefined && Number.isInteger(port) && (port as number) >= minPort && (port as number) <= 65_535
}

/** A host and port with an optional scheme. */
export interface SchemedEndpoint extends Endpoint {
  readonly scheme?: 'tcp' | 'tls' | undefined
}

function schemedEndpoint (what: string, expected: string, minPort: number) {
  return text(what, expected, (input): SchemedEndpoint | undefined => {
    const [, scheme, at = ''] = /^(?:(tcp|tls):\/\/)?([^/@]+)\/?$/i.exec(input) ?? []
    const endpoint = readEndpoint(at)
    if (endpoint === undefined || endpoint.port < minPort) return undefined
    return { scheme: scheme?.toLowerCase() as SchemedEndpoint['scheme'], ...endpoint }
  }, (value): value is SchemedEndpoint => isEndpoint(value, minPort) && [undefined, 'tcp', 'tls'].includes((value as SchemedEndpoint).scheme))
}

/**
 * `0.0.0.0:17000`. Host and port are mandatory; port 0 takes any free one.
 *
 * @param customary - the port that an example has
 */
export function listenEndpoint (customary = 17_000) { return schemedEndpoint('an address to listen on', `HOST:PORT such as 0.0.0.0:${customary}`, 0) }

/** `udp://0.0.0.0:7700`. Host and port are mandatory; port 0 takes any free one. */
export function udpEndpoint () {
  return text('an address to listen on', 'udp://HOST:PORT such as udp://0.0.0.0:7700', (input): Endpoint | undefined => {
    const at = /^udp:\/\/([^/@]+)\/?$/i.exec(input)?.[1]
    return at === undefined ? undefined : readEndpoint(at)
  }, (value): value is Endpoint => isEndpoint(value, 0))
}

/**
 * The address of a server.
 *
 * @param customary - the port that an example has
 */
export function serverEndpoint (customary = 17_000) { return schemedEndpoint('the address of a server', `HOST:PORT such as 192.0.2.7:${customary}`, 1) }

/** A local address without a port. */
export function localAddress () {
  return text('an address', 'one of this machine such as 192.0.2.7 or ::', readAddress)
}

/** `127.0.0.1:9100`, or a port alone for the loopback. */
export function hostPort () {
  return numeral<Endpoint>('an address to listen on', 'HOST:PORT or PORT (then on 127.0.0.1)', (input) => {
    const port = readPort(input)
    return port === undefined ? readEndpoint(input) : { host: '127.0.0.1', port }
  }, (value): value is Endpoint => isEndpoint(value, 0))
}

/** Of a service: `192.0.2.7:22`, or a port of this machine. */
export function servicePlace () {
  return numeral<Endpoint>('a service', 'HOST:PORT or PORT (then of 127.0.0.1), such as 127.0.0.1:22', (input) => {
    const port = readPort(input)
    return port === undefined ? readRemote(input) : port === 0 ? undefined : { host: '127.0.0.1', port }
  })
}

/** Of a server, with a port that it has where none is told. */
export function serverPlace (defaultPort: number) {
  return text('the address of a server', `HOST or HOST:PORT such as 192.0.2.7:${defaultPort}`, (input): Endpoint | undefined => {
    const host = readHost(input)
    return host === undefined ? readRemote(input) : { host, port: defaultPort }
  })
}

/** `0.0.0.0:3478`, or a port alone for all addresses of IPv4; the next port is used as well. Port 0 takes two free ones. */
export function portPair () {
  const hasNext = ({ port }: Endpoint): boolean => port < 65_535
  return numeral<Endpoint>('an address to listen on', 'HOST:PORT or PORT (then on all addresses), at most 65534', (input) => {
    const port = readPort(input)
    const at = port === undefined ? readEndpoint(input) : { host: '0.0.0.0', port }
    return at !== undefined && hasNext(at) ? at : undefined
  }, (value): value is Endpoint => isEndpoint(value, 0) && hasNext(value))
}

/** Addresses or networks, IPv4 or IPv6, of trusted proxies. */
export function proxyList () {
  return commaList('a list of networks', 'addresses or CIDRs such as 10.0.0.0/8,2001:db8::/32', (input) => parseNetwork(input) === undefined ? undefined : input)
}
