/** Fields of gotunnel: addresses, ports and port maps. */
import { z } from 'zod'
import { readAddress, readEndpoint, readHost, readPort } from '../../net/endpoint.ts'
import { PortRanges } from '../../nodes/gotunnel/protocol/port-ranges.ts'
import type { PortMap } from '../../nodes/gotunnel/index.ts'
import { numeral, show, text } from '../config/fields.ts'
import { UsageError } from '../usage-error.ts'

/** A host and port with an optional scheme. */
export interface SchemedEndpoint {
  /** Undefined when absent. */
  scheme: 'tcp' | 'tls' | undefined
  /** IPv6 without brackets. */
  host: string
  port: number
}

function schemedEndpoint (what: string, expected: string, lowest: number) {
  return text(what, expected, (input): SchemedEndpoint | undefined => {
    const [, scheme, at = ''] = /^(?:(tcp|tls):\/\/)?([^/@]+)\/?$/i.exec(input) ?? []
    const endpoint = readEndpoint(at)
    if (endpoint === undefined || endpoint.port < lowest) return undefined
    return { scheme: scheme?.toLowerCase() as SchemedEndpoint['scheme'], ...endpoint }
  })
}

/** `0.0.0.0:17000`. Host and port are mandatory; port 0 takes any free one. */
export function listenEndpoint () { return schemedEndpoint('an address to listen on', 'HOST:PORT such as 0.0.0.0:17000', 0) }

/** The address of a server. */
export function serverEndpoint () { return schemedEndpoint('the address of a server', 'HOST:PORT such as 192.0.2.7:17000', 1) }

/** A local address without a port. */
export function localAddress () {
  return text('an address', 'one of this machine such as 192.0.2.7 or ::', readAddress)
}

/** A single port is a number in YAML, and a list is joined to one text. */
const joined = (input: unknown): unknown => Array.isArray(input) && input.every((item) => ['string', 'number'].includes(typeof item)) ? input.join() : input

/** The ports that an identity may register, parsed as the relay does. */
export function portRanges () {
  return z.preprocess(joined, numeral('a list of ports', 'ports and ranges such as 10000-20000,30022', (input) => {
    try {
      return new PortRanges(input).text
    } catch {
      return undefined
    }
  }))
}

/** The name of an identity, for logs, status and metrics. */
export function identityName () {
  return text('a name', 'at most 64 letters, digits, ".", "_", "@" or "-", a letter or digit first', nameOf)
}

/** The name of a peer; it is also part of the name of the control socket. */
export const peerName = identityName

function nameOf (name: string): string | undefined {
  return /^[A-Za-z0-9][\w.@-]{0,63}$/.test(name) ? name : undefined
}

const EXPECTED_MAP = 'REMOTE:LOCAL or REMOTE:HOST:LOCAL, such as 10022:22 or 10080:[::1]:80'

/** `10022:22`, `tcp:10022:db.local:5432`, `10022:[::1]:22`. */
function portMap () {
  return text('a map', EXPECTED_MAP, (input): PortMap | undefined => {
    const [, scheme = 'tcp', remote, host = '127.0.0.1', local] = /^(?:([a-z]\w*):)?(\d+):(?:(.+):)?(\d+)$/i.exec(input) ?? []
    if (scheme.toLowerCase() !== 'tcp' && remote !== undefined) throw new UsageError(`${scheme.toLowerCase()} is not carried (${show(input)}): the protocol is for TCP only, expected ${EXPECTED_MAP}`)
    const [remotePort, port] = [readPort(remote ?? ''), readPort(local ?? '')]
    const to = readHost(host)
    if (remotePort === undefined || port === undefined || remotePort === 0 || port === 0 || to === undefined) return undefined
    return { remotePort, local: { host: to, port } }
  })
}

/** One or more maps. */
export function portMaps () {
  const error = ({ input }: { input?: unknown }): string => `${input === undefined ? 'missing' : 'not a list of maps'}, expected ${EXPECTED_MAP}`
  return z.preprocess((input) => typeof input === 'string' ? [input] : input, z.array(portMap(), { error }).min(1, { error: `empty, expected ${EXPECTED_MAP}` })).superRefine((maps, context) => {
    for (const [i, { remotePort }] of maps.entries()) {
      if (maps.findIndex((other) => other.remotePort === remotePort) < i) context.addIssue({ code: 'custom', path: [i], message: `the port ${remotePort} of the server leads elsewhere already, expected another one` })
    }
  })
}
