/** Schemas of the section `candy` for relay and peer; flags have the same names. */
import { z } from 'zod'
import type { OptionError } from '../../errors.ts'
import { RoutePolicy } from '../../nodes/candy/peer/route-policy.ts'
import { parseRules } from '../../nodes/candy/relay/sdwan.ts'
import { RESERVED_NAMES } from '../../tun/ifreq.ts'
import { choice, optionalToggle, path, secret, section, sections, text, toggle, wholeNumber } from '../config/fields.ts'
import { dialUrl, hostAddress, listenUrl, networkPath, proxies, range } from '../config/network-fields.ts'
import type { UnsupportedOptions } from '../config/settings.ts'
import { UsageError } from '../usage-error.ts'

/** Existing clients accept messages of at most 1500 bytes: a packet of 1450 fits into a plain message, one of 1430 also with a pushed route. */
const MAX_MTU = 1450
const MIN_MTU = 576

/** The largest number of nine digits. */
const MAX_COUNT = 999_999_999

const password = {
  password: secret().optional(),
  'password-file': path().optional(),
  'allow-empty-password': toggle()
}

/** A valid name of a Linux interface, or `none`. */
function interfaceName () {
  const expected = 'at most 15 letters, digits, ".", "_" or "-", or none, or an address such as 10.77.0.2/24'
  return text('an interface name', expected, (name) => {
    if (RESERVED_NAMES.includes(name)) throw new UsageError(`Linux lets no interface be called ${name}, expected another name: ${expected}`)
    return /^[A-Za-z0-9_][A-Za-z0-9._-]{0,14}$/.test(name) ? name : undefined
  })
}

/** The name of a peer; it is part of a file name and of an interface name. */
function peerName () {
  return text('a name', 'at most 32 letters, digits, ".", "_" or "-", a letter or digit first', (name) =>
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/.test(name) ? name : undefined)
}

/** Rules in candy's syntax, parsed as the relay does: an error names the rule by number. */
function rules () {
  const expected = 'dev-cidr,dst-cidr,nexthop;... with network addresses and without blanks'
  return text('a list of rules', expected, (input) => {
    try {
      parseRules(input)
      return input
    } catch (err) {
      throw new UsageError(`${(err as OptionError).detail}, expected ${expected}`)
    }
  })
}

/** The choice of pushed routes, parsed as the peer does. */
function routes () {
  const expected = 'private, all, none, or networks such as 10.1.0.0/16,10.2.0.0/16'
  return text('a choice of routes', expected, (input) => {
    if (input === '') return undefined
    try {
      void new RoutePolicy(input)
      return input
    } catch (err) {
      throw new UsageError(`${(err as OptionError).detail}, expected ${expected}`)
    }
  })
}

/** Keys of one network. Without defaults, so that absent keys are known. */
const networkKeys = {
  ...password,
  path: networkPath().optional(),
  dhcp: range().optional(),
  sdwan: rules().optional(),
  'source-check': choice(['strict', 'routes', 'off']).optional(),
  takeover: choice(['any', 'same-device']).optional(),
  broadcast: choice(['on', 'off']).optional(),
  isolate: optionalToggle(),
  'max-peers': wholeNumber(1, 1_000_000).optional(),
  'frame-rate': wholeNumber(1, MAX_COUNT).optional(),
  'packet-rate': wholeNumber(1, MAX_COUNT).optional(),
  'byte-rate': wholeNumber(1500, MAX_COUNT).optional(),
  'broadcast-rate': wholeNumber(1, MAX_COUNT).optional()
}

export const candyNetworkSection = section(networkKeys)

export const candyRelaySection = section({
  listen: listenUrl(),
  ...networkKeys,
  networks: sections(candyNetworkSection).optional(),
  lenient: toggle(),
  'max-per-source': wholeNumber(1, 1_000_000).optional(),
  'max-half-open': wholeNumber(1, 1_000_000).optional(),
  'max-connections': wholeNumber(1, 1_000_000).optional(),
  'auth-failures': wholeNumber(1, 1_000_000).optional(),
  'trusted-proxy': proxies().optional(),
  'tls-cert': path().optional(),
  'tls-key': path().optional(),
  'state-dir': path().optional()
}).superRefine((candy, context) => {
  const complain = (key: string | Array<string | number>, message: string): void => { context.addIssue({ code: 'custom', path: [key].flat(), message }) }
  const secure = candy.listen.startsWith('wss:')
  for (const key of ['tls-cert', 'tls-key'] as const) {
    if (secure && candy[key] === undefined) complain(key, 'missing, expected a PEM file, since listen is wss://')
    if (!secure && candy[key] !== undefined) complain(key, `of no use with listen ${candy.listen}, expected wss://HOST:PORT there`)
  }
  const { networks = [] } = candy
  if (networks.length === 0) return
  for (const key of Object.keys(networkKeys) as Array<keyof typeof networkKeys>) {
    if (candy[key] !== undefined && candy[key] !== false) complain(key, 'of no use beside networks, expected below one of them')
  }
  for (const [i, { path }] of networks.entries()) {
    if (path === undefined && networks.length > 1) complain(['networks', i, 'path'], 'missing, expected a path such as /name, since there are several networks')
    const first = networks.findIndex((other) => other.path === path)
    if (path !== undefined && first < i) complain(['networks', i, 'path'], `the path ${path} is that of another network as well, expected one of its own`)
  }
})

const NO_DIRECT_TRAFFIC = 'direct traffic between peers is not available yet, expected no such option'

/** Options of the original client for direct traffic between peers. */
export const unsupportedPeerOptions: UnsupportedOptions = {
  stun: NO_DIRECT_TRAFFIC,
  port: NO_DIRECT_TRAFFIC,
  discovery: NO_DIRECT_TRAFFIC,
  route: NO_DIRECT_TRAFFIC,
  localhost: NO_DIRECT_TRAFFIC
}

export const candyPeerSection = section({
  url: dialUrl(),
  ...password,
  address: hostAddress().optional(),
  tun: interfaceName().optional(),
  name: peerName().optional(),
  mtu: wholeNumber(MIN_MTU, MAX_MTU).default(1400),
  offload: choice(['on', 'off']).default('on'),
  routes: routes().default('private'),
  ca: path().optional(),
  insecure: toggle(),
  'state-dir': path().optional()
}, unsupportedPeerOptions).superRefine((candy, context) => {
  const complain = (key: string, message: string): void => { context.addIssue({ code: 'custom', path: [key], message }) }
  const secure = /^wss:/i.test(candy.url)
  if (!secure && candy.ca !== undefined) complain('ca', 'of no use with a ws:// url, expected wss:// there')
  if (!secure && candy.insecure) complain('insecure', 'of no use with a ws:// url, expected wss:// there')
  if (candy.ca !== undefined && candy.insecure) complain('insecure', 'contradicts ca, expected one of them')
})

export type CandyNetworkSettings = z.output<typeof candyNetworkSection>
export type CandyRelaySettings = z.output<typeof candyRelaySection>
export type CandyPeerSettings = z.output<typeof candyPeerSection>
