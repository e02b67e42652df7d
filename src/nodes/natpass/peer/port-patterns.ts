/** Which ports may be reached from here, as `HOST:PORT` patterns, and what of a request is checked. */
import { isIP } from 'node:net'
import { isLoopback } from '../../../net/client-address.ts'
import { CidrList, parseNetwork } from '../../../net/cidr-list.ts'
import { readHost, readPort } from '../../../net/endpoint.ts'

/** What `localhost` stands for, whatever it resolves to. */
const LOOPBACK = new CidrList('ports', ['127.0.0.0/8', '::1'])

/** One pattern. */
export interface PortPattern {
  /** A name in lower case; networks; undefined: any host. */
  readonly host: string | CidrList | undefined
  readonly from: number
  readonly to: number
}

/** Whether an address of the host that was asked for may be connected to. */
export type AddressCheck = (address: string) => boolean

export const EXPECTED_PORT_PATTERN = 'HOST:PORT such as 192.168.1.0/24:80, nas.lan:8000-8099, [2001:db8::1]:* or *:53'

/**
 * Parses a pattern: HOST is a name, an address, a CIDR (those of IPv6 in brackets), `localhost` for the loopback, or `*`; PORT a number, a range or `*`.
 *
 * @returns undefined for anything else
 */
export function readPortPattern (text: string): PortPattern | undefined {
  const at = text.lastIndexOf(':')
  if (at < 0) return undefined
  const ports = readPorts(text.slice(at + 1))
  const host = readPatternHost(text.slice(0, at))
  return ports === undefined || host === undefined ? undefined : { ...host, ...ports }
}

function readPorts (text: string): { from: number, to: number } | undefined {
  if (text === '*') return { from: 1, to: 65_535 }
  const ends = text.split('-').map(readPort)
  const [from, to = from] = ends
  return ends.length > 2 || from === undefined || to === undefined || ends.includes(undefined) || from < 1 || to < from ? undefined : { from, to }
}

function readPatternHost (text: string): Pick<PortPattern, 'host'> | undefined {
  if (text === '*') return { host: undefined }
  const inBrackets = /^\[([^\]]*:[^\]]*)\]$/.exec(text)?.[1]
  const network = inBrackets ?? text
  if (inBrackets !== undefined || /^[\d./]+$/.test(text)) return parseNetwork(network) === undefined ? undefined : { host: new CidrList('ports', [network]) }
  const name = readHost(text)
  if (name === undefined) return undefined
  const plain = plainName(name)
  return { host: plain === 'localhost' ? LOOPBACK : plain }
}

/** Names are equal whatever their case, and with a dot at the end as well. */
const plainName = (name: string): string => name.toLowerCase().replace(/\.$/, '')

/**
 * What an address of a host has to fulfil to be connected to at this port. A name of a pattern stands for whatever it resolves to; addresses
 * and networks are compared with what a name resolves to.
 *
 * @param patterns - undefined: any port of this machine, by an address of the loopback, or `localhost`
 * @returns undefined when no address of it could: then a name need not be resolved
 */
export function addressCheck (patterns: readonly PortPattern[] | undefined, host: string, port: number): AddressCheck | undefined {
  const isName = isIP(host) === 0
  if (patterns === undefined) return isName && plainName(host) !== 'localhost' ? undefined : isLoopback
  const hosts = patterns.filter(({ from, to }) => from <= port && port <= to).map(({ host }) => host)
  if (hosts.includes(undefined) || (isName && hosts.includes(plainName(host)))) return () => true
  const networks = hosts.filter((one) => one instanceof CidrList)
  return networks.length === 0 ? undefined : (address) => networks.some((network) => network.includes(address))
}
