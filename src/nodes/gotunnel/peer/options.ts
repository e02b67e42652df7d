/** The options of a gotunnel peer, as data. */
import { hostname } from 'node:os'
import { z } from 'zod'
import { bufferTotal, mode, name, token, userTimeouts } from '../protocol/options.ts'
import { isPort } from '../protocol/port-ranges.ts'
import { readHost, readPort } from '../../../net/endpoint.ts'
import { quoted } from '../../../text/phrases.ts'
import { serverEndpoint } from '../../common/options/addresses.ts'
import { boolean, milliseconds, seconds, text, ValueError, wholeNumber } from '../../common/options/checks.ts'
import { clientTrust, MAX_ENTRIES } from '../../common/options/groups.ts'
import type { Options } from '../../common/options/option.ts'
import type { Endpoint } from '../../../types.ts'

/** A port of the server that is mapped to a service here. */
export interface PortMap {
  remotePort: number
  /** The address of the service. The peer connects to no other, whatever the server asks. */
  local: Endpoint
}

/** Seconds. A server that drops clients after 30 s of silence has to get a ping before, even if it is late. */
const MAX_PING_INTERVAL = 25

const EXPECTED_MAP = 'REMOTE:LOCAL or REMOTE:HOST:LOCAL, such as 10022:22 or 10080:[::1]:80'

function isMap (value: unknown): value is PortMap {
  const { remotePort, local } = value as Partial<PortMap> | undefined ?? {}
  return isPort(remotePort ?? 0) && typeof local?.host === 'string' && readHost(local.host.includes(':') ? `[${local.host}]` : local.host) !== undefined && isPort(local.port)
}

/** `10022:22`, `tcp:10022:db.local:5432`, `10022:[::1]:22`. */
function portMap () {
  return text('a map', EXPECTED_MAP, (input): PortMap | undefined => {
    const [, scheme = 'tcp', remote, host = '127.0.0.1', local] = /^(?:([a-z]\w*):)?(\d+):(?:(.+):)?(\d+)$/i.exec(input) ?? []
    if (scheme.toLowerCase() !== 'tcp' && remote !== undefined) throw new ValueError(`${scheme.toLowerCase()} is not carried (${quoted(input)}): the protocol is for TCP only, expected ${EXPECTED_MAP}`)
    const [remotePort, port] = [readPort(remote ?? ''), readPort(local ?? '')]
    const to = readHost(host)
    if (remotePort === undefined || port === undefined || remotePort === 0 || port === 0 || to === undefined) return undefined
    return { remotePort, local: { host: to, port } }
  }, isMap)
}

/** One or more maps. */
function portMaps () {
  const error = ({ input }: { input?: unknown }): string => `${input === undefined ? 'missing' : 'not a list of maps'}, expected ${EXPECTED_MAP}`
  const one = (input: string | ReadonlyArray<string | PortMap>): Array<string | PortMap> => typeof input === 'string' ? [input] : input as Array<string | PortMap>
  return z.preprocess(one, z.array(portMap(), { error }).min(1, { error: `empty, expected ${EXPECTED_MAP}` })).superRefine((maps, context) => {
    for (const [i, { remotePort }] of maps.entries()) {
      if (maps.findIndex((other) => other.remotePort === remotePort) < i) context.addIssue({ code: 'custom', path: [i], message: `the port ${remotePort} of the server leads elsewhere already, expected another one` })
    }
  })
}

/** The name of this machine, in the characters of a name. */
export function ownName (host = hostname()): string {
  const name = host.replaceAll(/[^\w.@-]/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 64)
  return name === '' ? 'peer' : name
}

export const peerOptions = {
  server: { check: serverEndpoint(), isRequired: true, value: 'host:port', help: 'the server, such as 192.0.2.7:17000', docs: 'the server; `tls://` in front is `--tls`' },
  token: token(),
  maps: { name: 'map', check: portMaps(), isRequired: true, isRepeatable: true, value: 'remote:local', help: 'a port of the server, and the local port or HOST:PORT that it leads to; can be repeated', docs: 'port REMOTE of the server leads to port LOCAL of this machine, or of HOST, which may be an IPv6 address in brackets; `tcp:` may stand in front. Can be repeated; `map` is a list in the file' },
  /** The name by which the server knows this peer. Default: the name of this machine. */
  name: { check: name(), value: 'name', defaultText: 'the name of the machine', help: 'what the server calls this peer; tells peers on one machine apart', docs: 'what the server calls this peer. It also tells peers on one machine apart, for `peer status --name NAME`' },
  mode: mode({ help: 'strict: only servers of tunpipe, compatible: as the original client, or auto: what the server can do', docs: '`strict`: only with servers that offer [strict mode](#strict-mode); `compatible`: as the original client; `auto`: what the server can do' }),
  /** Use TLS; the original server does not support it. `server` may say it as well: `tls://host:port`. */
  tls: { check: boolean(), default: false, help: 'speak TLS with the server', docs: 'speak [TLS](#tls) with the server' },
  ...clientTrust(''),
  /**
   * Send the service a PROXY protocol header (version 2) with the address of its user. Servers without strict mode do not report
   * that address; then the header says that it is unknown.
   */
  proxyProtocol: { check: boolean(), default: false, help: 'tell services who their user is, by a PROXY header (version 2)', docs: 'tell services who their user is, see [below](#proxy-protocol)' },
  /** Milliseconds between pings; after three without an answer the connection is lost. */
  pingInterval: { check: milliseconds(), input: seconds(1, MAX_PING_INTERVAL), default: 10_000, defaultText: '10', value: 'seconds', help: 'between signs of life, 1 to 25', docs: 'between signs of life, 1 to 25: a server drops who is silent for 30 seconds' },
  /** Milliseconds between probes of the service; 0 for none. */
  probeInterval: { check: milliseconds(0), input: seconds(0, 86_400), default: 30_000, defaultText: '30', value: 'seconds', help: 'between looks whether a service is there; 0: never', docs: 'between looks whether a service is there; `0`: never. See [below](#services-that-are-down)' },
  /** Connections of users at one time on one port. */
  maxConnections: { check: wholeNumber(1, MAX_ENTRIES), default: 4096, value: 'count', help: 'connections of users at one time on one port' },
  /** Bytes buffered for users of all ports, while readers are slower than writers. Beyond it stalled users are ended. */
  bufferTotal: bufferTotal({ docs: 'what the peer keeps for all users while others do not read; see [users that do not read](#users-that-do-not-read)' }),
  /** Milliseconds for each connection: to the server, its answer, and to the service. */
  dialTimeout: { check: milliseconds(), default: 10_000 },
  ...userTimeouts
} as const satisfies Options
