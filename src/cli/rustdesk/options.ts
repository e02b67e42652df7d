/** The options of `relay rustdesk`, as data: those of the rendezvous server and of the relay, which share what they have in common. */
import { boolean, onOff, path, secretText, text, ValueError, wholeNumber } from '../../nodes/common/options/checks.ts'
import { MAX_ENTRIES } from '../../nodes/common/options/groups.ts'
import type { Option, Options, Reject, SettingsOf } from '../../nodes/common/options/option.ts'
import { OptionError } from '../../errors.ts'
import { pairOptions } from '../../nodes/rustdesk/relay/options.ts'
import { listenOptions, rendezvousOptions } from '../../nodes/rustdesk/rendezvous/options.ts'
import { databasePath } from '../../nodes/rustdesk/store/database-path.ts'
import { allowedPeers } from './allow-list.ts'

export const DEFAULT_PORT = 21_116
export const DEFAULT_RELAY_PORT = 21_117

/** The lowest port of the rendezvous server, as the one before it is used as well, and the highest of both, as the second after it is. */
const LOWEST_PORT = 3
const HIGHEST_PORT = 65_533

/** The same option without its default, which is filled in later: the environment comes before it. */
const late = <const O extends Option & { readonly default: string | number }>({ default: value, ...option }: O) => ({ ...option, defaultText: option.defaultText ?? String(value) })

/** A bound of both halves, each with a default of its own. */
const bound = (help: string, defaultText: string) => ({ check: wholeNumber(1, MAX_ENTRIES), value: 'count', defaultText, help }) as const

/** Options that the originals have variables of the environment for; the value in an option or a file wins. */
export const speedOptions = {
  singleBandwidth: late(pairOptions.singleBandwidth),
  totalBandwidth: late(pairOptions.totalBandwidth),
  limitSpeed: late(pairOptions.limitSpeed),
  downgradeThreshold: late(pairOptions.downgradeThreshold),
  downgradeStartCheck: late(pairOptions.downgradeStartCheck)
} as const satisfies Options

/** As the originals name it in `DB_URL`: a path, or a URL with it. */
function databaseFile () {
  return text('a database', 'the path of a file', (url) => {
    try {
      return databasePath(url)
    } catch (err) {
      throw err instanceof OptionError ? new ValueError(`${err.message}, expected a path such as ./db_v2.sqlite3`) : err
    }
  })
}

/** All options, in the order of `--help`. */
export const relayOptions = {
  port: { check: wholeNumber(0, HIGHEST_PORT), defaultText: String(DEFAULT_PORT), short: 'p', value: 'port', help: 'of the rendezvous server, UDP and TCP; the one before it and the second after it are used as well; 0 runs the relay alone' },
  relayPort: { check: wholeNumber(0, HIGHEST_PORT), defaultText: String(DEFAULT_RELAY_PORT), value: 'port', help: 'of the relay; the second after it is used as well; 0 runs the rendezvous server alone' },
  bind: { ...listenOptions.bind, short: 'b', help: 'the address of this machine to listen on, for both' },
  data: { check: path(), default: '.', defaultText: 'the working folder', value: 'folder', help: 'of the key files, the database and the lists of the relay, as the original programs left it' },
  database: { check: databaseFile(), value: 'file', defaultText: 'db_v2.sqlite3', help: 'the database of peers, in the folder of data unless it is a whole path; or DB_URL' },
  key: { check: secretText(), short: 'k', value: 'key', defaultText: '- for the rendezvous server, none for the relay', help: 'what clients have to know, for both: - for the public key of the key files, a secret key in base64 for its public half, or any text; empty: nothing' },
  relayKey: { check: secretText(), value: 'key', defaultText: 'key, where it is given', help: 'the same for the relay alone' },
  allow: { check: allowedPeers.check, isRepeatable: true, value: 'id|key|@file|any', defaultText: 'any', help: `peers that may register: ${allowedPeers.expected}; can be repeated` },
  relayServers: { ...rendezvousOptions.relayServers, short: 'r', help: `${rendezvousOptions.relayServers.help}; or RELAY in the environment` },
  alwaysUseRelay: { check: boolean(), help: `${rendezvousOptions.alwaysUseRelay.help}; or ALWAYS_USE_RELAY=Y` },
  mask: rendezvousOptions.mask,
  localIp: rendezvousOptions.localIp,
  serial: { ...late(rendezvousOptions.serial), short: 's' },
  rendezvousServers: { ...rendezvousOptions.rendezvousServers, short: 'R' },
  softwareUrl: { ...rendezvousOptions.softwareUrl, short: 'u' },
  rmem: late(listenOptions.rmem),
  strictOss: rendezvousOptions.strictOss,
  console: { check: boolean(), input: onOff(), default: true, value: 'on|off', help: 'commands as text from this machine, on the port before that of the rendezvous server, and on that of the relay' },
  ...speedOptions,
  maxPeers: rendezvousOptions.maxPeers,
  maxPeersPerAddress: rendezvousOptions.maxPeersPerAddress,
  maxStored: { check: wholeNumber(1, Number.MAX_SAFE_INTEGER), default: 10_000_000, value: 'count', help: 'peers in the database; those that are in it can still change their key' },
  maxPerSource: bound('connections from one address, for each of both; an IPv6 /64 is one', `${rendezvousOptions.maxPerSource.default} of the rendezvous server, ${pairOptions.maxPerSource.default} of the relay`),
  maxHalfOpen: bound('connections without a message, for each of both; the oldest makes room', String(rendezvousOptions.maxHalfOpen.default)),
  maxConnections: bound('connections in all, for each of both', String(rendezvousOptions.maxConnections.default)),
  maxPendingPerSource: pairOptions.maxPendingPerSource,
  maxPending: pairOptions.maxPending,
  maxPairsPerSource: pairOptions.maxPairsPerSource,
  bufferTotal: pairOptions.bufferTotal,
  trustedProxies: { ...listenOptions.trustedProxies, defaultText: 'all by the rendezvous server, none by the relay' },
  /** A pair of keys, by the environment alone. */
  keyPub: { check: text('a key', 'base64', (key) => key) },
  keyPriv: { check: secretText() }
} as const satisfies Options

export type RustdeskSettings = SettingsOf<typeof relayOptions>

/** Relations between options: one half runs at least, and both on ports of their own. */
export function verifyRelayOptions ({ port = DEFAULT_PORT, relayPort = DEFAULT_RELAY_PORT }: Partial<Pick<RustdeskSettings, 'port' | 'relayPort'>>, reject: Reject): void {
  if (port > 0 && port < LOWEST_PORT) reject(['port'], `too low (${port}), expected 0, or ${LOWEST_PORT} at least, as the one before it is used as well`)
  if (port === 0 && relayPort === 0) reject(['relayPort'], 'of no use with port 0, expected one of both to run')
  if (port === 0 || relayPort === 0) return
  const taken = [port - 1, port, port + 2]
  if ([relayPort, relayPort + 2].some((used) => taken.includes(used))) reject(['relayPort'], `${relayPort} or the second after it is a port of the rendezvous server as well (${taken.join(', ')}), expected another one, such as ${port + 1}`)
}
