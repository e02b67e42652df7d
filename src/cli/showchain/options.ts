/** The options of SHOW CHAIN in the programs: those of the nodes, with files for keys and for lists of ids. */
import { hostPort, servicePlace } from '../../nodes/common/options/addresses.ts'
import { boolean, commaList, onOff, path, wholeNumber } from '../../nodes/common/options/checks.ts'
import { MAX_ENTRIES, sectionsOf } from '../../nodes/common/options/groups.ts'
import type { Options, Reject, SettingsOf } from '../../nodes/common/options/option.ts'
import { EXPECTED_TARGET, target } from '../../nodes/showchain/peer/options.ts'
import { relayOptions as nodeRelayOptions } from '../../nodes/showchain/relay/options.ts'
import { endpointText, readRemote } from '../../net/endpoint.ts'
import { instanceName } from '../config/instance-name.ts'
import { allowedIds } from './allow-list.ts'

const identity = { check: path(), isRequired: true, value: 'file', help: 'the key of this node, as `peer showchain keygen` makes it' } as const

const { listen, ...ofRelay } = nodeRelayOptions

export const relayOptions = { listen, identity, ...ofRelay } as const satisfies Options

/** Relays of a node, more than it registers with at one time. */
const MAX_RELAYS = 16
const EXPECTED_RELAY = 'HOST:PORT such as 192.0.2.7:7700'

export const bootstrap = {
  check: commaList('a list of relays', EXPECTED_RELAY, readRemote).refine((list) => list.length > 0 && list.length <= MAX_RELAYS, { error: `not 1 to ${MAX_RELAYS} relays, expected ${EXPECTED_RELAY}` }),
  isRequired: true,
  isRepeatable: true,
  value: 'host:port',
  help: 'a relay that introduces nodes, and carries data where there is no direct path; can be repeated, and two tell the kind of the NAT'
} as const

export const port = { check: wholeNumber(0, 65_535), default: 0, defaultText: 'any', value: 'port', help: 'the UDP port of this peer, for a router that forwards it' } as const

const connectOptions = {
  id: { check: target(), isRequired: true, value: 'id', help: EXPECTED_TARGET },
  listen: { check: hostPort(), isRequired: true, value: 'host:port', help: 'where TCP connections are accepted that come out at the service of the node; port 0 takes a free one' }
} as const satisfies Options

const served = {
  to: { check: servicePlace(), value: 'host:port', help: 'the service here that TCP connections of other nodes lead to; a port alone is of this machine' },
  allow: {
    check: allowedIds.check,
    isRepeatable: true,
    value: 'id|@file|any',
    defaultText: 'nobody',
    help: `who may connect: ${allowedIds.expected}; can be repeated`
  },
  maxNodesPerSource: {
    check: wholeNumber(1, MAX_ENTRIES),
    default: 32,
    value: 'count',
    help: 'with --allow any, nodes of one address that may be connected; those of an IPv6 /48, and those by one relay, four times as many'
  }
} as const satisfies Options

const node = {
  identity,
  bootstrap,
  port,
  direct: { check: boolean(), input: onOff(), default: true, value: 'on|off', help: 'look for paths that are not by a relay' },
  pageSignatures: { check: boolean(), default: false, help: 'sign each message of data that goes by a relay, as the published protocol has it: some 9 Mbit/s' },
  name: instanceName
} as const satisfies Options

export const peerOptions = { ...served, connect: sectionsOf(connectOptions), ...node } as const satisfies Options

/** The flags of the two commands of a peer. */
export const serveOptions = { ...served, ...node } as const satisfies Options
export const connectModeOptions = { listen: connectOptions.listen, ...node } as const satisfies Options

export type ShowchainRelayFlags = SettingsOf<typeof relayOptions>
export type ShowchainPeerFlags = SettingsOf<typeof peerOptions>

/** Relations between options: something is served, to somebody, or connected to, and each node and each place to listen is there once. */
export function verifyPeerOptions ({ to, allow, connect }: Partial<Pick<ShowchainPeerFlags, 'to' | 'allow' | 'connect'>>, reject: Reject): void {
  if (to === undefined && connect === undefined) reject(['to'], 'missing, expected HOST:PORT to be served to others, or nodes to connect to')
  if (to !== undefined && allow === undefined) reject(['allow'], `nobody may connect, expected ${allowedIds.expected}`)
  if (to === undefined && allow !== undefined) reject(['allow'], 'of no use without to, expected to as well')
  const seen = new Set<string>()
  for (const [i, { id: { id }, listen }] of (connect ?? []).entries()) {
    for (const [key, name, noun] of [['id', Buffer.from(id).toString('hex'), 'id'], ['listen', endpointText(listen), 'address']] as const) {
      if (key === 'listen' && listen.port === 0) continue
      if (seen.has(name)) reject(['connect', i, key], `the ${noun} ${name} is that of another node as well, expected one of its own`)
      seen.add(name)
    }
  }
}
