/** Where this machine asks for names: a tunnel that takes the way there is one whose server cannot be found again. */
import { readFileSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { readUrl } from '../net/endpoint.ts'
import { parseAddress } from '../net/ipv4.ts'

export const RESOLV_CONF = '/etc/resolv.conf'

/** Where systemd-resolved keeps those that it asks itself; resolv.conf names an address of the loopback then. */
const UPSTREAM = '/run/systemd/resolve/resolv.conf'

/** Bytes of a file that are looked at. */
const MAX_FILE_BYTES = 64 * 1024

const LOOPBACK = 127

/**
 * Those of the lines `nameserver`, resolv.conf(5), that are reached by IPv4. One of IPv6 is not: a tunnel of IPv4 sets no address and no
 * route of IPv6, so it cannot lead the way there elsewhere.
 */
export function parseNameServers (text: string): number[] {
  return text.slice(0, MAX_FILE_BYTES).split('\n').flatMap((line) => {
    const address = ipv4Of(/^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? '')
    return address === undefined ? [] : [address]
  })
}

/** Also of an address of IPv6 that stands for one of IPv4, RFC 4291 section 2.5.5.2: the system sends IPv4 for it. */
function ipv4Of (text: string): number | undefined {
  if (!isIPv6(text)) return parseAddress(text)
  const [, high, low] = /^\[::ffff:([0-9a-f]+):([0-9a-f]+)\]$/.exec(readUrl(`ws://[${text}]`)?.url.hostname ?? '') ?? []
  return high === undefined ? undefined : parseInt(high, 16) * 0x10000 + parseInt(low, 16)
}

/** Those of the machine, as they are now, without its own loopback. */
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
    return '' // then the machine asks its loopback, or nobody
  }
}
