/** Options of a SHOW CHAIN peer for callers, its status and its events. */
import { addressFinder } from '../protocol/socket-addresses.ts'
import type { HistoryEvent } from '../../common/history.ts'
import type { KindReport } from './kind-finder.ts'
import type { Bind } from './node.ts'
import { peerOptions, type Allowed, type variableOptions } from './options.ts'
import type { PathKind } from './paths.ts'
import type { Identity } from '../protocol/identity.ts'
import type { MessageStats } from '../protocol/pipeline-stats.ts'
import { PublicKeys } from '../protocol/public-keys.ts'
import type { RegistrationState } from '../protocol/registration-client.ts'
import { readOptions, rejectOption, type InitOf, type SettingsOf } from '../../common/options/option.ts'
import { silent, type Logger } from '../../../log.ts'
import type { NatKind } from '../../../nat/index.ts'
import { systemClock } from '../../../streams/clock.ts'
import { tcp } from '../../../transports/tcp.ts'
import { bindUdp } from '../../../transports/udp/bind.ts'
import type { Clock, Transport } from '../../../types.ts'

/** Options that can change while a peer runs. */
export type ShowchainPeerOptions = InitOf<typeof variableOptions>

/** Options of a peer. */
export interface ShowchainPeerInit extends InitOf<typeof peerOptions> {
  identity: Identity
  /** Binds UDP sockets. Another one than the default lets a peer run in a simulated network. Default: `bindUdp`. */
  bind?: Bind
  /** TCP, for services and their users. Default: that of the system. */
  transport?: Pick<Transport, 'dial' | 'listen'>
  /** Finds the address of a name. Default: by the resolver of the machine. */
  lookup?: (host: string) => Promise<string>
  /**
   * Keys of other nodes. Default: some of its own.
   *
   * @internal
   */
  keys?: PublicKeys
  /** Default: the system clock. */
  clock?: Clock
  log?: Logger
  /** A number of at least 0 and less than 1 each time. Default: `Math.random`. */
  random?: () => number
  /** False: nothing is done on other threads, so that a simulation is reproducible. Default: true. */
  threads?: boolean
}

export interface PeerSettings extends SettingsOf<typeof peerOptions> {
  allow: Allowed
  identity: Identity
  bind: Bind
  transport: Pick<Transport, 'dial' | 'listen'>
  lookup: (host: string) => Promise<string>
  keys: PublicKeys
  clock: Clock
  log: Logger
  random: () => number
  threads: boolean
}

/**
 * Checks the options and fills in defaults.
 *
 * @throws {OptionError} when an option is invalid
 */
export function readPeer (init: ShowchainPeerInit): PeerSettings {
  const { allow = [], ...options } = readOptions(peerOptions, init)
  if (options.to === undefined && options.connect === undefined) return rejectOption(['to'], 'missing, expected HOST:PORT to be served to others, or nodes to connect to')
  return {
    ...options,
    allow,
    identity: init.identity,
    bind: init.bind ?? bindUdp,
    transport: init.transport ?? tcp,
    lookup: init.lookup ?? addressFinder(options.host),
    keys: init.keys ?? new PublicKeys(),
    clock: init.clock ?? systemClock,
    log: init.log ?? silent,
    random: init.random ?? Math.random,
    threads: init.threads ?? true
  }
}

/** A helper, as this peer has it. */
export interface HelperStatus {
  /** `host:port`, as it was named. */
  name: string
  /** The text form of its id, once it has told. */
  id: string | undefined
  state: RegistrationState
  /** Milliseconds. */
  roundTrip: number | undefined
  /** This node's endpoint, as the helper sees it. */
  mapped: string | undefined
  /** Why it is not registered. */
  reason: string | undefined
}

/** A path to another node. */
export interface PathStatus {
  kind: PathKind
  /** `host:port` of the other node, or of the proxy. */
  endpoint: string
  /** Packets go by it. */
  isChosen: boolean
  works: boolean
  /** Milliseconds. */
  roundTrip: number | undefined
}

/** A node to which this one connects. */
export interface RemoteStatus {
  id: string
  /** `tcp://host:port`, once it listens. */
  url: string | undefined
  state: 'connecting' | 'online' | 'waiting'
  paths: PathStatus[]
  /** Users now, and since the start. */
  users: number
  accepted: number
  /** Sessions that have ended or were not made. */
  failures: number
  /** Why the last one has; undefined while there is one. */
  reason: string | undefined
}

/** A node that connects to this one. */
export interface ServedStatus {
  id: string
  isOpen: boolean
  paths: PathStatus[]
  users: number
  accepted: number
}

/** A peer, its helpers and other nodes. */
export interface ShowchainPeerStatus {
  id: string
  /** `udp://host:port` of its socket. */
  url: string | undefined
  /** Of its NAT; undefined: unknown, which counts as T4. */
  kind: NatKind | undefined
  /** The kind is being looked for. */
  isLooking: boolean
  nat: KindReport | undefined
  helpers: HelperStatus[]
  /** Milliseconds by which the clock of a helper is ahead. */
  skew: number | undefined
  remotes: RemoteStatus[]
  served: ServedStatus[]
  messages: MessageStats
}

/** Why packets to a node take the way that they take. */
export interface PeerExplanation {
  id: string
  /** This one connects to it; it connects to this one. */
  isRemote: boolean
  isServed: boolean
  /** It may connect. */
  isAllowed: boolean
  remote: RemoteStatus | undefined
  served: ServedStatus | undefined
  kind: NatKind | undefined
  nat: KindReport | undefined
  helpers: HelperStatus[]
  /** What was tried, oldest first. */
  history: readonly HistoryEvent[]
}

/** Events of a peer, with their arguments; ids in text form. */
export interface ShowchainPeerEvents {
  /** A relay has registered the peer, after none had; none knows it any more. */
  registered: []
  unregistered: [reason: string]
  /** The kind of the NAT was looked for. */
  kind: [kind: NatKind | undefined]
  /** Packets to a node that it connects to go by this path from now on; undefined: none works. */
  path: [id: string, path: { readonly kind: PathKind, readonly endpoint: string } | undefined]
  /** Connections to a node can be made. */
  online: [id: string]
  /** The session with a node has ended, or could not be made; another one follows after `wait` milliseconds. */
  offline: [id: string, err: Error, wait: number]
  /** A node has connected to this one, or has gone. */
  served: [id: string, isOpen: boolean]
  /** The UDP socket has broken: the peer is of no use any more. */
  failed: [err: Error]
}
