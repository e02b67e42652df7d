/** Options of a RustDesk peer for callers, its status and its events. */
import type { AnsweringStats } from './answering.ts'
import type { ConnectError, RegisterError } from './errors.ts'
import type { PeerIdentity } from './identity.ts'
import { peerOptions, type Allowed, type variableOptions } from './options.ts'
import type { PathKind } from './paths.ts'
import type { BindPeer } from './registration.ts'
import { systemTransport, type PeerTransport } from './transport.ts'
import { keyText } from '../keys/key-text.ts'
import type { HistoryEvent } from '../../common/history.ts'
import { readOptions, rejectOption, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import { silent, type Logger } from '../../../log.ts'
import { systemClock } from '../../../streams/clock.ts'
import { systemLookup } from '../../../transports/happy-eyeballs.ts'
import { bindUdp } from '../../../transports/udp/bind.ts'
import type { Clock } from '../../../types.ts'

/** Options that can change while a peer runs. */
export type RustdeskPeerOptions = InitOf<typeof variableOptions>

/** Options of a peer. */
export interface RustdeskPeerInit extends InitOf<typeof peerOptions> {
  /** Default: a new one. One that lasts is needed to keep an id. */
  identity?: PeerIdentity
  /** TCP. That of a host of a simulated network is one as well. Default: that of the system. */
  transport?: PeerTransport
  /** Binds UDP sockets. Default: `bindUdp`. */
  bind?: BindPeer
  /** Finds the address of a name. Default: by the resolver of the machine. */
  lookup?: (host: string) => Promise<string>
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
  /** A number of at least 0 and less than 1 each time. Default: `Math.random`. */
  random?: () => number
}

export interface PeerSettings extends Omit<SettingsOf<typeof peerOptions>, 'key'> {
  allow: Allowed
  /** What the server signs with, and its text, which the server and its relay are told. */
  serverKey: Uint8Array
  key: string
  identity: PeerIdentity | undefined
  transport: PeerTransport
  bind: BindPeer
  lookup: (host: string) => Promise<string>
  clock: Clock
  log: Logger
  random: () => number
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readPeer (init: RustdeskPeerInit): PeerSettings {
  const { allow = [], key, ...options } = readOptions(peerOptions, init)
  if (options.to === undefined && options.connect === undefined) return rejectOption(['to'], 'missing, expected HOST:PORT to be served to others, or peers to connect to')
  if (options.to !== undefined && options.id === undefined) return rejectOption(['id'], 'missing, expected the id by which others find what is served')
  return {
    ...options,
    allow,
    serverKey: key,
    key: keyText(key),
    identity: init.identity,
    transport: init.transport ?? systemTransport,
    bind: init.bind ?? bindUdp,
    lookup: init.lookup ?? firstAddress,
    clock: init.clock ?? systemClock,
    log: init.log ?? silent,
    random: init.random ?? Math.random
  }
}

/** @throws an error of the system */
async function firstAddress (host: string): Promise<string> {
  const all = await systemLookup(host)
  const found = all.find(({ family }) => family === 4) ?? all[0] // as addresses in messages, and NATs, are mostly of IPv4
  if (found === undefined) throw Object.assign(new Error(`${host} has no address`), { code: 'ENOTFOUND' })
  return found.address
}

/** A peer to which this one connects. */
export interface RemoteStatus {
  id: string
  /** `tcp://host:port`, once it listens. */
  url: string | undefined
  state: 'connecting' | 'online' | 'waiting'
  /** How it is reached, while it is. */
  path: PathKind | undefined
  endpoint: string | undefined
  why: string | undefined
  /** Users now, and since the start. */
  users: number
  accepted: number
  /** Sessions that have ended or were not made. */
  failures: number
  /** Why the last one has; undefined while there is one. */
  reason: string | undefined
}

/** A session of a peer that connects to this one. */
export interface ServedStatus {
  /** Its id, or `key` and its key, when it has shown no certificate. */
  name: string
  key: string
  path: PathKind
  endpoint: string
  why: string
  users: number
  accepted: number
}

/** A peer, and others. */
export interface RustdeskPeerStatus {
  id: string | undefined
  /** The public key of this peer, in base64. */
  key: string
  /** `host:port` of the server, as it was named. */
  server: string
  /** Whether the server knows it; undefined where it has no id. */
  isRegistered: boolean | undefined
  /** Of its NAT: `asymmetric`, `symmetric`, `unknown`. */
  nat: string
  remotes: RemoteStatus[]
  served: ServedStatus[]
  pushes: AnsweringStats
  /** Connections that have become no session. */
  refused: number
}

/** How a peer is reached, and what was tried. */
export interface RustdeskPeerExplanation {
  id: string
  isRemote: boolean
  remote: RemoteStatus | undefined
  served: ServedStatus[]
  nat: string
  /** What was tried, oldest first. */
  history: readonly HistoryEvent[]
}

/** Events of a peer, with their arguments. */
export interface RustdeskPeerEvents {
  /** The server knows this peer; does not any more. */
  registered: []
  unregistered: [reason: string]
  /** The type of the NAT was tested. */
  nat: [type: string]
  /** Connections to a peer can be made. */
  online: [id: string, path: { readonly kind: PathKind, readonly endpoint: string, readonly why: string }]
  /** The session with a peer has ended, or could not be made; another one follows after `wait` milliseconds. */
  offline: [id: string, err: Error, wait: number]
  /** A peer has connected to this one, or has gone. */
  served: [name: string, path: PathKind, isOpen: boolean]
  /** It cannot go on: its id is not given to it. */
  failed: [err: RegisterError | ConnectError]
}
