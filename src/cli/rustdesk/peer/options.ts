/** The options of `peer rustdesk`: those of the node, with a file for its identity and lists of those who may connect. */
import { hostPort, serverPlace, servicePlace } from '../../../nodes/common/options/addresses.ts'
import { boolean, onOff, path, seconds, text } from '../../../nodes/common/options/checks.ts'
import { sectionsOf } from '../../../nodes/common/options/groups.ts'
import type { Options, Reject, SettingsOf } from '../../../nodes/common/options/option.ts'
import { EXPECTED_ID, peerId, peerOptions as nodeOptions, publicKey } from '../../../nodes/rustdesk/peer/options.ts'
import { endpointText } from '../../../net/endpoint.ts'
import { parseAddress } from '../../../net/ipv4.ts'
import { instanceName } from '../../config/instance-name.ts'
import { DEFAULT_PORT, DEFAULT_RELAY_PORT } from '../options.ts'
import { allowedPeers } from './allow-list.ts'

const connectOptions = {
  id: { check: peerId(), isRequired: true, value: 'id', help: EXPECTED_ID },
  listen: { check: hostPort(), isRequired: true, value: 'host:port', help: 'where TCP connections are accepted that come out at the service of the peer; port 0 takes a free one' }
} as const satisfies Options

const id = { check: peerId(), value: 'id', help: `the id of this peer: ${EXPECTED_ID}` } as const

const served = {
  to: { check: servicePlace(), value: 'host:port', help: 'the service here that TCP connections of other peers lead to; a port alone is of this machine' },
  allow: {
    check: allowedPeers.check,
    isRepeatable: true,
    value: 'id|key|@file|any',
    defaultText: 'nobody',
    help: `who may connect: ${allowedPeers.expected}; can be repeated`
  },
  maxPeers: { ...nodeOptions.maxPeers, value: 'count', help: 'sessions at one time' },
  discoverable: { check: boolean(), input: onOff(), default: false, value: 'on|off', help: 'answer those in this network who ask which peers are here, with the id, the name of this machine and its system' }
} as const satisfies Options

const node = {
  server: { check: serverPlace(DEFAULT_PORT), isRequired: true, value: 'host:port', help: `the ID server; without a port ${DEFAULT_PORT}` },
  key: { check: publicKey(), isRequired: true, value: 'key', help: 'the public key of the ID server in base64, which `relay rustdesk` prints as `Key:`' },
  relay: { check: serverPlace(DEFAULT_RELAY_PORT), value: 'host:port', defaultText: 'the one that is told', help: `the relay to use in place of that of the ID server; without a port ${DEFAULT_RELAY_PORT}` },
  direct: { check: boolean(), input: onOff(), default: true, value: 'on|off', help: 'look for paths that are not by a relay' },
  identity: { check: path(), value: 'file', defaultText: 'rustdesk-identity in the folder of state', help: 'what this peer is known by: its machine and its key; made where there is none' },
  name: instanceName
} as const satisfies Options

const wait = { check: boolean(), default: false, help: 'keep trying while the one peer to connect to is unknown, offline or not reached, in place of ending' } as const

export const peerOptions = { ...served, id, connect: sectionsOf(connectOptions), wait, ...node } as const satisfies Options

/** The flags of the two commands of a peer. */
export const serveOptions = { ...served, id, ...node } as const satisfies Options
export const connectModeOptions = {
  listen: connectOptions.listen,
  id: { ...id, defaultText: 'none', help: `${id.help}; without one others know this peer by its key` },
  wait,
  ...node
} as const satisfies Options

/** Of `peer rustdesk discover`. */
export const discoverOptions = {
  broadcast: { check: text('an address', 'one of IPv4 such as 192.168.1.255', (input) => parseAddress(input) === undefined ? undefined : input), value: 'address', defaultText: 'each network of this machine', help: 'where to ask: the broadcast address of a network, or the address of a machine' },
  timeout: { check: seconds(1, 60), default: 3000, defaultText: '3', value: 'seconds', help: 'how long to listen for answers' },
  json: { check: boolean(), default: false, help: 'print JSON' }
} as const satisfies Options

export type RustdeskPeerFlags = SettingsOf<typeof peerOptions>

/** Relations between options: something is served, by an id and to somebody, or connected to, and each peer and each place to listen is there once. */
export function verifyPeerOptions ({ to, allow, id, connect, discoverable }: Partial<Pick<RustdeskPeerFlags, 'to' | 'allow' | 'id' | 'connect' | 'discoverable'>>, reject: Reject): void {
  if (to === undefined && connect === undefined) reject(['to'], 'missing, expected HOST:PORT to be served to others, or peers to connect to')
  if (to !== undefined && id === undefined) reject(['id'], `missing, expected ${EXPECTED_ID}, by which others find what is served`)
  if (to !== undefined && allow === undefined) reject(['allow'], `nobody may connect, expected ${allowedPeers.expected}`)
  if (to === undefined && discoverable === true) reject(['discoverable'], 'of no use without to, expected to as well')
  if (to === undefined && allow !== undefined) reject(['allow'], 'of no use without to, expected to as well')
  const seen = new Set<string>()
  for (const [i, { id: other, listen }] of (connect ?? []).entries()) {
    if (other === id) reject(['connect', i, 'id'], `${other} is the id of this peer itself, expected that of another one`)
    for (const [key, name, noun] of [['id', other, 'id'], ['listen', endpointText(listen), 'address']] as const) {
      if (key === 'listen' && listen.port === 0) continue
      if (seen.has(name)) reject(['connect', i, key], `the ${noun} ${name} is that of another peer as well, expected one of its own`)
      seen.add(name)
    }
  }
}
