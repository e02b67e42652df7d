/** The options of a candy relay, as data. */
import { BROADCAST_RATE } from './broadcast-budget.ts'
import { normalPath } from './network-path.ts'
import { parseRules, type SdwanRule } from './sdwan.ts'
import { passwordOptions } from '../protocol/options.ts'
import { OptionError } from '../../../errors.ts'
import { addressRange, isCidr, listenUrl, listenUrlText } from '../../common/options/addresses.ts'
import { boolean, choice, milliseconds, onOff, text, ValueError, wholeNumber } from '../../common/options/checks.ts'
import { authFailures, connectionLimits, listenerTls, MAX_ENTRIES, sectionsOf, trustedProxies } from '../../common/options/groups.ts'
import { rejectBeside, rejectTwins, type Options, type Reject, type SettingsOf } from '../../common/options/option.ts'

/** The lowest byte rate at which the largest message still fits into the burst. */
const MIN_BYTE_RATE = 1500

/** `/alice/home`, the path of a network in a URL. */
function networkPath () {
  return text('a path', '/ or /name or /name/name of letters, digits, ".", "_", "~", "@" and "-"', (input) => normalPath(input) === input ? input : undefined)
}

function isRule (value: unknown): value is SdwanRule {
  const { device, destination, nexthop } = value as Partial<SdwanRule> | undefined ?? {}
  return [device, destination].every((network) => isCidr(network) && network.address === network.network) && Number.isInteger(nexthop) && nexthop as number >= 0 && nexthop as number <= 0xffff_ffff
}

/** Rules in candy's syntax; an error names the rule by number. */
function rules () {
  const expected = 'dev-cidr,dst-cidr,nexthop;... with network addresses and without blanks'
  return text<readonly SdwanRule[]>('a list of rules', expected, (input) => {
    try {
      return parseRules(input)
    } catch (err) {
      if (!(err instanceof OptionError)) throw err
      throw new ValueError(`${err.detail}, expected ${expected}`)
    }
  }, (value): value is readonly SdwanRule[] => Array.isArray(value) && value.length > 0 && value.every(isRule))
}

/** Options of one network. */
export const networkOptions = {
  ...passwordOptions,
  /** The range of dynamic addresses. Without one clients have to choose their address. */
  dhcp: { check: addressRange(8, 30), value: 'cidr', defaultText: 'none', help: 'give addresses out of this range, /8 to /30', docs: 'give addresses out of this range, /8 to /30; none: clients need an address of their own' },
  /** Routes to push, in candy's rule syntax: `dev-cidr,dst-cidr,nexthop` joined by `;`. */
  sdwan: { check: rules(), default: [] as const, defaultText: 'none', value: 'rules', help: 'routes to push, dev-cidr,dst-cidr,nexthop;...', docs: 'routes to push, see [below](#networks-behind-clients)' },
  /**
   * Source addresses that a member may send from: `strict`, its own; `routes`, also those of networks that a route leads to through it;
   * `off`, any, as existing servers allow.
   */
  sourceCheck: { check: choice(['strict', 'routes', 'off']), default: 'routes', value: 'mode', help: 'which sources a client may send from: strict, routes or off', docs: '`strict`: a client sends from its own address; `routes`: also from networks behind it by `sdwan`; `off`: from any. What is inside of a packet of protocol 4 counts as well, as clients unpack it: its source, and its destination, to which an `sdwan` rule of the sender has to lead by that client (`off` leaves that out); tunnels of that kind take `off`' },
  /** Who may take over the address of a live connection: `any`, the newest connection; `same-device`, only the same device. */
  takeover: { check: choice(['any', 'same-device']), default: 'any', value: 'who', help: 'who may take an address that is in use: any, the newest wins, or same-device', docs: 'who may take an address that is in use: `any`, the newest wins; `same-device`, only the device that has it' },
  /** Forward packets to all. DISCOVERY, its 9 bytes, is always forwarded. */
  broadcast: { check: boolean(), input: onOff(), default: true, value: 'on|off', help: 'pass on what a client sends to all, besides what clients find each other by', docs: 'pass on what a client sends to all; what clients find each other by (DISCOVERY) is passed on in any case, without what is behind its 9 bytes' },
  /** Isolate members: each reaches only the next hops of its routes, and those reach it. */
  isolate: { check: boolean(), default: false, help: 'clients reach only the gateways of their routes, not each other', docs: 'clients reach only the gateways of their routes, and those reach them' },
  /** The path of the URL that selects it, such as `/alice/home`. A network without a path has to be the only one, and every path selects it. */
  path: { check: networkPath(), value: 'path', defaultText: 'every path', help: 'only clients whose URL has this path; several networks: see the file', docs: 'the network is for URLs with this path only; see [several networks](#several-networks)' },
  /** Members at one time. */
  maxPeers: { check: wholeNumber(1, MAX_ENTRIES), default: Infinity, defaultText: 'no limit but that of connections', value: 'count', help: 'clients of a network at one time' },
  /** WebSocket frames of any kind that one member may send in a second, with a burst of a quarter; beyond it the connection is read more slowly. */
  frameRate: { check: wholeNumber(1), value: 'count', defaultText: 'no limit', help: 'frames of any kind that one client may send in a second; one that sends more is read more slowly', docs: 'frames of any kind that one client may send in a second, pings included; one that sends more is read more slowly' },
  /** Messages that one member may send in a second; the burst is one second's worth. */
  packetRate: { check: wholeNumber(1), value: 'count', defaultText: 'no limit', help: 'packets that one client may send in a second', docs: 'packets that one client may send in a second; more are dropped and counted as `rate`' },
  /** Bytes of messages that one member may send in a second; the burst is one second's worth. */
  byteRate: { check: wholeNumber(MIN_BYTE_RATE, Number.MAX_SAFE_INTEGER), input: wholeNumber(MIN_BYTE_RATE), value: 'bytes', defaultText: 'no limit', help: 'bytes that one client may send in a second', docs: 'bytes that one client may send in a second; more are dropped and counted as `rate`' },
  /**
   * Copies a second of messages to all, DISCOVERY included, from all members together; each message becomes as many copies as there are
   * other members, and a copy counts once for each started 256 bytes.
   */
  broadcastRate: { check: wholeNumber(1), default: BROADCAST_RATE, value: 'count', help: 'copies of messages to all that a network may make in a second, half of them divided by its clients', docs: 'copies of messages to all that the network may make in a second, half of them divided by its clients; see [messages to all](#messages-to-all)' }
} as const satisfies Options

/** Bounds of connections. */
export const connectionOptions = {
  /** Accept any timestamp, and unmasked frames, as existing servers do. Otherwise within 300 s, and masked. */
  lenient: { check: boolean(), default: false, help: 'take clients whose clock is wrong', docs: 'take clients whose clock is more than 300 seconds off, with a warning, and frames without a mask' },
  ...connectionLimits({
    maxPerSource: 256,
    source: 'connections from one address; an IPv6 /64 is one',
    halfOpen: 'connections that have not authenticated',
    all: 'connections in all'
  }),
  /** Wrong passwords from one source in a minute; beyond it they are not checked but rejected. The loopback is exempt. */
  authFailures: authFailures('wrong passwords', 'wrong passwords from one address in a minute; then what comes from there is refused without a look'),
  /** Bytes queued for all slow clients together; each link has its own limit as well. */
  queueTotal: { check: wholeNumber(1, Number.MAX_SAFE_INTEGER), default: 256 * 1024 * 1024 },
  /** Milliseconds for a connection to complete the WebSocket handshake, and then to authenticate. */
  authTimeout: { check: milliseconds(), default: 10_000 },
  /** Milliseconds of silence after which a client is pinged. */
  pingAfter: { check: milliseconds(), default: 30_000 },
  /** Milliseconds of silence after which a connection is ended; more than `pingAfter`. */
  dropAfter: { check: milliseconds(), default: 60_000 }
} as const satisfies Options

export const listenOptions = {
  /** Where clients connect; port 0 takes a free one. */
  listen: { check: listenUrl(), isRequired: true, value: 'url', help: 'ws://HOST:PORT or wss://HOST:PORT; port 0 takes a free one' },
  /** Proxies whose report of the client address is trusted, CIDRs or addresses. */
  trustedProxies: trustedProxies('X-Forwarded-For, PROXY protocol'),
  /** Needed for `wss:`. */
  tls: listenerTls('certificate chain for wss://, PEM')
} as const satisfies Options

/** All options, in the order of `--help`. The options of a network stand for the only one, or there is a list of networks. */
export const relayOptions = {
  listen: listenOptions.listen,
  ...networkOptions,
  networks: sectionsOf(networkOptions),
  ...connectionOptions,
  trustedProxies: listenOptions.trustedProxies,
  tls: listenOptions.tls
} as const satisfies Options

/** Relations between options. */
export function verifyRelayOptions ({ listen, tls, networks, ...only }: SettingsOf<typeof relayOptions>, reject: Reject): void {
  verifyTls({ listen, tls }, reject)
  if (networks === undefined) return
  rejectBeside(only, networkOptions, 'networks', reject)
  verifyNetworks(networks, reject)
}

/** `wss:` and a certificate go together. */
export function verifyTls ({ listen, tls }: Pick<SettingsOf<typeof listenOptions>, 'listen' | 'tls'>, reject: Reject): void {
  if (listen.isSecure && tls === undefined) reject(['tls'], 'missing, expected a PEM file, since listen is wss://')
  if (!listen.isSecure && tls !== undefined) reject(['tls'], `of no use with listen ${listenUrlText(listen)}, expected wss://HOST:PORT there`)
}

/** Every path selects at most one network. */
export function verifyNetworks (networks: ReadonlyArray<{ path?: string | undefined }>, reject: Reject): void {
  for (const [i, { path }] of networks.entries()) {
    if (path === undefined && networks.length > 1) reject(['networks', i, 'path'], 'missing, expected a path such as /name, since there are several networks')
  }
  rejectTwins(networks, 'path', ['networks'], 'network', reject)
}
