/** The options of a gotunnel relay, as data. */
import { z } from 'zod'
import { bufferTotal, mode, name, token, userTimeouts } from '../protocol/options.ts'
import { DEFAULT_PORTS, PortRanges } from '../protocol/port-ranges.ts'
import { listenEndpoint, localAddress } from '../../common/options/addresses.ts'
import { joinedList, milliseconds, numeral, wholeNumber } from '../../common/options/checks.ts'
import { authFailures, connectionLimits, listenerTls, MAX_ENTRIES, sectionsOf, trustedProxies, verifyListenerTls } from '../../common/options/groups.ts'
import { rejectBeside, rejectTwins, type Options, type Reject, type SettingsOf } from '../../common/options/option.ts'

/** The lowest byte rate at which the smallest read of users still fits into the burst. */
const MIN_BYTE_RATE = 1500

const MAX_PORTS = 65_535

/** `10000-20000,30022`. A single port may be a number, and a list is joined. */
function portRanges () {
  const isRanges = (value: unknown): value is PortRanges => value instanceof PortRanges
  const check = numeral('a list of ports', 'ports and ranges such as 10000-20000,30022', PortRanges.parse, isRanges)
  return z.preprocess(joinedList as (input: z.input<typeof check> | ReadonlyArray<string | number>) => z.input<typeof check>, check)
}

/** Options of one identity: who knows its token. Its name is for logs, status and metrics, and not secret. */
const identityLimits = {
  /** Ports that it may register. */
  ports: { check: portRanges(), default: new PortRanges(DEFAULT_PORTS), defaultText: DEFAULT_PORTS, value: 'list', help: 'ports that clients may map, such as 10000-20000,30022', docs: 'ports that clients may map, `10000-20000,30022`' },
  /** Ports at one time. */
  maxPorts: { check: wholeNumber(1, MAX_PORTS), default: 64, value: 'count', help: 'ports at one time' },
  /** User connections at one time, over all its ports. */
  maxUsers: { check: wholeNumber(1, MAX_ENTRIES), default: Infinity, defaultText: 'no limit but 16384 in all', value: 'count', help: 'connections of users at one time', docs: 'connections of users at one time, those that wait included' },
  /** Bytes a second of all its users together, for each direction. */
  byteRate: { check: wholeNumber(1, Number.MAX_SAFE_INTEGER), input: wholeNumber(MIN_BYTE_RATE), value: 'bytes', defaultText: 'no limit', help: 'bytes a second of all users together, each way', docs: 'bytes a second of all users together, each way for itself; who is faster waits, nothing is lost' }
} as const satisfies Options

export const identityOptions = {
  name: { check: name(), isRequired: true, value: 'name', help: 'what logs, status and metrics call it' },
  token: { ...token(), isRequired: true },
  ...identityLimits,
  /** User connections that are reserved for it, independent of other identities. */
  reserveUsers: { check: wholeNumber(0, MAX_ENTRIES), value: 'count', defaultText: 'a fair share of half of all', help: 'connections of users that are reserved for it' }
} as const satisfies Options

/** The keys of an identity that stand for the only one. */
const onlyIdentity = { token: token(), ...identityLimits } as const satisfies Options

export const listenOptions = {
  /** Where clients connect; IPv6 in brackets, port 0 takes a free one. */
  listen: { check: listenEndpoint(), isRequired: true, value: 'host:port', help: 'where clients connect, such as 0.0.0.0:17000; port 0 takes a free one', docs: 'where clients connect, for control and data; IPv6 in brackets; port 0 takes a free one. `tcp://` or `tls://` may stand in front' },
  /** Proxies whose report of the client address is trusted, CIDRs or addresses. */
  trustedProxies: trustedProxies('PROXY protocol'),
  /** The original's clients do not support TLS. */
  tls: listenerTls('certificate chain, PEM: clients have to speak TLS, which the original ones do not')
} as const satisfies Options

/** Time-outs, which stay as they were at the start. */
export const lastingOptions = {
  /** Milliseconds for the first frame. */
  firstFrameTimeout: { check: milliseconds(), default: 10_000 },
  /** Milliseconds without a ping after which a client is dropped (gotunnel protocol, section 6). */
  dropAfter: { check: milliseconds(), default: 30_000 },
  /** Milliseconds that a user waits for its data connection (section 6). */
  waitTimeout: { check: milliseconds(), default: 60_000 },
  /** Milliseconds until a data connection that does not answer is ended. */
  acknowledgeTimeout: { check: milliseconds(), default: 5000 },
  ...userTimeouts
} as const satisfies Options

/** Bounds of users and of connections, and time-outs. */
export const connectionOptions = {
  mode: mode({
    help: 'strict: only clients of tunpipe, compatible: as the original server, or auto: what each client can do',
    docs: '`strict`: only clients that speak [strict mode](#strict-mode); `compatible`: as the original server, with all; `auto`: strict with those that offer it, compatible with the others'
  }),
  /** The local address that mapped ports listen on. */
  bind: { check: localAddress(), value: 'address', defaultText: 'all', help: 'address on which mapped ports listen' },
  /** Ports of all identities at one time. Default: 4096, or what they may have together. */
  maxPortsTotal: { check: wholeNumber(1, MAX_PORTS) },
  /** Users of all ports at one time. Default: 16384, or what the identities may have together. */
  maxUsersTotal: { check: wholeNumber(1, MAX_ENTRIES), value: 'count', defaultText: '16384, or what they may have together', help: 'connections of users of all identities; half of it is reserved for them in equal shares', docs: 'connections of users of all [identities](#identities); half of it is reserved for them in equal shares' },
  /** User connections at one time from one source. */
  usersPerSource: { check: wholeNumber(1, MAX_ENTRIES), default: 1024, value: 'count', help: 'connections of users from one address; an IPv6 /64 is one', docs: 'connections of users from one address; an IPv6 /64 is one; what comes over the loopback has no bound' },
  /** Users of one port that wait for a data connection; of all ports 4096. */
  maxWaiting: { check: wholeNumber(1, MAX_ENTRIES), default: 1024, value: 'count', help: 'users of one port that wait to be served', docs: 'users of one port that wait for their data connection' },
  /** Bytes buffered for all users, while readers are slower than writers. Beyond it stalled users are ended. */
  bufferTotal: bufferTotal({ docs: 'what the relay keeps for all users while others do not read, at least 1048576; see [users that do not read](#users-that-do-not-read)' }),
  ...connectionLimits({
    maxPerSource: 4096, // the data connections of all users of a client come from its one address, and many may be half-open at once
    source: 'connections of clients from one address',
    halfOpen: 'connections that have not said what they are for',
    all: 'connections of clients in all'
  }),
  /** Unknown tokens from one source in a minute; beyond it its tokens are not checked. The loopback is exempt. */
  authFailures: authFailures('unknown tokens', 'unknown tokens from one address in a minute; then what comes from there is refused without a look, except for data connections of a client that is connected from there'),
  ...lastingOptions
} as const satisfies Options

/** All options, in the order of `--help`. The options of an identity stand for the only one, or there is a list of identities. */
export const relayOptions = {
  listen: listenOptions.listen,
  ...onlyIdentity,
  identities: sectionsOf(identityOptions),
  ...connectionOptions,
  trustedProxies: listenOptions.trustedProxies,
  tls: listenOptions.tls
} as const satisfies Options

/** Relations between options. */
export function verifyRelayOptions ({ listen, tls, identities, maxUsersTotal, ...only }: SettingsOf<typeof relayOptions>, reject: Reject): void {
  verifyListenerTls({ listen, tls }, reject)
  if (identities === undefined) return
  rejectBeside(only, onlyIdentity, 'identities', reject)
  verifyIdentities(identities, maxUsersTotal, reject)
}

/** Names differ, and together they reserve no more users than there may be. */
export function verifyIdentities (identities: ReadonlyArray<Pick<SettingsOf<typeof identityOptions>, 'name' | 'reserveUsers'>>, maxUsersTotal: number | undefined, reject: Reject): void {
  rejectTwins(identities, 'name', ['identities'], 'identity', reject)
  const reserved = identities.reduce((sum, { reserveUsers = 0 }) => sum + reserveUsers, 0)
  if (maxUsersTotal !== undefined && reserved > maxUsersTotal) reject(['maxUsersTotal'], `${maxUsersTotal}, expected at least what identities reserve (reserve-users), ${reserved}`)
}
