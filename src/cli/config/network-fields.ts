/** Fields for addresses, networks and URLs. */
import { endpointText, readEndpoint, readPort, readUrl } from '../../net/endpoint.ts'
import { normalPath } from '../../nodes/candy/relay/network-settings.ts'
import { formatCidr, parseCidr } from '../../net/ipv4.ts'
import { parseNetwork } from '../../net/cidr-list.ts'
import { commaList, numeral, show, text } from './fields.ts'
import { UsageError } from '../usage-error.ts'

const MIN_RANGE_PREFIX = 8
const MAX_RANGE_PREFIX = 30
const MAX_URL = 2048

/** The range of dynamic addresses, at least two hosts and at most a /8. */
export function range () {
  return text('a CIDR', `a.b.c.d/${MIN_RANGE_PREFIX} to /${MAX_RANGE_PREFIX}`, (input) => {
    const cidr = parseCidr(input)
    if (cidr === undefined || cidr.prefix < MIN_RANGE_PREFIX || cidr.prefix > MAX_RANGE_PREFIX) return undefined
    if (!isOfHosts(cidr)) throw new UsageError(`no addresses of hosts (${show(input)}), expected a range outside of 0.0.0.0/8, 127.0.0.0/8 and 224.0.0.0/3`)
    return formatCidr(cidr)
  })
}

/** Excludes "this network", loopback, multicast and reserved addresses. */
function isOfHosts ({ address }: { address: number }): boolean {
  const first = address >>> 24
  return first !== 0 && first !== 127 && first < 224
}

/** The address of a host, and its network. */
export function hostAddress () {
  const expected = 'a host and its network such as 10.77.0.2/24'
  return text('an address', expected, (input) => {
    const cidr = parseCidr(input)
    if (cidr === undefined || cidr.prefix === 0) return undefined
    if (!isOfHosts(cidr)) {
      throw new UsageError(`not the address of a host (${show(input)}), expected ${expected}`)
    }
    if (cidr.prefix < 31 && (cidr.address === cidr.network || cidr.address === cidr.broadcast)) {
      const kind = cidr.address === cidr.network ? 'network' : 'broadcast'
      throw new UsageError(`the ${kind} address of its network (${show(input)}), expected ${expected}`)
    }
    return formatCidr(cidr)
  })
}

/** The text before the @ may be a secret: it is rejected first, and not repeated. */
function rejectUser (url: string, expected: string): void {
  if (/^[a-z]*:?\/*[^/?#]*@/i.test(url)) throw new UsageError(`a URL with a user or a password in it, expected ${expected}`)
}

/** `ws://0.0.0.0:8080`. The port is mandatory, as the defaults 80 and 443 would surprise; 0 takes any free one. */
export function listenUrl () {
  const expected = 'ws://HOST:PORT or wss://HOST:PORT'
  return text('an address to listen on', expected, (input) => {
    rejectUser(input, expected)
    const [, scheme, place = ''] = /^(wss?):\/\/(.+?)\/?$/i.exec(input) ?? []
    const endpoint = readEndpoint(place)
    return endpoint === undefined ? undefined : `${scheme.toLowerCase()}://${endpointText(endpoint)}`
  })
}

/** The URL of a server. The path is kept: some servers select the network by it. */
export function dialUrl () {
  const expected = 'ws://HOST:PORT/ or wss://HOST:PORT/'
  return text('a WebSocket URL', expected, (input) => {
    rejectUser(input, expected)
    const url = input.length <= MAX_URL ? readUrl(input)?.url : undefined
    if (url === undefined || !/^wss?:\/\//i.test(input) || url.port === '0') return undefined
    if (url.hash !== '') throw new UsageError(`a URL with a fragment (${show(url.hash)}), expected ${expected}`)
    return input
  })
}

/** `127.0.0.1:9100`, or a port alone for the loopback. */
export function hostPort () {
  return numeral('an address to listen on', 'HOST:PORT or PORT (then on 127.0.0.1)', (input) => {
    const port = readPort(input)
    return port === undefined ? readEndpoint(input) : { host: '127.0.0.1', port }
  })
}

/** Addresses or networks, IPv4 or IPv6, of trusted proxies. */
export function proxies () {
  return commaList('a list of networks', 'addresses or CIDRs such as 10.0.0.0/8,2001:db8::/32', (input) => parseNetwork(input) === undefined ? undefined : input)
}

/** `/alice/home`, the path of a network in a URL. */
export function networkPath () {
  return text('a path', '/ or /name or /name/name of letters, digits, ".", "_", "~", "@" and "-"', (input) => normalPath(input) === input ? input : undefined)
}
