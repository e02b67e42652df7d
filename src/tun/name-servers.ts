/** The name servers of this machine: when a tunnel takes over the route to them, its server cannot be resolved again. */
import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { readUrl } from '../net/endpoint.ts'
import { parseAddress } from '../net/ipv4.ts'

export const RESOLV_CONF = '/etc/resolv.conf'

/** The name servers of systemd-resolved; resolv.conf has a loopback address then. */
const UPSTREAM = '/run/systemd/resolve/resolv.conf'

/** Maximum bytes read of a file. */
const MAX_FILE_BYTES = 64 * 1024

const LOOPBACK = 127

/**
 * The `nameserver` lines of resolv.conf(5) that are reached by IPv4. Others cannot be affected, as a tunnel sets no address and no route of
 * IPv6.
 */
export function parseNameServers (text: string): number[] {
  return text.slice(0, MAX_FILE_BYTES).split('\n').flatMap((line) => {
    const address = ipv4Of(/^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? '')
    return address === undefined ? [] : [address]
  })
}

/** Also of an IPv4-mapped IPv6 address (RFC 4291, section 2.5.5.2): the system sends IPv4 for it. */
function ipv4Of (text: string): number | undefined {
  if (!isIPv6(text)) return parseAddress(text)
  const [, high, low] = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(readUrl(`ws://[${text}]`)?.url.hostname ?? '') ?? []
  return high === undefined ? undefined : parseInt(high, 16) * 0x10000 + parseInt(low, 16)
}

/** The name servers of the machine now, without loopback addresses. */
export function nameServers (read = readText): number[] {
  const named = parseNameServers(read(RESOLV_CONF))
  const others = named.some(isLoopback) ? parseNameServers(read(UPSTREAM)) : []
  return [...new Set([...named, ...others])].filter((address) => !isLoopback(address))
}

const isLoopback = (address: number): boolean => address >>> 24 === LOOPBACK

function readText (file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return '' // then the resolver uses the loopback
  }
}
