/** What can be said about one network of a relay, checked and ready for use. */
import { OptionError } from '../../../errors.ts'
import { parseCidr, type Cidr } from '../../../net/ipv4.ts'
import { BROADCAST_RATE } from './broadcast-budget.ts'
import { Secret } from '../protocol/hashes.ts'
import { parseRules, type SdwanRule } from './sdwan.ts'

/** Who may take an address that a live connection holds: whoever came last, or only the device that has it. */
export type Takeover = 'any' | 'same-device'

/**
 * Which source addresses a member may send from: its own; also those of networks that a route leads to through it; or any,
 * as existing servers allow.
 */
export type SourceCheck = 'strict' | 'routes' | 'off'

export interface CandyNetworkInit {
  /** The path of the URL that selects it, such as `/alice/home`. A network without one is the only one, and every path selects it. */
  path?: string
  /** Shared by all members. Empty is legal, and lets everybody in. */
  password: string
  /** The range of dynamic addresses, a CIDR from /8 to /30. Default: none, and then clients need an address of their own. */
  dhcp?: string
  /** Routes to push, candy's rule text: `dev-cidr,dst-cidr,nexthop` joined by `;`. */
  sdwan?: string
  /** Default: `routes`. */
  sourceCheck?: SourceCheck
  /** Default: `any`, as existing servers have it: the newest connection wins. */
  takeover?: Takeover
  /** Pass packets to all on. DISCOVERY, its 9 bytes, is passed on in any case. Default: true. */
  broadcast?: boolean
  /** Keep members apart: each reaches only the next hops of its routes, and those reach it. Default: false. */
  isolate?: boolean
  /** Members at one time. Default: as many as the relay has connections. */
  maxPeers?: number
  /** Messages, and bytes of them, that one member may send in a second; each with a burst of one second. Default: no limit. */
  packetRate?: number
  byteRate?: number
  /** WebSocket frames of any kind that one member may send in a second, a quarter of them at once; one that sends more is read more slowly. Default: no limit. */
  frameRate?: number
  /**
   * Copies a second of messages to all, DISCOVERY included, that all members together may cause; each is as many copies as there are
   * other members, and a copy of more than 256 bytes counts once for each 256 that it begins. Default: 65536.
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

/** The fewest bytes a second that let the largest message through. */
const MIN_BYTE_RATE = 1500

/** Throws `OptionError` when something cannot be. */
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
 * The path of a request as networks are called by it: without a query, percent-decoded, without a `/` at the end. Clients
 * of candy send the decoded path, others the encoded one.
 *
 * @returns undefined for what no network can be called: it is too long, or has something in it besides letters, digits and `. _ ~ @ -`
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

/** Throws `OptionError` unless a path selects at most one of them. */
export function verifyNetworks (networks: readonly NetworkSettings[]): void {
  if (networks.length === 0) throw new OptionError('a relay has at least one network')
  const paths = new Set<string>()
  for (const { path } of networks) {
    if (path === undefined && networks.length > 1) throw new OptionError('several networks have a path each')
    if (path !== undefined && paths.has(path)) throw new OptionError(`two networks have the path ${path}`)
    if (path !== undefined) paths.add(path)
  }
}
