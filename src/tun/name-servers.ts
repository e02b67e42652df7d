/** Where this machine asks for names: a tunnel that takes the way there is one whose server cannot be found again. */
import { readFileSync } from 'node:fs'
import { parseAddress } from './ipv4.ts'

export const RESOLV_CONF = '/etc/resolv.conf'

/** Where systemd-resolved keeps those that it asks itself; resolv.conf names an address of the loopback then. */
const UPSTREAM = '/run/systemd/resolve/resolv.conf'

/** Bytes of a file that are looked at. */
const LONGEST = 64 * 1024

const LOOPBACK = 127

/** IPv4 addresses of the lines `nameserver`, resolv.conf(5). */
export function parseNameServers (text: string): number[] {
  return text.slice(0, LONGEST).split('\n').flatMap((line) => {
    const address = parseAddress(/^nameserver[ \t]+(\S+)/.exec(line)?.[1] ?? '')
    return address === undefined ? [] : [address]
  })
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
