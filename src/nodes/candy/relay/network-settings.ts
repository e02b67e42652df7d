/** Options of one network of a relay: types, checks and defaults. */
import { OptionError } from '../../../errors.ts'
import { parseCidr, type Cidr } from '../../../net/ipv4.ts'
import { BROADCAST_RATE } from './broadcast-budget.ts'
import { Secret } from '../protocol/hashes.ts'
import { parseRules, type SdwanRule } from './sdwan.ts'

/** Who may take over the address of a live connection: `any`, the newest connection; `same-device`, only the same device. */
export type Takeover = 'any' | 'same-device'

/**
 * Source addresses that a member may send from: `strict`, its own; `routes`, also those of networks that a route leads to through it;
 * `off`, any, as existing servers allow.
 */
export type SourceCheck = 'strict' | 'routes' | 'off'

export interface CandyNetworkInit {
  /** The path of the URL that selects it, such as `/alice/home`. A network without a path has to be the only one, and every path selects it. */
  path?: string
  /** Shared by all members. May be empty; then everyone can join. */
  password: string
  /** The range of dynamic addresses, a CIDR from /8 to /30. Default: none; then clients have to choose their address. */
  dhcp?: string
  /** Routes to push, in candy's rule syntax: `dev-cidr,dst-cidr,nexthop` joined by `;`. */
  sdwan?: string
  /** Default: `routes`. */
  sourceCheck?: SourceCheck
  /** Default: `any`, as with existing servers. */
  takeover?: Takeover
  /** Forward packets to all. DISCOVERY, its 9 bytes, is always forwarded. Default: true. */
  broadcast?: boolean
  /** Isolate members: each reaches only the next hops of its routes, and those reach it. Default: false. */
  isolate?: boolean
  /** Members at one time. Default: only the connections of the relay are bounded. */
  maxPeers?: number
  /** Messages and bytes that one member may send in a second; the burst is one second's worth. Default: no limit. */
  packetRate?: number
  byteRate?: number
  /** WebSocket frames of any kind that one member may send in a second, with a burst of a quarter; beyond it the connection is read more slowly. Default: no limit. */
  frameRate?: number
  /**
   * Copies a second of messages to all, DISCOVERY included, from all members together; each message becomes as many copies as there are
   * other members, and a copy counts once for each started 256 bytes. Default: 65536.
   */
  broadcastRate?: number
}

export interface NetworkSettings extends Required<Pick<CandyNetworkInit, 'sourceCheck' | 'takeover' | 'broadcast' | 'isolate' | 'maxPeers' | 'broadcastRate'>>, Pick<CandyNetworkInit, 'dhcp' | 'packetRate' | 'byteRate' | 'frameRate'> {
  path: string | undefined
  secret: Secret
  range: Cidr | undefined
  rules: readonly SdwanRule[]
}

const MAX_PATH = 256

/** The lowest byte rate at which the largest message still fits into the burst. */
const MIN_BYTE_RATE = 1500

/** Checks the options and fills in defaults. @throws {OptionError} when an option is invalid */
export function readNetwork (init: CandyNetworkInit): NetworkSettings {
  const { path, password, dhcp, sdwan = '', sourceCheck = 'routes', takeover = 'any', broadcast = true, isolate = false, maxPeers = Infinity, packetRate, byteRate, frameRate, broadcastRate = BROADCAST_RATE } = init
  verifyChoice('sourceCheck', sourceCheck, ['strict', 'routes', 'off'])
  verifyChoice('takeover', takeover, ['any', 'same-device'])
  if (path !== undefined && normalPath(path) !== path) throw new OptionError(`path has the form /name or /name/name, not ${JSON.stringify(path)}`)
  for (const [name, count, least] of [['maxPeers', maxPeers, 1], ['packetRate', packetRate, 1], ['byteRate', byteRate, MIN_BYTE_RATE], ['frameRate', frameRate, 1], ['broadcastRate', broadcastRate, 1]] as const) {
    if (count !== undefined && count !== Infinity && (!Number.isSafeInteger(count) || count < least)) throw new OptionError(`${name} is a whole number of at least ${least}, not ${String(count)}`)
  }
  const range = dhcp === undefined ? undefined : parseCidr(dhcp)
  if (dhcp !== undefined && (range === undefined || range.prefix < 8 || range.prefix > 30)) throw new OptionError('dhcp is a.b.c.d/8 to a.b.c.d/30')
  return { path, secret: new Secret(password), dhcp, range, rules: parseRules(sdwan), sourceCheck, takeover, broadcast, isolate, maxPeers, packetRate, byteRate, frameRate, broadcastRate }
}

function verifyChoice (name: string, value: string, choices: string[]): void {
  if (!choices.includes(value)) throw new OptionError(`${name} is ${choices.join(' or ')}, not ${String(value)}`)
}

/**
 * Normalises the path of a request for the lookup of a network: without query and trailing `/`, percent-decoded. Clients of candy send
 * the path decoded, others encoded.
 *
 * @returns undefined when it cannot be the path of a network: too long, or with characters other than letters, digits and `. _ ~ @ -`
 */
export function normalPath (url: string): string | undefined {
  const [raw] = url.split('?', 1)
  if (raw.length > MAX_PATH) return undefined
  const path = decoded(raw)?.replace(/\/+$/, '')
  if (path === '') return '/'
  return path !== undefined && /^(\/[\w.~@-]+)+$/.test(path) ? path : undefined
}

function decoded (text: string): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

/** @throws {OptionError} unless every path selects at most one of them */
export function verifyNetworks (networks: readonly NetworkSettings[]): void {
  if (networks.length === 0) throw new OptionError('a relay has at least one network')
  const paths = new Set<string>()
  for (const { path } of networks) {
    if (path === undefined && networks.length > 1) throw new OptionError('several networks have a path each')
    if (path !== undefined && paths.has(path)) throw new OptionError(`two networks have the path ${path}`)
    if (path !== undefined) paths.add(path)
  }
}
